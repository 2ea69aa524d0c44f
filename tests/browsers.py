"""A real browser for tests of the dashboard: the Chromium on the PATH, driven by Playwright."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Without a GPU, WebGL is drawn by SwiftShader; no request leaves the machine.
FLAGS = [
    "--disable-background-networking",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
NOISE = ("GPU stall due to ReadPixels", "willReadFrequently")  # advice to authors of charts, from Chromium itself
SLOW = 60_000  # milliseconds: a busy machine without a GPU
# Tells how many answers a page waits for, and when it was changed last.
WATCH = """
window.still = { asking: 0, since: performance.now() };
const changed = () => (window.still.since = performance.now());
const fetched = window.fetch;
window.fetch = (...what) => {
  window.still.asking++;
  return fetched(...what).finally(() => { window.still.asking--; changed(); });
};
const all = { attributes: true, characterData: true, childList: true, subtree: true };
new MutationObserver(changed).observe(document, all);
"""
STILL = """!window.still.asking && performance.now() - window.still.since > 500
&& !document.querySelector('[data-dash-is-loading=true]')"""


def chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def new_browser() -> "Iterator[Browser]":
    """A browser; the test is left out where there is none, but for CI, where it fails."""
    place = chromium()
    if place is None:
        told = (
            "the dashboard is not tried in a browser: there is no chromium on the PATH (Debian: apt install chromium)"
        )
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)
    from playwright.sync_api import sync_playwright

    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=place, args=[*FLAGS, *alone])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def served(runs: Path, *arguments: str) -> Iterator[str]:
    """The address of ``nas dashboard``, started as a user does."""
    environment = {key: value for key, value in os.environ.items() if key != "INCEPTION_NAS_LEDGER"}
    process = subprocess.Popen(
        [sys.executable, "-m", "nas", "dashboard", "--runs", str(runs), "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        # Where there is no ledger yet, a line that says so comes first.
        line = next((line for line in process.stdout if "http://127.0.0.1:" in line), None)
        assert line is not None, "the dashboard has ended before it told its address"
        yield line.rsplit(" ", 1)[1].strip()
    finally:
        process.terminate()
        process.communicate(timeout=30)


class Seen:
    """What went wrong on a page, and whom it asked."""

    def __init__(self, page: "Page") -> None:
        self.wrong: list[str] = []
        self.hosts: set[str | None] = set()
        page.on("console", lambda message: self._say(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("response", lambda response: self._answered(response.status, response.url))
        page.on("request", lambda request: self._asked(request.url))

    def _say(self, text: str) -> None:
        if not any(noise in text for noise in NOISE):
            self.wrong.append(text)

    def _answered(self, status: int, url: str) -> None:
        if status >= 400:
            self.wrong.append(f"{status}: {url}")

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme not in ("data", "blob"):
            self.hosts.add(urlsplit(url).hostname)


def open_page(browser: "Browser", address: str, **options: object) -> "tuple[Page, Seen]":
    page = browser.new_page(**({"viewport": {"width": 1500, "height": 1100}} | options))  # type: ignore[arg-type]
    page.set_default_timeout(SLOW)
    page.add_init_script(WATCH)
    seen = Seen(page)
    page.goto(address)
    return page, seen


def until_drawn(page: "Page") -> None:
    page.wait_for_function("document.querySelector('#chart .js-plotly-plot')?.data?.some((each) => each.customdata)")


def settled(page: "Page") -> None:
    """Wait until the page asks for nothing and has changed nothing for half a second.

    Playwright's own "networkidle" is told once after a page is opened, and never again.
    """
    page.wait_for_load_state("load")
    page.wait_for_function(STILL)
