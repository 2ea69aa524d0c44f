"""Does a principle help? The same search with one principle on and off, and the errors of both at equal cost.

The two arms are ordinary studies of the ledger: they resume, and can be looked at. They differ in nothing but the
space, which in the off arm is the same file with the principle switched off, written beside the study. Both draw
architectures at random, whatever sampler the search file names: trials that a sampler steers depend on each other and
on its luck, so that no interval can be put around them; and they train no seeds, which would be the same in both arms.
Both arms start from one random seed, so they draw alike where their spaces agree: the interval, which takes the trials
for independent, is then too wide rather than too narrow.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nas.candidate import Candidate
from nas.config import SearchConfig
from nas.job import Worker
from nas.progress import Progress
from nas.runs import Runs
from results.ablation import Ablation, as_data, compare, read_arm
from results.outcome import TrialRecord
from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_data
from search_spaces.errors import RequestError, nearest
from search_spaces.files import write_files
from search_spaces.principles import NAMES, RULES, Thresholds, audit
from search_spaces.space import SearchSpace, space, space_document
from search_spaces.yaml_files import write_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nas.executors.contract import Executor
from nas.study import Study

LEAST_TRIALS = 8  # of an arm: fewer give no interval worth its name
PROBE = 100  # random architectures that show beforehand how often the principle is broken once it is off
MOST_LETTERS = 64  # of a study's name

SPACE_FILE = "space.yaml"


@dataclass(frozen=True)
class Plan:
    """A checked request. ``space``: that of the on arm; ``off``: text of the space file of the off arm.

    ``breaking``: how many of ``PROBE`` random architectures of the off arm's space break the principle.
    """

    config: SearchConfig
    principle: str
    repeats: int
    space: SearchSpace
    off: str
    breaking: int

    @property
    def runs(self) -> tuple[tuple[str, bool, int], ...]:
        """The studies in the order in which they run: name, whether the principle is on, and the repeat from 0."""
        return tuple(
            (study_name(self.config.study, self.principle, repeat, on=on), on, repeat)
            for repeat in range(self.repeats)
            for on in (True, False)
        )


def study_name(study: str, principle: str, repeat: int, *, on: bool) -> str:
    """The name of an arm's study: ``digits-bottleneck-on``, ``digits-bottleneck-off-2`` of the second repeat."""
    return f"{study}-{principle}-{'on' if on else 'off'}" + (f"-{repeat + 1}" if repeat else "")


def plan(config: SearchConfig, principle: str, repeats: int = 1) -> Plan:
    """Check a request; RequestError where it is wrong or cannot answer anything. Nothing is recorded."""
    if principle not in NAMES + RULES:
        raise RequestError(
            f"there is no principle {principle!r}: allowed are {', '.join(NAMES + RULES)}"
            f"{nearest(principle, NAMES + RULES)}"
        )
    if config.trials * repeats < LEAST_TRIALS:
        raise RequestError(
            f"an arm of {config.trials * repeats} trials is too small for an interval: at least {LEAST_TRIALS} are "
            "needed (--set trials=24)"
        )
    longest = study_name(config.study, principle, repeats - 1, on=False)
    if len(longest) > MOST_LETTERS:
        raise RequestError(
            f"the study's name is too long: {longest!r} has {len(longest)} letters and {MOST_LETTERS} are allowed; "
            "choose a shorter one with --set study=NAME"
        )
    searched = space(config.space, config.target.resolution)
    if principle in searched.thresholds.off:
        raise RequestError(
            f"the space {config.space!r} has {principle} switched off already: take it out of thresholds.off, "
            "so that there is an arm with it"
        )
    off = _without(config.space, principle)
    breaking = _breaking(off, config.target.resolution, principle, searched.thresholds)
    if not breaking:
        raise RequestError(
            f"switching {principle} off changes nothing: not one of {PROBE} random architectures of the space "
            f"{config.space!r} breaks it then; give the space choices that break it, or ablate another principle"
        )
    return Plan(config, principle, repeats, searched, off, breaking)


def ablate(
    planned: Plan,
    runs: Path | Runs,
    *,
    progress: Callable[[], Progress] = Progress,
    tell: Callable[[str], None] = lambda sentence: None,
    executor: "Executor | None" = None,
    make: type[Worker] = Candidate,
) -> Ablation | None:
    """Run or resume all arms and compare them; None if Ctrl-C stopped it before they were complete.

    ``progress`` makes what shows a study while it runs; ``tell`` is told what is about to run.
    """
    from nas.driver import run

    done: list[tuple[Study, bool]] = []
    for number, (name, on, repeat) in enumerate(planned.runs, 1):
        word = "on" if on else "off"
        tell(f"arm {number} of {len(planned.runs)}: {planned.principle} {word}, study {name}")
        config = _arm_config(planned, runs, name, repeat, on=on)
        study = run(config, runs, executor=executor, progress=progress(), make=make)
        if study.record.state != "complete":
            tell(study.stopped)
            return None
        done.append((study, on))

    def breaks(trial: TrialRecord) -> bool:
        resolution = planned.config.target.resolution
        return _breaks(from_data(trial.architecture), resolution, planned.principle, planned.space.thresholds)

    one, other = (
        read_arm([(study.name, study.trials) for study, on in done if on is side], breaks, on=side)
        for side in (True, False)
    )
    return compare(planned.principle, one, other)


def answer(
    planned: Plan,
    runs: Path | Runs,
    output: Path | None,
    *,
    progress: Callable[[], Progress],
    tell: Callable[[str], None],
) -> "Answer | None":
    """Run or resume the arms and write the page (``runs``/STUDY-PRINCIPLE.html without ``output``); None if stopped."""
    config = planned.config
    trials = config.trials * planned.repeats
    tell(
        f"of {PROBE} random architectures of the space with {planned.principle} off {planned.breaking} break it: "
        f"about {planned.breaking * trials / PROBE:.0f} of the {trials} trials of the off arm will"
    )
    ablation = ablate(planned, runs, progress=progress, tell=tell)
    if ablation is None:
        return None
    from results.ablation_report import write_ablation_report

    page = output or Runs.of(runs).folder / f"{config.study}-{planned.principle}.html"
    write_ablation_report(ablation, page, facts=_facts(planned), search=config.as_data())
    return Answer(planned, ablation, page)


@dataclass(frozen=True)
class Answer:
    """A finished ablation and where its page lies."""

    plan: Plan
    ablation: Ablation
    page: Path

    def as_data(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {**_facts(self.plan), **as_data(self.ablation), "page": str(self.page)}

    def blocks(self, width: int) -> "Iterator[RenderableType]":
        """Yield what a terminal of ``width`` characters shows."""
        from results.ablation_table import ablation_blocks

        yield from ablation_blocks(self.ablation, width)
        yield f"  {self.page}"


def _facts(planned: Plan) -> dict[str, Any]:
    """What was asked, as plain data: the same in both arms."""
    config = planned.config
    return {
        "study": config.study,
        "space": config.space,
        "data": config.data.source,
        "trials_per_run": config.trials,
        "random_seeds": [config.random_seed + repeat for repeat in range(planned.repeats)],
        "sampler": "random",
        "breaking_of_probe": [planned.breaking, PROBE],
    }


# ------------------------------------------------------------------------------------------------------------ the parts


def _arm_config(planned: Plan, runs: Path | Runs, name: str, repeat: int, *, on: bool) -> SearchConfig:
    """The search of one run; that of the off arm brings its space file with it."""
    config = planned.config
    changes: dict[str, Any] = {
        "study": name,
        "seeds": [],
        "sampler": {"name": "random"},
        "random_seed": config.random_seed + repeat,
    }
    if not on:
        folder = Runs.of(runs).folder / name
        write_files(folder, {SPACE_FILE: planned.off.encode()})
        changes["space"] = str(folder / SPACE_FILE)
    return SearchConfig.from_data({**config.as_data(), **changes})


def _without(name_or_path: str, principle: str) -> str:
    """The text of a space's file, what it is based on included, with one more principle switched off."""
    data = space_document(name_or_path).data
    thresholds = data.get("thresholds") or {}
    switched = {**thresholds, "off": [*thresholds.get("off", []), principle]}
    return write_text({**data, "name": f"{data['name'][:31]}-without-{principle}", "thresholds": switched})


def _breaking(text: str, resolution: int, principle: str, thresholds: Thresholds) -> int:
    """How many of ``PROBE`` random architectures of a space file break a principle."""
    with TemporaryDirectory() as folder:
        write_files(Path(folder), {SPACE_FILE: text.encode()})
        searched = space(str(Path(folder) / SPACE_FILE), resolution)
    return sum(_breaks(searched.sample(seed), resolution, principle, thresholds) for seed in range(PROBE))


def _breaks(architecture: Architecture, resolution: int, principle: str, thresholds: Thresholds) -> bool:
    found = audit(architecture, resolution, thresholds)
    return any(not finding.passed for finding in (*found.principles, *found.rules) if finding.name == principle)
