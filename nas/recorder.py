"""What is recorded of trials, the ledger first, and where their files lie."""

import logging
from dataclasses import replace
from pathlib import Path

from nas.config import SearchConfig
from nas.job import CHECKPOINTS, WEIGHTS, Report
from nas.knowledge import Knowledge
from nas.measuring import Measuring
from nas.quota import to_delete
from nas.rungs import Rung, rung_of_epoch, seconds_before, seconds_of
from nas.storage import at, folder_at
from nas.trials_folder import set_aside, trials_place
from results.ledger import Ledger
from results.outcome import Measurement, Outcome, TrialRecord, told
from results.pareto import front
from search_spaces.errors import NotWritten, SearchFailed

logger = logging.getLogger("nas.recorder")

BROKEN_IN_A_ROW = 3  # the same mistake so often is the program's, not the architecture's
BROKEN_AT_ALL_IN_A_ROW = 12  # broken trials use up no budget: without an end to them a search might have none
LOST_IN_A_ROW = 3  # each of them several times: it is the machines that lose workers, and they would lose the budget
MOST_SAID = 200  # characters of a reason
GB = 1e9


class Recorder:
    """Writes the ledger of one study, and keeps ``known`` as the ledger has it."""

    def __init__(
        self,
        config: SearchConfig,
        ledger: Ledger,
        runs: Path,
        known: Knowledge,
        rungs: tuple[Rung, ...],
        measuring: Measuring,
    ) -> None:
        self.config, self.ledger, self.runs, self.known = config, ledger, runs, known
        self.rungs, self.measuring = rungs, measuring
        trials = known.trials.values()
        self._recorded = {(trial.number, m.rung, m.epoch) for trial in trials for m in trial.measurements}
        self._mistakes: list[str] = []  # of broken trials, and how many were lost, since one ended in another way
        self._lost = 0
        self._begun: list[TrialRecord] = []
        self._trials_place = trials_place(config, runs)
        sizes = folder_at(self._trials_place).sizes()
        set_aside(self._trials_place, sizes, known.next_number)
        self._sizes = {number: sizes[str(number)] for number in known.trials if str(number) in sizes}

    # --------------------------------------------------------------------------------------------------------- files

    def place(self, trial: TrialRecord) -> str:
        """Where a trial's files lie, an absolute path or a URL: under the runs folder, or the storage of the file."""
        return f"{self._trials_place}/{trial.number}"

    def leave_sign(self) -> str:
        """Leave a sign among the trials' files, by which workers on other machines know that they see them."""
        return folder_at(self._trials_place).leave_sign()

    def has_weights(self, trial: TrialRecord) -> bool:
        """Whether the weights of a complete trial, of any study of the ledger, are still there."""
        return trial.artifact is not None and folder_at(at(self.runs, trial.artifact)).has(WEIGHTS)

    def artifact(self, trial: TrialRecord) -> str:
        """The place as the ledger keeps it: within the runs folder relative to it, so that it can be moved."""
        place = self.place(trial)
        return place if self.config.storage else str(Path(place).relative_to(self.runs.resolve()))

    def _keep_quota(self, ended: TrialRecord) -> None:
        """Delete files of trials off the front where they take more room than the file allows.

        Those of trials that another study has taken over stay, and are not counted either.
        """
        self._sizes[ended.number] = folder_at(self.place(ended)).size()
        quota = self.config.quota_gb * GB
        if sum(self._sizes.values()) <= quota:  # the usual case: no front is needed
            return
        trials = list(self.known.trials.values())
        members = front(trials, self.ledger.study(self.config.study).objectives).members
        # Another study that saw the weights just before, and records that it took them over just after this was read,
        # goes without, and says so. To hold it off would take a lock of both studies while a storage is asked.
        kept = frozenset(trial.number for trial in members) | self.ledger.lent(self.config.study)
        for number in to_delete(trials, kept, self.config.objectives, self._sizes, quota):
            try:
                folder_at(self.place(self.known.trials[number])).remove()
            except NotWritten as error:
                logger.warning("the files of trial %d stay, beyond the quota: %s", number, error)
            else:
                del self._sizes[number]

    # --------------------------------------------------------------------------------------------------------- records

    def begin(self, trial: TrialRecord) -> TrialRecord:
        """Note a trial that begins, or that is set aside; ``write_begun`` records it."""
        trial = replace(trial, order=self.known.ordered())
        self._begun.append(trial)
        self.known.began(trial)
        return trial

    def write_begun(self) -> None:
        """Record what began: trials that are set aside wait for the next one that runs, so that a commit has several.

        Those that were proposed together are in one commit. A driver that dies before proposes the same ones again, so
        that nothing is lost.
        """
        if self._begun:
            self.ledger.start_trials(self._begun)
            self._begun = []

    def resume(self, trial: TrialRecord, rung: int) -> TrialRecord:
        """Record that a stopped trial goes on to a rung."""
        self.ledger.resume_trial(self.config.study, trial.number)
        trial = replace(trial, outcome=Outcome.RUNNING, reason="", finished_at=None, reused=None)
        self.known.went_on(trial, rung)
        return trial

    def has_ended(self, report: Report) -> bool:
        """Whether the end of the report's rung is recorded of its trial."""
        return (report.number, report.rung, report.epochs) in self._recorded

    def in_all(self, report: Report) -> Report:
        """Return a report whose seconds are those of the trial in all: a worker tells those of its training.

        One that ends before it has looked at its checkpoint tells none.
        """
        measurements = self.known.trials[report.number].measurements
        before = seconds_before(self.rungs, report.rung, measurements)
        seen = seconds_of(measurements)  # also of a training that began anew, as its checkpoint was damaged
        history = tuple((values, max(before + seconds, seen)) for values, seconds in report.history)
        return replace(report, seconds=max(before + report.seconds, seen), history=history)

    def as_last_seen(self, report: Report) -> Report:
        """Return the report of a lost worker with how far its trial was seen to come: no worker is left to tell it."""
        seen = self.known.trials[report.number].measurements
        if not seen:
            return report
        return replace(report, rung=seen[-1].rung, epoch=seen[-1].epoch)

    def epochs(self, report: Report) -> None:
        """Record the epochs that were not recorded yet, and what was measured before them."""
        training = self.rungs[report.rung].training
        if report.measured:
            self.measurement(report.number, Measurement(0, 0, report.measured, 0.0))
        for epoch, (values, seconds) in enumerate(report.history, 1):
            rung = rung_of_epoch(self.rungs, training, epoch)
            self.measurement(report.number, Measurement(rung, epoch, dict(values), seconds))

    def measurement(self, number: int, measurement: Measurement) -> None:
        """Record a measurement, unless it is recorded."""
        place = number, measurement.rung, measurement.epoch
        if place in self._recorded:
            return
        measurement = replace(measurement, order=self.known.ordered())
        self.ledger.record_measurement(self.config.study, number, measurement)
        self._recorded.add(place)
        trial = self.known.trials[number]
        violations = trial.violations
        if measurement.epoch == 0:
            violations = {**violations, **self.measuring.violations(measurement.values)}
        measurements = tuple(sorted((*trial.measurements, measurement), key=lambda m: (m.rung, m.epoch)))
        self.known.trials[number] = replace(trial, measurements=measurements, violations=violations)

    def stop(self, trial: TrialRecord, rung: int, source: TrialRecord | None = None) -> None:
        """Record that a trial stands at the end of a rung and does not go on for now."""
        reason = f"trained to the end of rung {rung}: {self.rungs[rung].sentence}"
        self._finish(trial, Outcome.STOPPED, source, reason=reason, seconds=trial.measurements[-1].seconds)

    def end(self, report: Report, source: TrialRecord | None = None) -> None:
        """Record how a trial ended; ``source``: the trial of another study that this is known from."""
        trial, complete = self.known.trials[report.number], report.outcome is Outcome.COMPLETE
        weights = self.artifact(trial) if source is None else source.artifact
        trial = self._finish(
            trial,
            report.outcome,
            source,
            reason=report.reason,
            values=self.known.values(trial, report.values) if complete else None,
            seconds=report.seconds,
            artifact=weights if complete else None,
            traceback=report.traceback,
        )
        self.known.ended(trial, trial.measurements[-1] if complete else None)

    def look_after(self, report: Report) -> None:
        """Look at what a recorded end means for the rest: SearchFailed where going on would be of no use."""
        trial = self.known.trials[report.number]
        if report.ends:  # its worker may know nothing of the end, and nobody goes on from them any more
            folder_at(self.place(trial)).drop(CHECKPOINTS)
        if trial.outcome.final:
            self._keep_quota(trial)
        if report.final:  # one that stands at a rung's end is neither broken nor set aside
            self._watch_failures(report)
            self.measuring.watch(screened=report.outcome is Outcome.SCREENED, reason=report.reason)

    def _finish(
        self,
        trial: TrialRecord,
        outcome: Outcome,
        source: TrialRecord | None,
        *,
        reason: str,
        seconds: float,
        values: dict[str, float] | None = None,
        artifact: str | None = None,
        traceback: str | None = None,
    ) -> TrialRecord:
        trial = replace(
            trial,
            outcome=outcome,
            reason=told(reason),
            seconds=seconds,
            values=values or {},
            artifact=artifact,
            traceback=None if traceback is None else told(traceback),
            reused=trial.reused if source is None else f"{source.study}:{source.number}",
        )
        ended = self.ledger.finish_trial(
            self.config.study,
            trial.number,
            outcome,
            reason=trial.reason,
            values=values,
            seconds=seconds,
            artifact=artifact,
            traceback=trial.traceback,
            violations=trial.violations,
            reused=trial.reused,
        )
        found = self.known.trials[trial.number] = replace(trial, finished_at=ended)
        return found

    def _watch_failures(self, report: Report) -> None:
        """SearchFailed after so many trials that broke, or that lost their workers, and none that ended otherwise."""
        if report.outcome is Outcome.BROKEN:
            self._mistakes.append(self._mistake(report))
        elif report.outcome is Outcome.LOST_WORKER:
            self._lost += 1
        else:
            self._mistakes, self._lost = [], 0
        do = "the traceback is kept with the trials; mend the cause"
        if self._lost >= LOST_IN_A_ROW and self._lost > len(self.known.running):  # others may be well under way
            count, how = self._lost, "lost their workers, and of the last one "
            do = "mend the machines, or leave trials more memory by fewer executor.workers,"
        elif len(self._mistakes) >= BROKEN_IN_A_ROW and len(set(self._mistakes[-BROKEN_IN_A_ROW:])) == 1:
            count, how = BROKEN_IN_A_ROW, "broke in one way, "
        elif len(self._mistakes) >= BROKEN_AT_ALL_IN_A_ROW:
            count, how = BROKEN_AT_ALL_IN_A_ROW, "broke the last one by "
        else:
            return
        said = next(iter(report.reason.strip().splitlines()), "")[:MOST_SAID]  # all of it is in the ledger
        raise SearchFailed(
            f"the last {count} trials of study {self.config.study!r} {how}{said}: {do} and run the search again"
        )

    def _mistake(self, report: Report) -> str:
        """Return what is the same for the same mistake: its kind and the line that raised it, not what it said."""
        raised = [line for line in (report.traceback or "").splitlines() if line.startswith('  File "')]
        if raised:
            return f"{report.reason.partition(':')[0]} {raised[-1]}"
        return report.reason.replace(self.place(self.known.trials[report.number]), "its folder")
