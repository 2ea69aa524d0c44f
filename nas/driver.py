"""THE MAIN PATH: propose -> screen -> run -> record.

One driver owns a study. It takes the next candidate from the published networks, the sampler or the random arm,
screens it before any training, hands it to the executor as a job, and records every report in the ledger before anybody
learns of it. All state is the ledger's: a driver that starts on an old study reads it, takes over what was interrupted,
and goes on.
"""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from nas.candidate import Candidate
from nas.config import SearchConfig
from nas.doctor import warn_of_emulation
from nas.executors.contract import Executor
from nas.interrupt import Interrupt
from nas.job import CHECKPOINTS, Job, Report, Worker, identity_of, left_behind
from nas.knowledge import GIVE_UP, Knowledge
from nas.measuring import Measuring
from nas.odd_values import checked
from nas.preselection import Preselection
from nas.progress import Progress
from nas.proposals import Proposals
from nas.recorder import Recorder
from nas.rungs import fidelity_digest, rungs_of, seconds_of
from nas.runs import Runs
from nas.samplers.contract import Sampler
from nas.samplers.options import SamplerConfig
from nas.screening import Screen
from nas.storage import check_writable, folder_at
from nas.study import Study
from nas.study_record import record_study
from nas.trials_folder import check_owner, claim
from results.ledger import Ledger
from results.outcome import Measurement, Outcome, StudyState, TrialRecord
from search_spaces.architecture import Architecture
from search_spaces.errors import SearchFailed
from search_spaces.files import remove_drafts
from search_spaces.proxy import proxy
from search_spaces.seeds import seed
from search_spaces.space import SearchSpace, space
from trainers.data import DataSet, load

logger = logging.getLogger("nas.driver")

NAMED = 8  # trials with damaged rows that are told by number


def run(
    config: SearchConfig,
    runs: Path | Runs,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
    make: type[Worker] = Candidate,
    command: str | None = None,
) -> Study:
    """Run or resume the study of a search file until it is complete, or Ctrl-C; return it.

    ``command``: what was typed to run it, for the study's record.

    Raises RequestError, before anything is written, where the request is wrong.
    """
    progress = progress or Progress()
    with progress.decoding(config.data.source) as decoded:
        data = load(config.data, random_seed=config.random_seed, resolution=config.proxy.resolution, progress=decoded)
    if config.ray.address is None:
        warn_of_emulation(config.recipe)
    config = config.with_classes(len(data.classes))
    searched = space(config.space, config.target.resolution)
    seeds = _check_seeds(config)
    place = Runs.of(runs)
    if config.storage is not None:
        check_writable(config.storage)
    check_owner(config, place)
    fidelities = [fidelity_digest(rung, config, data.digest) for rung in rungs_of(config)]
    with place.write() as ledger, ledger.hold(config.study):
        place.make_folder(config.study)
        for folder in (place.folder / config.study, place.folder / config.study / "best"):
            remove_drafts(folder, below=False)  # of reports and exports; trials see to their own
        record_study(ledger, config, searched, data, fidelities, command)
        claim(config, place.folder, ledger)
        driver = Driver(config, ledger, place.folder, searched, data, seeds, progress)
        try:
            if driver.has_work:
                with Interrupt(driver.stop):
                    driver.execute(executor or make_executor(config), make)
            else:
                driver.progress.nothing_to_do()
        except BaseException:  # however it ended, no reader is told that it still runs
            driver.finish(failed=True)
            raise
        driver.finish()
    return Study.open(config.study, place)


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
        self.config, self.ledger, self.data = config, ledger, data
        self.rungs = rungs_of(config)
        self.fidelities = [fidelity_digest(rung, config, data.digest) for rung in self.rungs]
        self.measuring = Measuring(config, len(data.classes))
        self.progress = progress
        self.stopping = False
        self.sign = ""
        trials = ledger.trials(config.study)
        if damaged := [str(trial.number) for trial in trials if trial.unreadable]:
            told = f"{', '.join(damaged[:NAMED])}{f' and {len(damaged) - NAMED} more' if len(damaged) > NAMED else ''}"
            logger.warning(
                "study %r goes on without trials whose rows in the ledger are damaged: %s", config.study, told
            )
        self.known = Knowledge(config, self.rungs, lambda chosen: make_sampler(config, searched, chosen), trials)
        self.records = Recorder(config, ledger, runs, self.known, self.rungs, self.measuring)
        # A trial that broke was the program's fault: it uses up no budget, and a seed is tried again.
        tried = {trial.seed for trial in trials if trial.outcome is not Outcome.BROKEN}
        untried = [architecture for architecture in seeds if architecture.name not in tried]
        screen, preselection = Screen(config, searched, len(data.classes)), Preselection(config, self.rungs[0], data)
        if not trials:
            screen.warn_of_limits()
        self.proposals = Proposals(config, searched, self.known, screen, preselection, untried)
        self._waiting = self.known.running  # interrupted ones, and such as began several at once
        progress.begin(config, trials)

    # ------------------------------------------------------------------------------------------- what an executor sees

    @property
    def has_work(self) -> bool:
        """Whether there are trials to begin, to finish, or to go on with."""
        return bool(self._waiting) or self.known.budget_left > 0 or bool(self.known.promotion(closing=True))

    @property
    def finished(self) -> bool:
        """Whether no job will come any more, whatever the running trials come to."""
        return self.stopping or not self.known.running

    def next_job(self) -> Job | None:
        """Return the next trial: an interrupted one, one that goes on to its next rung, or a new one; None for now."""
        try:
            return self._next_job()
        finally:
            self.records.write_begun()

    def _next_job(self) -> Job | None:
        while not self.stopping:
            job = None
            if self._waiting:
                job = self._taken_up(self._waiting.pop(0))
            elif (trial := self._promoted()) is not None:
                job = self._run_from(trial, self.known.reached(trial) + 1)
            elif self.known.budget_left > 0:
                self._begin_next()
            else:
                return None
            if job is not None:
                return job
        return None

    def report(
        self, report: Report, source: TrialRecord | None = None, measurements: Sequence[Measurement] = ()
    ) -> bool:
        """Record what a worker said, the ledger first; return whether the trial goes on.

        ``source``: the trial of another study that this is known from, by these ``measurements``. Raises SearchFailed
        where the worker can keep nothing that it trains: the trial stays as it was, and the next run goes on with it.
        """
        trial = self.known.trials[report.number]
        if report.halt:
            at = f"study {self.config.study!r} stopped at trial {trial.number}, where the same command goes on"
            raise SearchFailed(f"{at}: {report.halt}")
        if trial.outcome.final:
            return False
        self.measuring.check_device(report.number, report.device)
        with self.ledger.together(self.config.study):
            for measurement in measurements:
                self.records.measurement(trial.number, measurement)
            goes_on, report = self._taken_in(report, source)
        self.records.look_after(report)
        self.progress.reported(self.known.trials[report.number], report)
        return goes_on and not self.stopping

    def _taken_in(self, report: Report, source: TrialRecord | None) -> tuple[bool, Report]:
        # A worker that was lost and begun anew says again what the trial has gone past.
        again = source is None and self.records.has_ended(report)
        report = self.records.in_all(checked(report, self.config.measured))
        if report.outcome is Outcome.LOST_WORKER:
            report = self.records.as_last_seen(report)
        self.records.epochs(report)
        if report.outcome is Outcome.STOPPED:
            return again or self._at_rung(report, source), report
        if report.final:
            self.records.end(report, source)
        return not report.final, report

    # ------------------------------------------------------------------------------------------------- the next trial

    def _taken_up(self, trial: TrialRecord) -> Job | None:
        """Go on with a trial, unless a worker had finished it, or it stands at the end of a rung."""
        folder = folder_at(self.records.place(trial))
        folder.fetch()
        report = left_behind(folder.path, trial.number, identity_of(trial.digest, self.fidelities))
        if report is not None and not report.lacked_memory:
            folder.drop(CHECKPOINTS)  # the worker may have died before it could
            self.report(report)  # finished by a worker, not yet recorded by a driver
            return None
        reached = self.known.reached(trial)
        if 0 <= reached < len(self.rungs) - 1 and all(m.rung <= reached for m in trial.measurements):
            if not self.known.goes_on(trial, reached):
                self.records.stop(trial, reached)
                return None
            self.known.went_on(trial, reached + 1)
        return self._run_from(trial, min(reached + 1, len(self.rungs) - 1))

    def _promoted(self) -> TrialRecord | None:
        """Take up a stopped trial that is among the best of its rung, if there is one."""
        known = self.known
        found = known.promotion(closing=known.budget_left <= 0 and not known.running)
        return None if found is None else self.records.resume(*found)

    def _begin_next(self) -> None:
        """Begin the next trial, which then waits to be taken up; screened or known ones are set aside."""
        begun = [self.records.begin(proposed) for proposed in self.proposals.next()]
        if any(trial.outcome is Outcome.RUNNING for trial in begun):
            self.records.write_begun()
        for trial in begun:
            if trial.outcome is Outcome.RUNNING:
                self._waiting.append(trial)
            else:
                self.progress.set_aside(trial)
        if self.known.exhausted and self.known.budget_left <= 0:
            told = "study %r: %d proposals in a row were known or screened, so no further trial begins"
            logger.warning(told, self.config.study, GIVE_UP)

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
            folder=self.records.place(trial),
            threads=max(1, int(executor.cpus_per_trial)),
            classes=len(self.data.classes),
            channels=self.data.channels,
            data_digest=self.data.digest,
            measure=self.measuring.wanted(is_seed=trial.seed is not None),
            sign=self.sign,
            identity=identity_of(trial.digest, self.fidelities),
        )

    def _at_rung(self, report: Report, source: TrialRecord | None) -> bool:
        """Take in a trial at the end of a rung; return whether it goes on at once."""
        trial, rung = self.known.trials[report.number], report.rung
        end = next(m for m in trial.measurements if (m.rung, m.epoch) == (rung, self.rungs[rung].epochs))
        self.known.ended(trial, end)
        if not self.stopping and self.known.goes_on(trial, rung) and self._known_elsewhere(trial, rung + 1) is None:
            self.known.went_on(trial, rung + 1)
            return True
        self.records.stop(trial, rung, source)
        return False

    # ----------------------------------------------------------------------------------------------------- never twice

    def _known_elsewhere(self, trial: TrialRecord, rung: int) -> TrialRecord | None:
        """Return a trial of another study of the ledger that was trained to just the end of this rung, or diverged.

        At the top rung one whose weights are gone, or of a later rung, is of no use, since this study could not give
        them away. Where something is measured on a device there is none: it may have been another device.
        """
        if self.config.measured:
            return None
        for known in self.ledger.known(trial.digest, self.fidelities[rung], besides=self.config.study):
            places, end = [(m.rung, m.epoch) for m in known.trial.measurements], (known.rung, self.rungs[rung].epochs)
            trained = end in places
            diverged = known.trial.outcome is Outcome.DIVERGED and known.rung in {0, *(at for at, _ in places)}
            useful = rung < len(self.rungs) - 1 or (places[-1:] == [end] and self.records.has_weights(known.trial))
            if useful if trained else diverged:
                return known.trial
        return None

    def _take_over(self, trial: TrialRecord, rung: int, source: TrialRecord) -> bool:
        """Record what another study knows as if a worker had said it; return whether the trial goes on."""
        fidelity, epochs = self.fidelities[rung], self.rungs[rung].epochs
        at = self.ledger.study(source.study).fidelities.index(fidelity)
        end = next((m for m in source.measurements if (m.rung, m.epoch) == (at, epochs)), None)
        before = next((m for m in source.measurements if m.epoch == 0), None)
        spent = seconds_of(self.known.trials[trial.number].measurements)
        measurements = [
            Measurement(*place, known.values, spent)
            for known, place in ((before, (0, 0)), (end, (rung, epochs)))
            if known is not None
        ]
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
        return self.report(report, source, measurements)

    # ------------------------------------------------------------------------------------------------------------- life

    def execute(self, executor: Executor, make: type[Worker]) -> None:
        """Let the executor run all there is to do."""
        self.ledger.set_state(self.config.study, "running")
        if self.config.ray.address is not None:
            self.sign = self.records.leave_sign()
        with self.progress:
            executor.run(self, make)

    def stop(self) -> None:
        """Ask for an end after the running epochs; the next run goes on."""
        self.stopping = True
        self.progress.stopping()

    def finish(self, *, failed: bool = False) -> None:
        """Note whether the study is complete; where something ``failed`` the ledger may lack the last that is known."""
        open_still = failed or self.known.budget_left > 0 or self.known.running or self.known.promotion(closing=True)
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

    return RayTuneExecutor(config.executor, config.ray.address)


def _check_seeds(config: SearchConfig) -> list[Architecture]:
    """Return the seeds; one that does not fit target or proxies is a RequestError now, not a broken trial later."""
    seeds = [seed(name) for name in config.seeds]
    for architecture in seeds:
        architecture.graph(config.target.resolution)
        for rung in config.settings():
            proxy(architecture, rung.resolution, rung.width).graph(rung.resolution, aux=True)
    return seeds
