"""A study as its readers see it: trials, front, and architectures by name. Nothing here writes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.runs import Runs
from results.outcome import Direction, Outcome, StudyRecord, TrialRecord
from results.plain_text import plain
from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_data, from_file
from search_spaces.errors import RequestError, nearest
from search_spaces.proxy import low_resolution
from search_spaces.seeds import seed, seed_names

if TYPE_CHECKING:
    from results.agreement import Agreement
    from results.control import Control
    from results.importance import Importance
    from results.ledger import Ledger
    from results.pareto import Front
    from results.statistics import Statistics
    from search_spaces.space import SearchSpace


@dataclass(frozen=True)
class Study:
    """A study as it was when it was opened; its files lie in the folder ``runs``.

    ``searched_by``: the process that searched it then, if one did: without one no trial is running.
    """

    record: StudyRecord
    trials: tuple[TrialRecord, ...]
    runs: Path
    searched_by: str | None = None

    @staticmethod
    def open(name: str, runs: str | Path | Runs = "runs", *, ledger: str | None = None) -> "Study":
        """Read a study; an unknown name is a RequestError that lists the known ones.

        ``ledger``: its URL, where it is not in the folder ``runs``; by default that of $INCEPTION_NAS_LEDGER, if set.
        """
        place = Runs.of(runs, ledger)
        with place.read() as opened:
            return Study(opened.study(name), tuple(opened.trials(name)), place.folder, searched_by(opened, name))

    @property
    def name(self) -> str:
        """The study's name."""
        return self.record.name

    @property
    def folder(self) -> Path:
        """Where the study's files lie."""
        return self.runs / self.name

    @cached_property
    def _front(self) -> "Front":
        from results.pareto import front

        return front(self.trials, self.record.objectives)

    def front(self) -> "Front":
        """The complete trials within all limits that no other one beats in every objective."""
        return self._front

    def control(self) -> "Control | None":
        """What the sampler's arm came to beside the random arm; None where there is no such arm."""
        from results.control import compare, startup_of

        return compare(self.trials, self.record.objectives, startup=startup_of(self.record.search))

    def agreements(self) -> "list[Agreement]":
        """How well each lower rung orders the trials that reached the top; nothing for few of them, or one rung."""
        from nas.config import SearchConfig
        from nas.rungs import rungs_of
        from results.agreement import agreements

        epochs = [rung.epochs for rung in rungs_of(SearchConfig.from_data(self.record.search))]
        return agreements(self.trials, epochs) if len(epochs) > 1 else []

    def statistics(
        self, reference_point: Mapping[str, float] | None = None, *, importance: str = "ped-anova"
    ) -> "Statistics":
        """Everything that ``nas statistics`` tells: as data, as tables for CSV and JSON, and as plotly's figures.

        ``reference_point``: of hypervolumes, for some or all objectives; by default 10 % of the range beyond the worst
        value. ``importance``: how that of genes is computed, "ped-anova" or "fanova" (slow). What there are too few
        trials for is missing, with a sentence that says so.
        """
        from results.statistics import statistics

        return statistics(
            self.record,
            self.trials,
            reference_point=reference_point,
            importances=self.importances(importance),
            agreements=self.agreements(),
        )

    def importances(self, method: str = "ped-anova", *, but: Collection[str] = ()) -> "list[Importance]":
        """How much each gene matters for every objective and for MACs, ``but`` some; "fanova" is slow."""
        from nas.samplers.importance import importances  # brings optuna
        from results.importance import method_named

        of: dict[str, Direction] = dict(self.record.objectives)
        of.setdefault("macs", "minimize")
        asked = {name: goal for name, goal in of.items() if name not in but}
        return importances(self.trials, asked, method_named(method))

    def seeds(self) -> list[TrialRecord]:
        """The published networks' trials, in order."""
        return [trial for trial in self.trials if trial.seed is not None and trial.outcome is not Outcome.DUPLICATE]

    def best(self) -> TrialRecord:
        """The trial of the front with the lowest error; the cheapest of several."""
        members = self.front().members
        if not members:
            which = "complete trial that keeps its limits" if self.outcomes()["complete"] else "complete trial"
            raise RequestError(f"study {self.name!r} has no {which} yet: run its search first")
        return min(members, key=lambda trial: (trial.values["error"], trial.costs["macs"], trial.number))

    def trial(self, number: int) -> TrialRecord:
        """One trial by number."""
        for trial in self.trials:
            if trial.number == number:
                return trial
        raise RequestError(f"study {self.name!r} has no trial {number}: it has 0 to {len(self.trials) - 1}")

    def space(self) -> "SearchSpace":
        """The space that the study searches, at the resolution of its target; RequestError where it cannot be told.

        The ledger keeps its name: a file that was changed since (see ``has_its_space``) is read as it is now.
        """
        from search_spaces.space import space

        name = self.record.search.get("space")
        if name is None:
            raise RequestError(
                f"the search file that is recorded of study {self.name!r} names no space: name one where it can be "
                "named ('nas audit ARCH --space SPACE')"
            )
        try:
            return space(name, (self.record.search.get("target") or {}).get("resolution"))
        except RequestError as error:
            raise RequestError(
                f"the space {name!r} of study {self.name!r} cannot be read: {error}; go to the folder in which the "
                "search was started, or name a space ('nas audit ARCH --space SPACE')"
            ) from None

    @property
    def has_its_space(self) -> bool:
        """Whether the space still is what it was when the study ran."""
        from nas.config import SPACE_DIGEST

        return self.space().digest == self.record.search.get(SPACE_DIGEST)

    @property
    def done(self) -> int:
        """How many trials have used up a part of the budget."""
        return sum(trial.outcome.trained for trial in self.trials)

    @property
    def taken_over(self) -> int:
        """How many of these cost no training here: all that they came to is known from another study."""
        return sum(trial.outcome.trained and trial.reused is not None and not trial.seconds for trial in self.trials)

    @property
    def exhausted(self) -> str:
        """What is said of a study that is complete with fewer trials than were asked for; "" of any other."""
        from nas.knowledge import GIVE_UP

        asked = self.record.search.get("trials", 0)
        if self.record.state != "complete" or self.done >= asked:
            return ""
        return (
            f"study {plain(self.name)} has {self.done:,} of the {asked:,} trials that were asked for: {GIVE_UP:,} "
            "proposals in a row, uniform ones among them, were known or screened, so its space seems exhausted; widen "
            "the space or the limits, and search under another study name"
        )

    @property
    def stopped(self) -> str:
        """What is said where a command ends before the study is complete."""
        return f"study {plain(self.name)} stopped with {self.done} trials done; the same command goes on"

    def outcomes(self) -> Mapping[str, int]:
        """How many trials there are of each outcome, zeros too."""
        counts = {str(outcome): 0 for outcome in Outcome}
        for trial in self.trials:
            counts[str(trial.outcome)] += 1
        return counts


def searched_by(ledger: "Ledger", study: str) -> str | None:
    """Say which process searches a study at this moment; None if none does."""
    process = ledger.holder(study)
    return None if process is None else str(process)


def data_sentence(search: Mapping[str, Any]) -> str:
    """Say what a study's data are and how they were split; empty for a study from before that was recorded."""
    from nas.config import DATA_SPLIT

    split = search.get(DATA_SPLIT)
    if split is None:
        return ""
    data = search["data"]
    skipped = f", damaged files skipped: {split['damaged']:,}" if split["damaged"] else ""
    repeated, leaked = split.get("repeated", 0), split.get("leaked", 0)  # not recorded by earlier releases
    skipped += f", repeated pictures, each in the part of the other: {repeated:,}" if repeated else ""
    skipped += f", of the test part also outside it: {leaked:,}" if leaked else ""
    return (
        f"data {data if isinstance(data, str) else data['source']}: {split['training']:,} pictures for training, "
        f"{split['validation']:,} for validation, {split['test']:,} for the test, {split['classes']:,} classes"
        f"{skipped}; split {split['digest'][:12]} by random seed {split['random_seed']}"
    )


@dataclass(frozen=True)
class Found:
    """What an ARCH argument names: the architecture, and the study and trial that it comes from, if any."""

    architecture: Architecture
    study: Study | None = None
    trial: TrialRecord | None = None

    @property
    def classes(self) -> int:
        """Classes of the target that a trial's costs are counted for; 1000 elsewhere."""
        from results.view import Target

        return Target.of(self.study.record.search).classes if self.study else 1000

    @property
    def standing(self) -> str:
        """How the trial stands, in a line; empty elsewhere."""
        if self.study is None or self.trial is None:
            return ""
        trial = self.trial
        told = f", error {trial.values['error']:.2%}" if trial.values else f", {trial.reason}" if trial.reason else ""
        stands = trial.outcome.called(self.study.searched_by)
        return plain(f"trial {trial.number} of {self.study.name}: {stands}{told}")


def find(arch: str, runs: Path | Runs) -> Found:
    """Resolve ARCH: a seed's name, a YAML file, or ``STUDY:NUMBER``; ``@N`` after it gives it the stem for N px."""
    if arch in seed_names():
        return Found(seed(arch))
    base, at, side = arch.rpartition("@")
    if at and side.isdecimal() and not Path(arch).is_file():
        whole = find(base, runs).architecture
        if not 1 <= int(side) <= whole.resolution:
            raise RequestError(
                f"{arch!r} asks for a stem for pictures of {side[:20]} px: from 1 to the {whole.resolution} px of "
                f"{base} is allowed; --resolution runs the same network on larger ones"
            )
        return Found(low_resolution(whole, int(side)).named(f"{whole.name}-{side}px"))
    name, colon, number = arch.rpartition(":")
    if colon and number.isdecimal():
        study = Study.open(name, runs)
        trial = study.trial(int(number))
        label = f"{name}-{number}" if trial.seed is None else trial.seed
        return Found(from_data(trial.architecture).named(label), study, trial)
    if arch.endswith((".yaml", ".yml")) or Path(arch).is_file():
        return Found(from_file(Path(arch)))
    raise RequestError(
        f"there is no architecture {arch!r}: name a seed ({', '.join(seed_names())}), a YAML file or STUDY:NUMBER; "
        "@N after any of them gives it the stem for pictures of N px"
        f"{nearest(arch, seed_names())}"
    )


def load_architecture(arch: str, runs: Path | Runs) -> Architecture:
    """Return the architecture that ARCH names."""
    return find(arch, runs).architecture


def trial_data(trial: TrialRecord) -> dict[str, Any]:
    """The fields of a trial that programs read from ``nas pareto --json``."""
    return {
        "number": trial.number,
        "name": trial.seed,
        "origin": trial.origin,
        "digest": trial.digest,
        "values": trial.values,
        "costs": trial.costs,
        "outcome": str(trial.outcome),
    }
