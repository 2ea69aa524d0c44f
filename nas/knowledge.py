"""What a study knows: its trials, where each of them stands, what the samplers learned, and who goes on.

Everything here is made of the ledger's trials, taken in the order in which they were recorded: a driver that starts on
an old study knows what the one before it knew, and proposes what that one would have proposed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from nas.config import SearchConfig
from nas.halving import Halving
from nas.lessons import Lesson, Lessons
from nas.rungs import Rung
from nas.samplers.contract import Sampler
from nas.samplers.options import RandomOptions, SamplerConfig
from results.no_collection import no_collection
from results.outcome import Measurement, Origin, Outcome, TrialRecord
from results.rung_values import values_with
from search_spaces.genes import Genes

ARMS: tuple[Origin, ...] = ("sampler", "random")
CONTROL = RandomOptions()
TURN = 20  # proposals in vain of an arm, after which the other one has the turn
GIVE_UP = 1000  # proposals in vain of both arms, after which the space seems exhausted


class Knowledge:
    """The trials of a study by number, and all that follows from them.

    ``begun``: by origin, how many trials took their part of the budget. ``in_vain``: by arm, proposals that were known
    or screened since the last one that was trained; those among which it was chosen came before it. ``order``: of the
    last thing recorded.
    """

    def __init__(
        self,
        config: SearchConfig,
        rungs: Sequence[Rung],
        make_sampler: Callable[[SamplerConfig], Sampler],
        trials: Iterable[TrialRecord],
    ) -> None:
        self.config, self.rungs = config, rungs
        self.lessons = Lessons(partial(make_sampler, config.sampler), len(rungs))
        self.control = make_sampler(CONTROL)
        self.halving = Halving(len(rungs), config.rungs.reduction)
        self.trials: dict[int, TrialRecord] = {}
        self.begun: dict[Origin, int] = dict.fromkeys(("seed", *ARMS), 0)
        self.in_vain: dict[Origin, int] = dict.fromkeys(ARMS, 0)
        self.order = 0
        self._twins: dict[str, TrialRecord] = {}
        self._seeds: list[int] = []
        with no_collection():
            self._replay(trials)

    # ---------------------------------------------------------------------------------------------------- what is asked

    @property
    def running(self) -> list[TrialRecord]:
        """Trials that have not ended: under way, or interrupted."""
        return [trial for trial in self.trials.values() if not trial.outcome.final]

    @property
    def budget_left(self) -> int:
        """How many trials may still begin; none where the space seems exhausted after some did."""
        if self.exhausted and any(self.begun[arm] for arm in ARMS):
            return 0
        return self.config.trials - sum(self.begun.values())

    @property
    def exhausted(self) -> bool:
        """Whether so many proposals in a row were in vain, uniform ones among them, that there seems to be no other."""
        return sum(self.in_vain.values()) >= GIVE_UP

    @property
    def next_number(self) -> int:
        """The number of the next trial."""
        return max(self.trials, default=-1) + 1

    def arm(self) -> Origin:
        """Return the arm whose turn it is: the random arm gets its share of what is proposed, evenly spread.

        An arm that proposes nothing new passes its turn to the other: a sampler that repeats itself is not fed random
        points that would count as its own, and the random arm, uniform as ever, gets them as its own.
        """
        if self.config.sampler.name == "random":
            return "sampler"
        share, proposed = self.config.control, sum(self.begun[arm] for arm in ARMS)
        due, other = ARMS if self.begun["random"] + 1 > share * (proposed + 1) + 1e-9 else ARMS[::-1]
        return due if self.in_vain[due] < self.in_vain[other] + TURN else other

    def propose(self, arm: Origin, number: int) -> Genes:
        """Return a point of the box for trial ``number``."""
        return self.control.propose(number) if arm == "random" else self.lessons.propose(number)

    def twin(self, digest: str) -> TrialRecord | None:
        """Return the trial of this study that has tried an architecture, or found it beyond a limit.

        Those that broke have not, nor have those that a score left out: they were not even begun.
        """
        found = self._twins.get(digest)
        return None if found is None else self.trials[found.number]

    def promotion(self, *, closing: bool) -> tuple[TrialRecord, int] | None:
        """Return a stopped trial that goes on, and the rung to which. ``closing``: no further trials will begin."""
        for number in self._seeds:
            if self.trials[number].outcome is Outcome.STOPPED:
                return self.trials[number], self.reached(self.trials[number]) + 1
        for arm in ARMS:
            if (found := self.halving.next(arm, closing=closing)) is not None:
                return self.trials[found[0]], found[1]
        return None

    def goes_on(self, trial: TrialRecord, rung: int) -> bool:
        """Whether a trial at the end of a rung goes on to the next at once; published networks always do."""
        return trial.origin == "seed" or self.halving.next(trial.origin) == (trial.number, rung + 1)

    def reached(self, trial: TrialRecord) -> int:
        """Return the highest rung to whose end a trial was trained; -1: to none."""
        ends = (m.rung for m in trial.measurements if self._is_end(m))
        return max(ends, default=-1)

    def values(self, trial: TrialRecord, measured: Mapping[str, float]) -> dict[str, float]:
        """Return the objectives of a trial: those that were ``measured``, and what it costs."""
        known = values_with(trial, measured)
        return {name: float(known[name]) for name in self.config.objectives if name in known}

    # ----------------------------------------------------------------------------------------------------- what is told

    def ordered(self) -> int:
        """Return the place, in the order of what is recorded, of the next record."""
        self.order += 1
        return self.order

    def began(self, trial: TrialRecord) -> None:
        """Learn of a trial that begins, or was set aside before it could."""
        self.trials[trial.number] = trial
        if not trial.outcome.set_aside:
            self._takes_part(trial)
            return
        if trial.origin in ARMS:
            self.in_vain[trial.origin] += 1
        if trial.outcome is Outcome.DUPLICATE:
            self._learn_of_twin(trial)
            return
        if _is_beyond_a_limit(trial):
            self._twins.setdefault(trial.digest, trial)
        self._learn_of_screened(trial)

    def ended(self, trial: TrialRecord, measurement: Measurement | None) -> None:
        """Learn how a trial ended: at a rung's end with its ``measurement``, or without one for another reason."""
        self.trials[trial.number] = trial
        if measurement is not None:
            self._result(trial, measurement)
        elif trial.outcome is Outcome.SCREENED:  # by what was measured before its training
            self._learn_of_screened(trial)
        else:
            self._learn(trial, self.reached(trial) + 1, {}, {})
        if not trial.outcome.trained and trial.outcome.final:  # it takes no part of the budget after all
            self.begun[trial.origin] -= 1
        if trial.outcome is Outcome.BROKEN and self._twins.get(trial.digest, trial).number == trial.number:
            self._twins.pop(trial.digest, None)

    def went_on(self, trial: TrialRecord, rung: int) -> None:
        """Learn that a trial is on its way to a rung."""
        self.trials[trial.number] = trial
        if trial.origin != "seed":
            self.halving.went_on(trial.origin, rung - 1, trial.number)

    # ---------------------------------------------------------------------------------------------------------- inwards

    def _takes_part(self, trial: TrialRecord) -> None:
        """Count a trial that begins."""
        if trial.origin == "seed":
            self._seeds.append(trial.number)
        else:
            self.in_vain = dict.fromkeys(ARMS, 0)
        self.begun[trial.origin] += 1
        self._twins.setdefault(trial.digest, trial)

    def _is_end(self, measurement: Measurement) -> bool:
        rung = measurement.rung
        return rung < len(self.rungs) and measurement.epoch == self.rungs[rung].epochs

    def _result(self, trial: TrialRecord, measurement: Measurement) -> None:
        values = self.values(trial, measurement.values)
        if trial.origin != "seed" and measurement.rung < len(self.rungs) - 1 and self._all_known(values):
            told = [values[name] for name in self.config.objectives]
            self.halving.record(trial.origin, measurement.rung, trial.number, told, trial.violations)
        self._learn(trial, measurement.rung, values)

    def _all_known(self, values: Mapping[str, float]) -> bool:
        """Whether no objective is missing: the row of what was measured before the training may be damaged."""
        return all(name in values for name in self.config.objectives)

    def _learn(
        self,
        trial: TrialRecord,
        rung: int | None,
        values: Mapping[str, float],
        violations: Mapping[str, float] | None = None,
    ) -> None:
        if trial.genes is None or trial.origin == "random":  # the random arm teaches nobody
            return
        told = trial.violations if violations is None else violations
        if rung is not None and not self._all_known(values):
            values, told = {}, {}
        self.lessons.learn(Lesson(trial.number, trial.genes, rung, values, told))

    def _learn_of_screened(self, trial: TrialRecord) -> None:
        """Teach by how much a trial breaks its limits; of one that a score left out there is nothing to learn."""
        self._learn(trial, None, self.values(trial, {}) if _is_beyond_a_limit(trial) else {})

    def _learn_of_twin(self, trial: TrialRecord) -> None:
        """Teach what was known of a twin when a proposal turned out to be one, at the twin's own point.

        Many points may be one architecture: at points of their own its copies would crowd a sampler's population.
        """
        twin = self.twin(trial.digest)
        if twin is not None and twin.genes is not None:
            trial = replace(trial, genes=twin.genes)
        known = [m for m in twin.measurements if self._is_end(m) and m.order < trial.order] if twin else []
        for measurement in known:
            self._learn(trial, measurement.rung, self.values(trial, measurement.values))
        if not known:
            self._learn(trial, 0, {}, {})

    def _replay(self, trials: Iterable[TrialRecord]) -> None:
        """Take in the trials of a ledger, in the order in which things were recorded."""
        events: list[tuple[int, int, Callable[[], None]]] = []
        for trial in trials:
            self.trials[trial.number] = trial
            events.append((trial.order, trial.number, partial(self._replay_begin, trial)))
            events += [
                (measurement.order, trial.number, partial(self._result, trial, measurement))
                for measurement in filter(self._is_end, trial.measurements)
                if not trial.unreadable  # whether it keeps its limits, or what it costs, nobody knows any more
            ]
            last = max((m.order for m in trial.measurements), default=trial.order)
            events.append((last, trial.number, partial(self._replay_end, trial)))
            self.order = max(self.order, last)
        for _, _, event in sorted(events, key=lambda event: event[:2]):
            event()

    def _replay_begin(self, trial: TrialRecord) -> None:
        if trial.outcome.set_aside and not trial.measurements:
            self.began(trial)
        else:
            self._takes_part(trial)

    def _replay_end(self, trial: TrialRecord) -> None:
        reached = self.reached(trial)
        past = any(m.rung > reached for m in trial.measurements) or trial.outcome not in (
            Outcome.RUNNING,
            Outcome.STOPPED,
        )
        for rung in range(min(reached + past, len(self.rungs) - 1)):
            self.went_on(trial, rung + 1)
        begun = not trial.outcome.set_aside or trial.measurements  # as _replay_begin has it
        if begun and trial.outcome.final and trial.outcome not in (Outcome.STOPPED, Outcome.COMPLETE):
            self.ended(trial, None)


def _is_beyond_a_limit(trial: TrialRecord) -> bool:
    return any(size > 0 for size in trial.violations.values())
