"""What a server and a page are given that wish them ill: requests, and texts of studies."""

from collections.abc import Iterator
from dataclasses import dataclass, field

CALLBACK = "/_dash-update-component"


@dataclass(frozen=True)
class Bad:
    """A request, written out; ``statuses`` it may be answered with."""

    path: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    statuses: frozenset[int] = frozenset({308, 400, 401, 403, 404, 405, 411, 413, 414, 415, 422, 431})


def requests() -> Iterator[Bad]:
    """Traversal in many spellings, foreign hosts and origins, methods that write, long and broken ones."""
    for ups in (
        "../" * 6,
        "..%2f" * 6,
        "%2e%2e/" * 6,
        "%2e%2e%2f" * 6,
        "..%5c" * 6,
        "..%252f" * 6,
        "....//" * 6,
        "%c0%ae%c0%ae/" * 6,
    ):
        for place in ("/", "/assets/", "/shared/", "/files/", "/_dash-component-suites/dash/"):
            yield Bad(f"{place}{ups}etc/passwd")
            yield Bad(f"{place}{ups}pyproject.toml")
    for host in (
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "[::1",
        "evil.example:80",
        "0x7f.1",
        "*",
    ):
        yield Bad("/", headers={"Host": host})
        yield Bad("/files/trials.csv?study=large", headers={"Host": host})
    for origin in ("http://evil.example", "null", "https://127.0.0.1", "file://", "http://127.0.0.1:1"):
        yield Bad(CALLBACK, "POST", {"Origin": origin, "Content-Type": "application/json"}, b"{}")
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"):
        for path in ("/", "/files/trials.csv?study=large", "/_dash-layout"):
            yield Bad(path, method)
    for body in (
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"output": 1}',
        b'{"output": "..a.b..", "inputs": []}',
        b"\x00\xff",
        b"[" * 10_000,
    ):
        yield Bad(CALLBACK, "POST", {"Content-Type": "application/json"}, body)
    yield Bad(CALLBACK, "POST", {"Content-Type": "text/html"}, b"<b>")
    yield Bad(CALLBACK, "POST", {"Content-Type": "application/json"}, b" " * 3_000_000)
    for path in ("/" + "a" * 30_000, "/?" + "a" * 30_000, "/%00", "/\x7f", "/files/trial.exe?study=large&number=1"):
        yield Bad(path.replace("\x7f", "%7f"))
    for query in ("number=-1", "number=1e9", "number=99999999", "number=%00", "number=1&study=", "number=' OR 1=1--"):
        yield Bad(
            f"/files/trial.yaml?study=large&{query.replace(' ', '%20')}".replace(
                "study=large&number=1&study=", "number=1&study="
            )
        )
    for query in ("axes=a,b", "rung=x", "limit.macs=nan", "limit.macs=", "limit.__class__=1", "axes="):
        yield Bad(f"/files/front.csv?study=large&{query}")
    for study in ("..%2f..", "%00", "nobody", "'; DROP TABLE trials; --".replace(" ", "%20")):
        yield Bad(f"/files/trials.csv?study={study}")


def texts(count: int) -> list[str]:
    """Texts that mean something to a browser, a spreadsheet, a terminal, a file system or Python, ``count`` of them."""
    seeds = (
        "<script>document.title='hacked'</script>",
        "<img src=x onerror=\"document.title='hacked'\">",
        "</script><svg onload=alert(1)>",
        '"><iframe src=javascript:alert(1)>',
        "'-alert(1)-'",
        "&lt;b&gt;&#x3c;script&#x3e;",
        "<!--<script>",
        "]]><b>",
        "javascript:alert(1)",
        "{{constructor.constructor('alert(1)')()}}",
        "${alert(1)}",
        "=cmd|' /C calc'!A0",
        "+1+1",
        "-2+3",
        "@SUM(1+1)",
        "\t=1+1",
        "\r=1+1",
        "\uff1d1+1",
        '"=1+1"',
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
        "\u202egnp.exe",
        "\u2066\u2069",
        "\u200b\ufeff",
        "a\x00b",
        "a\nb\rc\u2028d\u2029e",
        "../../etc/passwd",
        "..\\..\\boot.ini",
        "CON",
        "a/b\\c:d*e?f",
        '"""; import os; os.system("true")  # ',
        "'''\nimport os\n'''",
        "\\N{BULLET}\\x41\\",
        "%s %(x)s {0} {x}",
        "[bold]rich[/bold] [link=http://evil.example]x[/link]",
        "\U0001f600" * 50,
        "\ud800",
        "a" * 5_000,
        "ﷺ" * 200,
    )
    return [f"{seeds[n % len(seeds)]}{'' if n < len(seeds) else f' {n}'}" for n in range(count)]
