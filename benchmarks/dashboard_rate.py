"""How fast the dashboard is with a study of 10,000 trials and 81 genes, and what its viewers cost a search.

    python -m benchmarks.dashboard_rate -o benchmarks/dashboard_rate.json [--trials 10000] [--rounds 3] [--runs FOLDER]

Asked as the page asks (HTTP, no browser): opening, a filter, a poll with nothing new, and the bytes of the data. In a
Chromium on the PATH, drawn without a GPU: from opening the page to the chart with its points, in a new profile each
time and in one that has opened it before; beside it, turn by turn, how long an empty page takes that only loads
plotly's script; and from a change of a limit to the sentence that tells what it comes to, and to the chart. A search
in one process (digits, one epoch a trial) runs alone and followed by 20 viewers, turn by turn: the time between its
first trial's start and its last one's end.
``--runs``: where the study of ``benchmarks.large_study`` lies already.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.faults.page import Viewer, served
from benchmarks.large_study import write_study
from nas.doctor import hardware
from results.ledger import Ledger

VIEWERS = 20
EVERY = 2.0  # seconds between polls, as in the page
SEARCH = """\
study: followed
data: digits
trials: {trials}
objectives: [error, macs]
proxy: {{resolution: 8, width: 0.125}}
sampler: random
recipe: {{epochs: 1, batch_size: 32, learning_rate: 0.1, schedule: cosine}}
executor: inline
"""
# Chromium without a GPU, and without requests of its own.
FLAGS = ["--no-sandbox", "--disable-background-networking", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PLOTLY = "/_dash-component-suites/plotly/package_data/plotly.min.js"
COUNT_DRAWN = """() => {
  window.timesDrawn = 0;
  document.querySelector('#chart .js-plotly-plot').on('plotly_afterplot', () => { window.timesDrawn += 1; });
}"""
DRAWN = "document.querySelector('#chart .js-plotly-plot')?.data?.some((each) => each.customdata)"


def milliseconds(call: Callable[[], Any], times: int) -> float:
    taken = []
    for _ in range(times):
        since = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - since))
    return round(median(taken), 2)


def asked(port: int) -> dict[str, Any]:
    """The times of one who asks what the page asks."""
    since = time.perf_counter()
    first = Viewer(port)
    first.open()
    figures: dict[str, Any] = {"first_opening_ms": round(1000 * (time.perf_counter() - since), 1)}

    def opened() -> None:
        viewer = Viewer(port)
        viewer.open()
        figures["data_bytes"] = viewer.bytes

    figures["opening_ms"] = milliseconds(opened, 5)
    figures["filter_ms"] = milliseconds(lambda: first.call("scene.data", "shown.value"), 50)
    time.sleep(1.1)  # or what was read just now would be told again
    polls = []
    for _ in range(20):
        polls.append(milliseconds(lambda: first.call("standing.children", "tick.n_intervals"), 1))
        time.sleep(1.05)
    figures["poll_ms"] = round(median(polls), 2)
    return figures


def in_browser(port: int, rounds: int) -> dict[str, Any] | None:
    """The times of one who looks; None where there is no browser."""
    from shutil import which

    chromium = which("chromium") or which("chromium-browser")
    if chromium is None:
        return None
    from playwright.sync_api import sync_playwright

    drawn, alone, answered, filtered = [], [], [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for _ in range(rounds):
            context = browser.new_context(viewport={"width": 1500, "height": 1100})
            alone.append(plotly_alone(browser, port))
            page = context.new_page()
            drawn.append(opened_to_drawn(page, port))
            page.locator("#grid-place .ag-row").first.wait_for()
            slider = page.locator("#limits [role=slider]").nth(1)
            slider.focus()
            page.evaluate(COUNT_DRAWN)
            page.wait_for_timeout(2000)
            for _ in range(5):
                told, before = page.locator("#summary").inner_text(), page.evaluate("window.timesDrawn")
                since = time.perf_counter()
                page.keyboard.press("PageDown")
                page.wait_for_function(
                    "(told) => document.querySelector('#summary').innerText !== told", arg=told, polling=5
                )
                answered.append(1000 * (time.perf_counter() - since))
                page.wait_for_function("(before) => window.timesDrawn > before", arg=before, polling=5)
                filtered.append(1000 * (time.perf_counter() - since))
                page.wait_for_timeout(1000)
            page.close()
            context.close()
        browser.close()
        again = [opened_again(playwright, chromium, port) for _ in range(rounds)]
    return {
        "opened_to_drawn_s": round(median(drawn), 2),
        "opened_again_to_drawn_s": round(median(again), 2),
        "empty_page_with_plotly_s": round(median(alone), 2),
        "limit_to_answer_ms": round(median(answered), 1),
        "limit_to_drawn_ms": round(median(filtered), 1),
        "rounds": rounds,
    }


def opened_to_drawn(page: Any, port: int) -> float:
    since = time.perf_counter()
    page.goto(f"http://127.0.0.1:{port}/", wait_until="commit")
    page.wait_for_function(DRAWN, polling=10)
    return time.perf_counter() - since


def opened_again(playwright: Any, chromium: str, port: int) -> float:
    """The fourth opening in a profile on disk, which keeps compiled scripts from the second one on."""
    with tempfile.TemporaryDirectory() as folder:
        size = {"width": 1500, "height": 1100}
        context = playwright.chromium.launch_persistent_context(
            folder, executable_path=chromium, args=FLAGS, viewport=size
        )
        for _ in range(4):
            page = context.new_page()
            taken = opened_to_drawn(page, port)
            page.wait_for_timeout(1500)
            page.close()
        context.close()
    return taken


def plotly_alone(browser: Any, port: int) -> float:
    """Seconds from opening a page that holds nothing but plotly's script, in a new profile, to plotly being there."""
    context = browser.new_context()
    page, home = context.new_page(), f"http://127.0.0.1:{port}"
    html = f'<!DOCTYPE html><script src="{PLOTLY}"></script>'
    page.route(f"{home}/", lambda route: route.fulfill(content_type="text/html", body=html))
    since = time.perf_counter()
    page.goto(f"{home}/", wait_until="commit")
    page.wait_for_function("window.Plotly", polling=10)
    taken = time.perf_counter() - since
    context.close()
    return taken


@contextmanager
def followed(port: int) -> Iterator[None]:
    """Twenty viewers who follow whatever study is newest."""
    over = threading.Event()

    def follow() -> None:
        viewer = Viewer(port)
        viewer.open()
        while not over.wait(EVERY):
            viewer.poll()

    threads = [threading.Thread(target=follow) for _ in range(VIEWERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def searched(folder: Path, trials: int, *, seen: bool) -> float:
    """Seconds from the first trial's start to the last one's end of a search, followed by viewers or alone."""
    runs, file = folder / f"runs-{time.monotonic_ns()}", folder / "search.yaml"
    file.write_text(SEARCH.format(trials=trials), encoding="utf-8")
    words = [sys.executable, "-m", "nas", "search", str(file), "--runs", str(runs)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if seen:
        while not (runs / "ledger.sqlite").exists() and process.poll() is None:
            time.sleep(0.1)
        with served(runs) as port, followed(port):
            process.wait()
    process.communicate()
    assert process.returncode == 0
    with Ledger.open(runs / "ledger.sqlite", read_only=True) as ledger:
        ended = [trial for trial in ledger.summaries("followed") if trial.outcome.trained]
    first = min(datetime.fromisoformat(trial.started_at) for trial in ended)
    last = max(datetime.fromisoformat(trial.finished_at or trial.started_at) for trial in ended)
    return (last - first).total_seconds()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file for the figures")
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--searched", type=int, default=12, help="trials of the search that is followed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=Path, help="where the large study lies")
    given = parser.parse_args()
    data: dict[str, Any] = {"hardware": hardware(), "trials": given.trials, "viewers": VIEWERS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = given.runs or folder / "large"
        if given.runs is None:
            write_study(runs, given.trials)
        with served(runs) as port:
            data["asked"] = asked(port)
            print(data["asked"], flush=True)
            data["browser"] = in_browser(port, 5)
            print(data["browser"], flush=True)
        alone, seen = [], []
        for _ in range(given.rounds):
            alone.append(searched(folder, given.searched, seen=False))
            seen.append(searched(folder, given.searched, seen=True))
            print(f"alone {alone[-1]:.1f} s, followed {seen[-1]:.1f} s", flush=True)
        slower = median(b / a for a, b in zip(alone, seen, strict=True)) - 1
        data["search"] = {"trials": given.searched, "alone_s": alone, "followed_s": seen, "slower": round(slower, 4)}
    given.output.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
