"""THE MAIN PATH: propose -> screen -> run -> record.

One driver owns a study. It asks the sampler for the next candidate, screens it before any training, hands it to the
executor as a job, and records every report in the ledger before the sampler learns of it. All state is the ledger's: a
driver that starts on an old study reads it, takes over what was interrupted, and goes on.
"""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nas.candidate import Candidate, Job, Report, Worker, left_behind
from nas.config import DATA_SPLIT, MAY_DIFFER, SPACE_DIGEST, SearchConfig
from nas.doctor import hardware
from nas.executors.contract import Executor
from nas.interrupt import Interrupt
from nas.measuring import Measuring
from nas.progress import Progress
from nas.runs import Runs
from nas.samplers.contract import Sampler
from nas.study import Study
from results.ledger import Ledger
from results.outcome import Measurement, Outcome, StudyState, TrialRecord
from search_spaces.architecture import Architecture
from search_spaces.cost import Cost, cost
from search_spaces.errors import RequestError, SearchFailed
from search_spaces.genes import OutsideSpace
from search_spaces.proxy import proxy
from search_spaces.seeds import seed
from search_spaces.space import SearchSpace, space
from trainers.data import DataSet, load

logger = logging.getLogger("nas.driver")

GIVE_UP = 500  # proposals in a row that lead to no training
BROKEN_IN_A_ROW = 3  # the same mistake so often is the program's, not the architecture's


def run(
    config: SearchConfig,
    runs: Path | Runs,
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
    place = Runs.of(runs)
    with place.write() as ledger, ledger.hold(config.study):
        place.make_folder(config.study)
        _create(ledger, config, searched, data)
        driver = Driver(config, ledger, place.folder, searched, data, seeds, progress)
        try:
            if driver.open_trials:
                with Interrupt(driver.stop):
                    driver.execute(executor or make_executor(config), make)
            else:
                driver.progress.nothing_to_do()
        finally:  # however it ended, no reader is told that it still runs
            driver.finish()
    return Study.open(config.study, place)


class Driver:
    """The ``Work`` of an executor: hands out jobs, takes reports, keeps the ledger, teaches the sampler."""

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
        self.measuring = Measuring(config, len(data.classes))
        self.progress = progress
        self.stopping = False
        self.trials = {trial.number: trial for trial in ledger.trials(config.study)}
        self._recorded = {(trial.number, m.epoch) for trial in self.trials.values() for m in trial.measurements}
        self.sampler = make_sampler(config, searched)
        for trial in self.trials.values():
            self._tell(trial)
        self._interrupted = [trial for trial in self.trials.values() if not trial.outcome.final]
        # A trial that broke was the program's fault: it uses up no budget, and a seed is tried again.
        known = {trial.seed for trial in self.trials.values() if trial.outcome is not Outcome.BROKEN}
        self._seeds = [architecture for architecture in seeds if architecture.name not in known]
        self._mistakes: list[str] = []
        progress.begin(config, self.trials.values())

    # ------------------------------------------------------------------------------------------- what an executor sees

    @property
    def open_trials(self) -> int:
        """Trials that are still to be run or finished."""
        trained = sum(trial.outcome.trained for trial in self.trials.values())
        return max(len(self._interrupted), self.config.trials - trained)

    def next_job(self) -> Job | None:
        """Return the next trial: interrupted ones first, then seeds, then what the sampler proposes."""
        while self._interrupted:
            trial = self._interrupted.pop(0)
            job = self._job(trial)
            if (report := left_behind(Path(job.folder), job.number)) is None:
                self.progress.started(trial)
                return job
            self.report(report)  # finished by a worker, not yet recorded by a driver
        for _ in range(GIVE_UP):
            if self.stopping:
                return None
            under_way = sum(t.outcome.trained or not t.outcome.final for t in self.trials.values())
            if under_way >= self.config.trials:
                return None
            trial = self._next_trial()
            self._record_start(trial)
            if trial.outcome is Outcome.RUNNING:
                return self._job(trial)
        raise RequestError(
            f"{GIVE_UP} proposals in a row were screened or known{self._out_of_reach()}: widen the limits or the space "
            f"of study {self.config.study!r}, or ask for fewer trials"
        )

    def _out_of_reach(self) -> str:
        """Say how near to the limits the screened proposals came, where none kept one."""
        costs = [trial.costs for trial in self.trials.values() if trial.outcome is Outcome.SCREENED]
        least = {name: min((cost[name] for cost in costs if name in cost), default=0) for name in self.config.limits}
        missed = [
            f"none of them had less than {least[name]:,} {name}, and {most:,.0f} are allowed"
            for name, most in self.config.limits.items()
            if least[name] > most
        ]
        return f" ({'; '.join(missed)})" if missed else ""

    def report(self, report: Report) -> None:
        """Record what a worker said: the ledger first, then the sampler and the screen."""
        trial = self.trials[report.number]
        if trial.outcome.final:
            return
        name = self.config.study
        self.measuring.check_device(report.number, report.device)
        before = [(report.measured, 0.0)] if report.measured else []
        for epoch, (values, seconds) in enumerate([*before, *report.history], 1 - len(before)):
            if (report.number, epoch) not in self._recorded:
                self._recorded.add((report.number, epoch))
                self.ledger.record_measurement(name, report.number, Measurement(0, epoch, dict(values), seconds))
        missing = [
            name for name in ("error", *self.config.measured) if name not in {**report.values, **report.measured}
        ]
        if report.outcome is Outcome.COMPLETE and missing:
            report = replace(report, outcome=Outcome.BROKEN, reason=f"the worker measured no {missing[0]}")
        if report.final:
            complete = report.outcome is Outcome.COMPLETE
            self.ledger.finish_trial(
                name,
                report.number,
                report.outcome,
                reason=report.reason,
                values=self._values(trial, report) if complete else None,
                seconds=report.seconds,
                artifact=str(self._folder(trial).relative_to(self.runs)) if complete else None,
                traceback=report.traceback,
                violations={**trial.violations, **self.measuring.violations(report.measured)},
            )
            self.trials[report.number] = self.ledger.trial(name, report.number)
            self._tell(self.trials[report.number])
            self._watch_mistakes(report)
            self.measuring.watch(screened=report.outcome is Outcome.SCREENED, reason=report.reason)
        self.progress.reported(self.trials[report.number], report)

    # ------------------------------------------------------------------------------------------------- the next trial

    def _next_trial(self) -> TrialRecord:
        """A seed that was not tried, or a proposal; screened or known ones come with their outcome."""
        number = max(self.trials, default=-1) + 1
        if self._seeds:
            architecture = self._seeds.pop(0)
            try:
                genes = self.space.encode(architecture)
            except OutsideSpace:
                genes = None  # it can be trained and compared; the sampler cannot learn from it
            return self._trial(number, architecture, genes, architecture.name)
        genes = self.sampler.propose(number)
        return self._trial(number, self.space.decode(genes), genes, None)

    def _trial(
        self, number: int, architecture: Architecture, genes: dict[str, float | int | str] | None, name: str | None
    ) -> TrialRecord:
        target = self.config.target
        counted = cost(
            architecture, target.resolution, classes=target.classes or len(self.data.classes), channels=target.channels
        )
        violations = self._violations(architecture, counted)
        same = next(
            (
                t
                for t in self.trials.values()
                if t.digest == architecture.digest and t.outcome not in (Outcome.DUPLICATE, Outcome.BROKEN)
            ),
            None,
        )
        outcome, reason = Outcome.RUNNING, ""
        if same is not None:
            outcome, reason = Outcome.DUPLICATE, f"the same architecture as trial {same.number}"
            violations = {**same.violations, **violations}  # what was measured of it too
        elif name is None and (broken := {key: size for key, size in violations.items() if size > 0}):
            outcome, reason = (
                Outcome.SCREENED,
                "exceeds " + ", ".join(f"{key} by {size:.3g}" for key, size in broken.items()),
            )
        return TrialRecord(
            study=self.config.study,
            number=number,
            digest=architecture.digest,
            seed=name,
            origin="sampler" if name is None else "seed",
            architecture=architecture.as_data(),
            genes=genes,
            costs={key: value for key, value in counted.as_data().items() if value is not None},
            outcome=outcome,
            reason=reason,
            violations=violations,
        )

    def _violations(self, architecture: Architecture, counted: Cost) -> dict[str, float]:
        """By limit (as a share of it) and principle, how far it is exceeded; 0 or less where it is kept."""
        costs = asdict(counted)
        limits = self.config.limits
        found = {f"limit:{name}": costs[name] / most - 1 for name, most in limits.items() if name in costs}
        audit = self.space.audit(architecture)
        for finding in (*audit.principles, *audit.rules):
            if finding.name not in audit.off:
                found[f"principle:{finding.name}"] = finding.violation
        return found

    def _record_start(self, trial: TrialRecord) -> None:
        if trial.outcome is Outcome.RUNNING:  # a new trial: files in its place are another ledger's
            shutil.rmtree(self._folder(trial), ignore_errors=True)
        self.ledger.start_trial(trial)
        self.trials[trial.number] = trial
        if trial.outcome is Outcome.RUNNING:
            self.progress.started(trial)
        else:
            self._tell(trial)
            self.progress.set_aside(trial)

    def _job(self, trial: TrialRecord) -> Job:
        executor = self.config.executor
        return Job(
            number=trial.number,
            architecture=trial.architecture,
            resolution=self.config.proxy.resolution,
            width=self.config.proxy.width,
            data=self.config.data.absolute().as_data(),
            recipe=asdict(self.config.recipe),
            random_seed=self.config.random_seed,
            folder=str(self._folder(trial).resolve()),
            threads=max(1, int(executor.cpus_per_trial)),
            data_digest=self.data.digest,
            measure=self.measuring.wanted(is_seed=trial.seed is not None),
        )

    def _folder(self, trial: TrialRecord) -> Path:
        return self.runs / self.config.study / "trials" / str(trial.number)

    # ---------------------------------------------------------------------------------------------------- what is known

    def _values(self, trial: TrialRecord, report: Report) -> dict[str, float]:
        """The objectives of a finished trial: measured ones from the report, costs from the target."""
        counted = {name: float(count) for name, count in trial.costs.items()}
        known = {**counted, **report.measured, **report.values}
        return {name: known[name] for name in self.config.objectives}

    def _tell(self, trial: TrialRecord) -> None:
        if trial.genes is None or not trial.outcome.final:
            return
        values = trial.values
        if trial.outcome is Outcome.DUPLICATE:
            values = next((t.values for t in self.trials.values() if t.digest == trial.digest and t.values), {})
        elif trial.outcome is Outcome.SCREENED:
            measured = next((m.values for m in trial.measurements if m.epoch == 0), {})
            known = {**trial.costs, **measured}
            values = {name: float(known[name]) for name in self.config.objectives if name in known}
        self.sampler.tell(trial.number, trial.genes, values, trial.violations)

    def _watch_mistakes(self, report: Report) -> None:
        self._mistakes = [*self._mistakes, report.reason] if report.outcome is Outcome.BROKEN else []
        if len(self._mistakes) >= BROKEN_IN_A_ROW and len(set(self._mistakes[-BROKEN_IN_A_ROW:])) == 1:
            raise SearchFailed(
                f"the last {BROKEN_IN_A_ROW} trials of study {self.config.study!r} broke in one way, {report.reason}: "
                "the traceback is kept with the trials; mend the cause and run the search again"
            )

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
        trained = sum(trial.outcome.trained for trial in self.trials.values())
        running = any(not trial.outcome.final for trial in self.trials.values())
        state: StudyState = "complete" if trained >= self.config.trials and not running else "stopped"
        if self.ledger.study(self.config.study).state != state:
            self.ledger.set_state(self.config.study, state)


# ------------------------------------------------------------------------------------------------------------ the parts


def make_sampler(config: SearchConfig, searched: SearchSpace) -> Sampler:
    """Return the sampler that a search file names."""
    from nas.samplers.optuna_samplers import OptunaSampler

    return OptunaSampler(config.sampler, searched.genes, config.objectives, config.random_seed)


def make_executor(config: SearchConfig) -> Executor:
    """Return the executor that a search file names."""
    if config.executor.name == "inline":
        from nas.executors.inline import InlineExecutor

        return InlineExecutor()
    from nas.executors.ray_tune import RayTuneExecutor

    return RayTuneExecutor(config.executor)


def _check_seeds(config: SearchConfig) -> list[Architecture]:
    """Return the seeds; one that does not fit target or proxy is a RequestError now, not a broken trial later."""
    seeds = [seed(name) for name in config.seeds]
    for architecture in seeds:
        architecture.graph(config.target.resolution)
        proxy(architecture, config.proxy.resolution, config.proxy.width).graph(config.proxy.resolution, aux=True)
    return seeds


def _create(ledger: Ledger, config: SearchConfig, searched: SearchSpace, data: DataSet) -> None:
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
