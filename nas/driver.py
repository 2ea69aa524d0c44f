"""THE MAIN PATH: propose -> screen -> run -> record.

One driver owns a study. It takes the next candidate from the published networks, the sampler or the control arm,
screens it before any training, hands it to the executor as a job, and records every report in the ledger before anybody
learns of it. All state is the ledger's: a driver that starts on an old study reads it, takes over what was interrupted,
and goes on.
"""

import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nas.candidate import Candidate, Job, Report, Worker, left_behind
from nas.config import DATA_SPLIT, MAY_DIFFER, SPACE_DIGEST, ScreenConfig, SearchConfig
from nas.doctor import hardware
from nas.executors.contract import Executor
from nas.interrupt import Interrupt
from nas.knowledge import Knowledge
from nas.lock import sole_process
from nas.measuring import Measuring
from nas.preselection import Preselection
from nas.progress import Progress
from nas.rungs import fidelity_digest, rung_of_epoch, rungs_of, seconds_before
from nas.samplers.contract import Sampler
from nas.samplers.options import SamplerConfig
from nas.screening import Screen
from nas.study import LEDGER, Study
from results.ledger import Ledger
from results.outcome import Measurement, Origin, Outcome, StudyState, TrialRecord
from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError, SearchFailed
from search_spaces.genes import Genes, OutsideSpace
from search_spaces.proxy import proxy
from search_spaces.seeds import seed
from search_spaces.space import SearchSpace, space
from trainers.data import DataSet, load

logger = logging.getLogger("nas.driver")

GIVE_UP = 500  # proposals in a row that lead to no training
BROKEN_IN_A_ROW = 3  # the same mistake so often is the program's, not the architecture's


def run(
    config: SearchConfig,
    runs: Path,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
    make: type[Worker] = Candidate,
) -> Study:
    """Run or resume the study of a search file until it is complete, or Ctrl-C; return it.

    Raises RequestError, before anything is written, where the request is wrong.
    """
    progress = progress or Progress()
    with progress.decoding(config.data.source) as decoded:
        data = load(config.data, random_seed=config.random_seed, resolution=config.proxy.resolution, progress=decoded)
    config = config.with_classes(len(data.classes))
    searched = space(config.space, config.target.resolution)
    seeds = _check_seeds(config)
    with _ledger(runs) as ledger, sole_process(runs / config.study, f"study {config.study!r} is being searched"):
        fidelities = [fidelity_digest(rung, config, data.digest) for rung in rungs_of(config)]
        _create(ledger, config, searched, data, fidelities)
        driver = Driver(config, ledger, runs, searched, data, seeds, progress)
        try:
            if driver.has_work:
                with Interrupt(driver.stop):
                    driver.execute(executor or make_executor(config), make)
            else:
                driver.progress.nothing_to_do()
        finally:  # however it ended, no reader is told that it still runs
            driver.finish()
    return Study.open(config.study, runs)


class Driver:
    """The ``Work`` of an executor: hands out jobs, takes reports, keeps the ledger, teaches the samplers."""

    def __init__(
        self,
        config: SearchConfig,
        ledger: Ledger,
        runs: Path,
        searched: SearchSpace,
        data: DataSet,
        seeds: list[Architecture],
        progress: Progress,
    ) -> None:
        self.config, self.ledger, self.runs, self.space, self.data = config, ledger, runs, searched, data
        self.rungs = rungs_of(config)
        self.fidelities = [fidelity_digest(rung, config, data.digest) for rung in self.rungs]
        self.measuring = Measuring(config, len(data.classes))
        self.screen = Screen(config, searched, len(data.classes))
        self.preselection = Preselection(config, self.rungs[0], data)
        self.progress = progress
        self.stopping = False
        trials = ledger.trials(config.study)
        self._recorded = {(trial.number, m.rung, m.epoch) for trial in trials for m in trial.measurements}
        self.known = Knowledge(config, self.rungs, lambda chosen: make_sampler(config, searched, chosen), trials)
        self._interrupted = self.known.running
        # A trial that broke was the program's fault: it uses up no budget, and a seed is tried again.
        tried = {trial.seed for trial in trials if trial.outcome is not Outcome.BROKEN}
        self._seeds = [architecture for architecture in seeds if architecture.name not in tried]
        self._mistakes: list[str] = []
        progress.begin(config, trials)

    # ------------------------------------------------------------------------------------------- what an executor sees

    @property
    def has_work(self) -> bool:
        """Whether there are trials to begin, to finish, or to go on with."""
        return bool(self._interrupted) or self.known.budget_left > 0 or bool(self.known.promotion(closing=True))

    @property
    def finished(self) -> bool:
        """Whether no job will come any more, whatever the running trials come to."""
        return self.stopping or not self.known.running

    def next_job(self) -> Job | None:
        """Return the next trial: an interrupted one, one that goes on to its next rung, or a new one; None for now."""
        for _ in range(GIVE_UP):
            while self._interrupted and not self.stopping:
                if (job := self._taken_up(self._interrupted.pop(0))) is not None:
                    return job
            if self.stopping:
                return None
            rung, trial = 0, self._promoted()
            if trial is not None:
                rung = self.known.reached(trial) + 1
            elif self.known.budget_left <= 0:
                return None
            elif (trial := self._next_trial()) is None:
                continue
            if trial.outcome is Outcome.RUNNING and (job := self._run_from(trial, rung)) is not None:
                return job
        raise self._nothing_found()

    def report(self, report: Report, source: TrialRecord | None = None) -> bool:
        """Record what a worker said, the ledger first; return whether the trial goes on.

        ``source``: the trial of another study that this is known from.
        """
        trial = self.known.trials[report.number]
        if trial.outcome.final:
            return False
        self.measuring.check_device(report.number, report.device)
        ended = (report.number, report.rung, report.epochs) in self._recorded
        again = ended and source is None  # a worker was lost and begun anew after the trial had gone on
        self._record_epochs(report)
        report = self._checked(report)
        goes_on = not report.final
        if report.outcome is Outcome.STOPPED:
            goes_on = again or self._at_rung(report, source)
        elif report.final:
            self._record_end(report, source)
        self.progress.reported(self.known.trials[report.number], report)
        return goes_on and not self.stopping

    # ------------------------------------------------------------------------------------------------- the next trial

    def _taken_up(self, trial: TrialRecord) -> Job | None:
        """Go on with an interrupted trial, unless a worker had finished it, or it stands at the end of a rung."""
        if (report := left_behind(self._folder(trial), trial.number)) is not None:
            self.report(report)  # finished by a worker, not yet recorded by a driver
            return None
        reached = self.known.reached(trial)
        if reached >= 0 and all(m.rung <= reached for m in trial.measurements):
            if not self.known.goes_on(trial, reached):
                self._record_stop(trial, reached)
                return None
            self.known.went_on(trial, reached + 1)
        return self._run_from(trial, min(reached + 1, len(self.rungs) - 1))

    def _promoted(self) -> TrialRecord | None:
        """Take up a stopped trial that is among the best of its rung, if there is one."""
        known = self.known
        found = known.promotion(closing=known.budget_left <= 0 and not known.running)
        if found is None:
            return None
        trial, rung = found
        self.ledger.resume_trial(self.config.study, trial.number)
        trial = replace(trial, outcome=Outcome.RUNNING, reason="", finished_at=None)
        known.went_on(trial, rung)
        return trial

    def _next_trial(self) -> TrialRecord | None:
        """Begin a seed that was not tried, or a proposal; screened or known ones come with their outcome.

        None where several proposals began at once: they wait to be taken up.
        """
        known = self.known
        if self._seeds:
            architecture = self._seeds.pop(0)
            genes: Genes | None
            try:
                genes = self.space.encode(architecture)
            except OutsideSpace:
                genes = None  # it can be trained and compared; the sampler cannot learn from it
            twin = self._twin(architecture)
            return self._begin(self.screen.judge(known.next_number, architecture, genes, "seed", twin))
        arm = known.arm()
        if arm == "sampler" and self.config.screen is not None:
            self._begin_chosen(self.config.screen)
            return None
        return self._begin(self._proposal(arm, known.next_number))

    def _nothing_found(self) -> RequestError:
        trials = list(self.known.trials.values())
        return RequestError(
            f"{GIVE_UP} proposals in a row were screened or known{self.screen.out_of_reach(trials)}: widen the limits "
            f"or the space of study {self.config.study!r}, or ask for fewer trials"
        )

    def _proposal(self, arm: Origin, number: int) -> TrialRecord:
        genes = self.known.propose(arm, number)
        architecture = self.space.decode(genes)
        return self.screen.judge(number, architecture, genes, arm, self._twin(architecture))

    def _twin(self, architecture: Architecture) -> TrialRecord | None:
        return self.known.twin(architecture.digest)

    def _begin_chosen(self, screen: ScreenConfig) -> None:
        """Propose until there are enough to choose from, and begin the best of them by the score of the file.

        Nothing is recorded before the choice: a driver that dies meanwhile makes the same one again.
        """
        first, proposed, to_choose = self.known.next_number, list[TrialRecord](), list[TrialRecord]()
        while len(to_choose) < screen.of and len(proposed) < GIVE_UP:
            trial = self._proposal("sampler", first + len(proposed))
            twin = next((other for other in to_choose if other.digest == trial.digest), None)
            if twin is not None:
                reason = f"the same architecture as trial {twin.number}"
                trial = replace(trial, outcome=Outcome.DUPLICATE, reason=reason)
            if trial.outcome is Outcome.RUNNING:
                to_choose.append(trial)
            proposed.append(trial)
        keep = min(screen.keep, self.known.budget_left)
        chosen, scores = self.preselection.best(to_choose, keep)
        for trial in proposed:
            if trial.number in scores and trial.number not in chosen:
                place = sum(score > scores[trial.number] for score in scores.values()) + 1
                told = f"{screen.score} {scores[trial.number]:.6g} is no. {place} of {len(scores)}, and {keep} are kept"
                trial = replace(trial, outcome=Outcome.SCREENED, reason=told)
            trial = self._begin(trial)
            if trial.outcome is Outcome.RUNNING:
                self._interrupted.append(trial)
        if not to_choose:
            raise self._nothing_found()

    def _begin(self, trial: TrialRecord) -> TrialRecord:
        """Record a trial that begins, or that is set aside."""
        trial = replace(trial, order=self.known.ordered())
        if trial.outcome is Outcome.RUNNING:  # a new trial: files in its place are another ledger's
            shutil.rmtree(self._folder(trial), ignore_errors=True)
        self.ledger.start_trial(trial)
        self.known.began(trial)
        if trial.outcome is not Outcome.RUNNING:
            self.progress.set_aside(trial)
        return trial

    def _run_from(self, trial: TrialRecord, rung: int) -> Job | None:
        """Return the job of a trial from a rung on; None where another study knows what it comes to."""
        while (source := self._known_elsewhere(trial, rung)) is not None:
            if not self._take_over(trial, rung, source):
                return None
            rung += 1
        trial = self.known.trials[trial.number]
        self.progress.started(trial)
        return self._job(trial, rung)

    def _job(self, trial: TrialRecord, rung: int) -> Job:
        executor = self.config.executor
        return Job(
            number=trial.number,
            architecture=trial.architecture,
            rungs=[asdict(each) for each in self.rungs],
            rung=rung,
            data=self.config.data.absolute().as_data(),
            recipe=asdict(self.config.recipe),
            random_seed=self.config.random_seed,
            folder=str(self._folder(trial).resolve()),
            seconds=seconds_before(self.rungs, rung, trial.measurements),
            threads=max(1, int(executor.cpus_per_trial)),
            data_digest=self.data.digest,
            measure=self.measuring.wanted(is_seed=trial.seed is not None),
        )

    def _folder(self, trial: TrialRecord) -> Path:
        return self.runs / self.config.study / "trials" / str(trial.number)

    # ------------------------------------------------------------------------------------------------- what is recorded

    def _record_epochs(self, report: Report) -> None:
        """Record the epochs that were not recorded yet, and what was measured before them."""
        training = self.rungs[report.rung].training
        if report.measured:
            self._record(report.number, Measurement(0, 0, report.measured, 0.0))
        for epoch, (values, seconds) in enumerate(report.history, 1):
            rung = rung_of_epoch(self.rungs, training, epoch)
            self._record(report.number, Measurement(rung, epoch, dict(values), seconds))

    def _record(self, number: int, measurement: Measurement) -> None:
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
        measurements = (*trial.measurements, measurement)
        self.known.trials[number] = replace(trial, measurements=measurements, violations=violations)

    def _checked(self, report: Report) -> Report:
        """Return the report, as that of a broken trial where it lacks a value."""
        found = {**report.values, **report.measured}
        missing = [name for name in ("error", *self.config.measured) if name not in found]
        if report.outcome in (Outcome.COMPLETE, Outcome.STOPPED) and missing:
            return replace(report, outcome=Outcome.BROKEN, reason=f"the worker measured no {missing[0]}")
        return report

    def _at_rung(self, report: Report, source: TrialRecord | None) -> bool:
        """Take in a trial at the end of a rung; return whether it goes on at once."""
        trial, rung = self.known.trials[report.number], report.rung
        end = next(m for m in trial.measurements if (m.rung, m.epoch) == (rung, self.rungs[rung].epochs))
        self.known.ended(trial, end)
        if not self.stopping and self.known.goes_on(trial, rung) and self._known_elsewhere(trial, rung + 1) is None:
            self.known.went_on(trial, rung + 1)
            return True
        self._record_stop(trial, rung, source)
        return False

    def _record_stop(self, trial: TrialRecord, rung: int, source: TrialRecord | None = None) -> None:
        reason = f"trained to the end of rung {rung}: {self.rungs[rung].sentence}"
        self._finish(trial, Outcome.STOPPED, source, reason=reason, seconds=trial.measurements[-1].seconds)

    def _record_end(self, report: Report, source: TrialRecord | None) -> None:
        trial, complete = self.known.trials[report.number], report.outcome is Outcome.COMPLETE
        weights = str(self._folder(trial).relative_to(self.runs)) if source is None else source.artifact
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
        self._watch_mistakes(report)
        self.measuring.watch(screened=report.outcome is Outcome.SCREENED, reason=report.reason)

    def _finish(self, trial: TrialRecord, outcome: Outcome, source: TrialRecord | None, **end: Any) -> TrialRecord:
        name, number = self.config.study, trial.number
        reused = trial.reused if source is None else f"{source.study}:{source.number}"
        self.ledger.finish_trial(name, number, outcome, violations=trial.violations, reused=reused, **end)
        found = self.known.trials[number] = self.ledger.trial(name, number)
        return found

    def _watch_mistakes(self, report: Report) -> None:
        self._mistakes = [*self._mistakes, report.reason] if report.outcome is Outcome.BROKEN else []
        if len(self._mistakes) >= BROKEN_IN_A_ROW and len(set(self._mistakes[-BROKEN_IN_A_ROW:])) == 1:
            raise SearchFailed(
                f"the last {BROKEN_IN_A_ROW} trials of study {self.config.study!r} broke in one way, {report.reason}: "
                "the traceback is kept with the trials; mend the cause and run the search again"
            )

    # ----------------------------------------------------------------------------------------------------- never twice

    def _known_elsewhere(self, trial: TrialRecord, rung: int) -> TrialRecord | None:
        """Return a trial of another study of the ledger that was trained to just the end of this rung, or diverged."""
        for known in self.ledger.known(trial.digest, self.fidelities[rung]):
            places = {(m.rung, m.epoch) for m in known.trial.measurements}
            trained = (known.rung, self.rungs[rung].epochs) in places
            diverged = known.trial.outcome is Outcome.DIVERGED and known.rung in {0, *(at for at, _ in places)}
            if known.trial.study != self.config.study and (trained or diverged):
                return known.trial
        return None

    def _take_over(self, trial: TrialRecord, rung: int, source: TrialRecord) -> bool:
        """Record what another study knows as if a worker had said it; return whether the trial goes on."""
        fidelity, epochs = self.fidelities[rung], self.rungs[rung].epochs
        at = self.ledger.study(source.study).fidelities.index(fidelity)
        end = next((m for m in source.measurements if (m.rung, m.epoch) == (at, epochs)), None)
        before = next((m for m in source.measurements if m.epoch == 0), None)
        for known, place in ((before, (0, 0)), (end, (rung, epochs))):
            if known is not None:
                self._record(trial.number, Measurement(*place, known.values, 0.0))
        outcome = Outcome.COMPLETE if rung == len(self.rungs) - 1 else Outcome.STOPPED
        report = Report(
            number=trial.number,
            epoch=epochs,
            epochs=epochs,
            rung=rung,
            values=end.values if end else {},
            outcome=outcome if end else Outcome.DIVERGED,
            reason=f"known from trial {source.number} of study {source.study}",
            measured=before.values if before else {},
        )
        return self.report(report, source)

    # ------------------------------------------------------------------------------------------------------------- life

    def execute(self, executor: Executor, make: type[Worker]) -> None:
        """Let the executor run all there is to do."""
        self.ledger.set_state(self.config.study, "running")
        with self.progress:
            executor.run(self, make)

    def stop(self) -> None:
        """Ask for an end after the running epochs; the next run goes on."""
        self.stopping = True
        self.progress.stopping()

    def finish(self) -> None:
        """Note whether the study is complete."""
        open_still = self.known.budget_left > 0 or self.known.running or self.known.promotion(closing=True)
        state: StudyState = "stopped" if open_still else "complete"
        if self.ledger.study(self.config.study).state != state:
            self.ledger.set_state(self.config.study, state)


# ------------------------------------------------------------------------------------------------------------ the parts


def make_sampler(config: SearchConfig, searched: SearchSpace, chosen: SamplerConfig | None = None) -> Sampler:
    """Return the sampler that a search file names, or another one."""
    from nas.samplers.named import named_sampler

    return named_sampler(chosen or config.sampler, searched, config.objectives, config.random_seed)


def make_executor(config: SearchConfig) -> Executor:
    """Return the executor that a search file names."""
    if config.executor.name == "inline":
        from nas.executors.inline import InlineExecutor

        return InlineExecutor()
    from nas.executors.ray_tune import RayTuneExecutor

    return RayTuneExecutor(config.executor)


def _check_seeds(config: SearchConfig) -> list[Architecture]:
    """Return the seeds; one that does not fit target or proxies is a RequestError now, not a broken trial later."""
    seeds = [seed(name) for name in config.seeds]
    for architecture in seeds:
        architecture.graph(config.target.resolution)
        for rung in config.settings():
            proxy(architecture, rung.resolution, rung.width).graph(rung.resolution, aux=True)
    return seeds


def _ledger(runs: Path) -> Ledger:
    try:
        runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(
            f"the runs folder {str(runs)!r} cannot be made ({error.strerror}): choose another with --runs, "
            "or mend its permissions"
        ) from None
    if not os.access(runs, os.W_OK | os.X_OK):
        raise RequestError(
            f"the runs folder {str(runs)!r} cannot be written: choose another with --runs, or mend its permissions"
        )
    return Ledger.open(runs / LEDGER, create=True)


def _create(ledger: Ledger, config: SearchConfig, searched: SearchSpace, data: DataSet, fidelities: list[str]) -> None:
    found = hardware()
    packages = ("inception-nas", "torch", "optuna", "ray", "numpy")
    versions = {"hardware": f"{found['processor']}, {found['CPUs']} CPUs, {found['memory']}"}
    for package in packages:
        try:
            versions[package] = version(package)
        except ModuleNotFoundError:
            versions[package] = "not installed"
    ledger.create_study(
        config.study,
        {**config.as_data(), SPACE_DIGEST: searched.digest, DATA_SPLIT: data.split_facts()},
        dict.fromkeys(config.objectives, "minimize"),
        versions,
        data.digest,
        may_differ=MAY_DIFFER,
        fidelities=fidelities,
        resolve=_with_defaults,
    )


def _with_defaults(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored search file with the defaults of keys that came after it was written.

    One that cannot be read any more stays as it is: the key at fault then differs from the new file's, which is told.
    """
    try:
        return {**stored, **SearchConfig.from_data(stored).as_data()}
    except RequestError:
        return dict(stored)
