"""Studies for tests of the report, and its page as a browser reads it."""

import dataclasses
import hashlib
from html.parser import HTMLParser

from results.outcome import Outcome, StudyRecord, TrialRecord
from search_spaces.cost import cost
from search_spaces.seeds import seed

V3 = seed("inception-v3")
V3_DATA = V3.as_data()
SHORT = [stage | {"modules": stage["modules"][:1]} for stage in V3_DATA["stages"]]
SMALL = V3_DATA | {"name": "small", "stages": SHORT, "aux": []}
V3_COSTS = {key: value for key, value in cost(V3, 299).as_data().items() if value is not None}
HOSTILE = (
    """</script></title></style><script>window.hacked=1</script><img src=x onerror=alert(1)>"'&<!-- \u2028\ud800\x00"""
)

STUDY = StudyRecord(
    name="digits",
    created_at="2026-11-22T03:04:05.678+00:00",
    search={"study": "digits", "sampler": {"name": "tpe", "random_seed": 7}},
    search_digest="ab" * 32,
    objectives={"error": "minimize", "macs": "minimize"},
    state="complete",
    versions={"torch": "2.13.0"},
    data_digest="cd" * 32,
)


def trial(number: int, error: float | None = None, share: float = 1.0, **fields: object) -> TrialRecord:
    """A complete trial if it has an error; `share` of the costs of Inception-v3."""
    costs = {"macs": int(share * V3_COSTS["macs"]), "params": int(share * V3_COSTS["params"])}
    record = TrialRecord(
        study="digits",
        number=number,
        digest=hashlib.sha256(str(number).encode()).hexdigest(),
        origin="sampler",
        architecture=SMALL,
        costs=costs,
        outcome=Outcome.BROKEN if error is None else Outcome.COMPLETE,
        values={} if error is None else {"error": error, "macs": float(costs["macs"])},
        started_at="2026-11-22T03:05:00.000+00:00",
        finished_at="2026-11-22T03:06:00.000+00:00",
        seconds=10.0,
    )
    return dataclasses.replace(record, **fields)


def v3(error: float | None = 0.04) -> TrialRecord:
    return trial(0, error, seed="inception-v3", origin="seed", architecture=V3_DATA)


TRIALS = [
    v3(),
    trial(1, 0.035, 0.5),
    trial(2, 0.06, 0.25),
    trial(3, 0.05, 0.9),
    trial(4, outcome=Outcome.DIVERGED, reason="the loss was nan in epoch 2"),
    trial(5, outcome=Outcome.DIVERGED, reason="the loss was nan in epoch 2"),
    trial(6, traceback="Traceback (most recent call last):\n  ...\nKeyError: 'x'"),
]


class Page(HTMLParser):
    """The page as a browser reads it: elements with attributes, and the text inside each script, style and title."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {}
        self.words: list[str] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag if tag in ("script", "style", "title") else ""
        if self._open:
            self.inside.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.inside[self._open][-1] += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]
