"""The life of one candidate inside a worker: measure, build, train epoch by epoch, leave weights and a result behind.

It is made from a ``Job`` and gives one ``Report`` an epoch (nas/job.py). At the end of a rung it says that the trial
stopped there, and goes on to the next rung if it is asked for another step. The result is written before it is
reported, so that a driver that died in between finds it and does not train again.
"""

import errno
import gc
import logging
import shutil
import traceback as tracebacks
from pathlib import Path
from typing import TYPE_CHECKING

from nas.job import CHECKPOINTS, RESULT, WEIGHTS, Job, Report, left_behind, result_file
from nas.measuring import Measured, Wanted, measure_target
from nas.rungs import Rung
from nas.storage import folder_at
from nas.time_limit import TimeLimit
from results.outcome import Outcome
from search_spaces.errors import NotWritten, RequestError
from search_spaces.files import remove_drafts, write_files
from trainers.memory import is_out_of_memory, predict_inference, predict_training, size_text
from trainers.torch_calls import Device, Setting

if TYPE_CHECKING:
    import torch

    from search_spaces.graph import Graph
    from trainers.fit import Diverged, EpochResult, Fit

logger = logging.getLogger("nas.candidate")

CHANGED = "the data {!r} are not those that the study began with: bring them back, or begin a study of another name"


class Candidate:
    """Trains a proxy of the job's architecture."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.rungs = tuple(Rung(**rung) for rung in job.rungs)
        self.rung = job.rung  # that is being trained for
        self.store = folder_at(job.folder)
        self.folder = self.store.path
        self._fetched = False
        self.fit: Fit | None = None
        self.measured = Measured({}, "")
        self.predicted: int | None = None  # peak of the training's memory in bytes
        self.history: list[EpochResult] = []  # of a training that had to be let go
        self.limit = TimeLimit(self.store.marks, job.token, job.limit_s) if job.limit_s else None
        self._at_end = False  # of a rung

    def step(self) -> Report:
        """Train one epoch, save a checkpoint, and report; the last report of a trial is final and kept in a file.

        Before the first epoch comes what is to be measured. A mistake inside a trial ends that trial, not the search:
        it is reported as broken with its traceback. Where nothing can be written it is no trial's mistake, and every
        other one would only train in vain: the search halts.
        """
        try:
            return self._tried()
        except (NotWritten, OSError) as error:
            if not _not_written(error):
                raise
            return Report(self.job.number, 0, 0, rung=self.rung, halt=str(error))

    def _tried(self) -> Report:
        try:
            report = self._begun() or self._step()
            if report.final and self.limit is not None:
                self.limit.end()
            self.store.send()
            return report
        except Exception as error:  # the boundary between a trial and the search: kept, never swallowed
            if self.limit is not None:
                self.limit.end()
            if _not_written(error):
                raise
            if not is_out_of_memory(error):
                return self._end(Outcome.BROKEN, f"{type(error).__name__}: {error}", tracebacks.format_exc())
            said = str(error)
        report = self._out_of_memory(said)  # out of the except block, whose error holds on to what filled the memory
        self.store.send()
        return report

    def _begun(self) -> Report | None:
        """Fetch what there is of the trial and start its clock; return a report where its time was up before."""
        if self._fetched:
            return None
        if self.job.sign:
            self.store.check_sign(self.job.sign)
        self.store.fetch()
        remove_drafts(self.folder)
        self._fetched = True
        if self.limit is None:
            return None
        if self.limit.passed:
            reason = (
                f"it had not ended after {self.job.limit_s:g} s (executor.trial_limit_s) and its process was killed: "
                "raise the limit, or look at where it was"
            )
            return self._end(Outcome.TIMED_OUT, reason, self.limit.trace)
        self.limit.start()
        return None

    def _step(self) -> Report:
        from trainers import measure
        from trainers.device_turns import turns

        device = measure.device_named("auto")
        if self._at_end:
            self._go_on()
        elif self.fit is None:
            measure.hold_to(device, self.job.gpu_share)
            ended = left_behind(self.folder, self.job.number, self.job.identity)
            if ended is not None and not (ended.lacked_memory and self.job.gpu_share > ended.gpu_share):
                self._drop_checkpoints(ended.outcome)  # another process of this trial finished it, and died before
                return ended  # it could do this, or say so
            self._find_rung()
            if self.job.measure is not None and (beyond := self._measure(Wanted(**self.job.measure))):
                return self._end(Outcome.SCREENED, beyond)
        with turns(measure.lasting_name(device)) as turn, turn.shared():
            if self.fit is None:
                measure.forget_peak(device)
                self.fit = self._begin(device)
            result = None
            if self.fit.epochs_done < self.rungs[self.rung].epochs:
                result = self.fit.epoch(rest=lambda: turn.give_way(lambda: measure.settle(device)))
        return self._after(self.fit, result)

    def _find_rung(self) -> None:
        """Turn to the rung of the newest training: another process of this trial may have gone on to it."""
        for index in range(self.rung + 1, len(self.rungs)):
            training = self.rungs[index].training
            if training != self.rungs[self.rung].training and (self.folder / CHECKPOINTS / str(training)).is_dir():
                self.rung = index

    def _go_on(self) -> None:
        """Turn to the next rung; one that is another training begins it anew."""
        before, self.rung, self._at_end = self.rungs[self.rung], self.rung + 1, False
        if self.limit is not None:
            self.limit.start()
        if self.rungs[self.rung].training != before.training:
            self.fit, self.history = None, []

    @property
    def _checkpoints(self) -> Path:
        return self.folder / CHECKPOINTS / str(self.rungs[self.rung].training)

    def _after(self, fit: "Fit", result: "EpochResult | Diverged | None") -> Report:
        """Keep what an epoch came to; without a result the epochs were all behind us."""
        from trainers.fit import Diverged

        if isinstance(result, Diverged):
            return self._end(Outcome.DIVERGED, result.sentence)
        if result is not None:
            fit.save(self._checkpoints)
            self._drop_earlier_trainings()
        rung = self.rungs[self.rung]
        if fit.epochs_done < rung.epochs:
            return self._report(Outcome.RUNNING)
        if self.rung < len(self.rungs) - 1:
            self._at_end = True
            return self._report(Outcome.STOPPED, f"trained to the end of rung {self.rung}: {rung.sentence}")
        self._write_weights(fit)
        return self._end(Outcome.COMPLETE, "")

    def _drop_earlier_trainings(self) -> None:
        for earlier in range(self.rungs[self.rung].training):
            shutil.rmtree(self.folder / CHECKPOINTS / str(earlier), ignore_errors=True)

    def _measure(self, wanted: Wanted) -> str:
        """Measure the target; say which limits it exceeds, if any."""
        from search_spaces.architecture_file import from_data

        self.measured = measure_target(from_data(self.job.architecture), wanted, self.folder)
        return self.measured.beyond(wanted.limits)

    def _begin(self, device: "torch.device") -> "Fit":
        import torch

        from trainers.checkpoint import NoneWhole
        from trainers.data import load
        from trainers.evaluate import BATCH
        from trainers.fit import Fit
        from trainers.network import build
        from trainers.recipe import Recipe
        from trainers.source import DataSource

        torch.set_num_threads(self.job.threads)
        rung, random_seed = self.rungs[self.rung], self.job.random_seed
        recipe = rung.recipe(Recipe(**self.job.recipe))
        source = DataSource.from_data(self.job.data)
        # For the last rung's resolution at every rung: the side of the stored pictures may depend on it.
        data = load(source, random_seed=random_seed, resolution=self.rungs[-1].resolution)
        if self.job.data_digest not in (None, data.digest):
            raise RequestError(CHANGED.format(source.source))
        data = data.reduced(resolution=rung.resolution, share=rung.share)
        graph = trained_graph(self.job, rung, len(data.classes), data.channels)
        validation = min(BATCH, len(data.validation))
        kind: Device = "cuda" if device.type == "cuda" else "cpu"
        self.predicted = predict_training(graph, recipe, device=kind, validation_batch=validation).peak
        network = build(graph, initialise=random_seed, device=device, classifier_deviation=recipe.classifier_deviation)
        fit = Fit(network, data, recipe, device=device, random_seed=random_seed)
        try:
            fit.restore(self._checkpoints)
        except NoneWhole as error:
            logger.warning("trial %d is trained anew: %s", self.job.number, error)
            shutil.rmtree(self._checkpoints)
        while rung.epochs < fit.epochs_done:  # a stage that another process has gone past
            self.rung += 1
            rung = self.rungs[self.rung]
        return fit

    def _out_of_memory(self, said: str) -> Report:
        """Let go of what the trial holds, and end it with what was predicted and what there was."""
        from trainers import measure

        device = measure.device_named("auto")
        peak, counted = measure.peak_so_far(device)
        self.history, self.fit = (self.fit.history if self.fit else self.history), None
        gc.collect()
        measure.release(device)
        peaks = f"the actual peak was {size_text(peak)} {counted}, of {size_text(measure.memory_bytes(device))}"
        if self.predicted is None:
            what = (
                f"out of memory before the training: {peaks}; lower measure.batch or target.resolution if it measured"
            )
        else:
            what = (
                f"out of memory in epoch {len(self.history) + 1}: predicted were {size_text(self.predicted)} besides "
                f"the data, and {peaks}; lower recipe.batch_size, proxy.width or proxy.resolution"
            )
        reason = f"{what}, or let fewer trials share the device ({said.strip().splitlines()[0][:200]})"
        return self._end(Outcome.OUT_OF_MEMORY, reason)

    def _report(self, outcome: Outcome, reason: str = "", traceback: str | None = None) -> Report:
        seconds, history = 0.0, []
        for epoch in self.fit.history if self.fit else self.history:
            seconds += epoch.seconds
            history.append(({"error": epoch.validation_error}, seconds))
        return Report(
            number=self.job.number,
            epoch=len(history),
            epochs=self.rungs[self.rung].epochs,
            rung=self.rung,
            gpu_share=self.job.gpu_share,
            values=history[-1][0] if history else {},
            seconds=seconds,
            history=tuple(history),
            outcome=outcome,
            reason=reason,
            traceback=traceback,
            measured=self.measured.values,
            device=self.measured.device,
        )

    def _write_weights(self, fit: "Fit") -> None:
        from search_spaces.architecture_file import from_data
        from search_spaces.proxy import proxy
        from trainers.checkpoint import write

        job, data, rung = self.job, fit.data, self.rungs[self.rung]
        whole = from_data(job.architecture)
        about = {
            "digest": proxy(whole, rung.resolution, rung.width).digest,
            "stands_for": whole.digest,
            "epochs": fit.epochs_done,
            "classes": len(data.classes),
            "channels": data.channels,
            "resolution": data.resolution,
            "trained": {
                "on": job.data,
                "data_digest": job.data_digest,
                "random_seed": job.random_seed,
                **data.seen(),
            },
        }
        write(self.folder / WEIGHTS, fit.result.state_dict(), about)

    def _end(self, outcome: Outcome, reason: str, traceback: str | None = None) -> Report:
        report = self._report(outcome, reason, traceback)
        if outcome is not Outcome.BROKEN:  # a mistake may be mended: the next run tries again
            write_files(self.folder, {RESULT: result_file(report, self.job.identity)})
            self._drop_checkpoints(outcome)
        return report

    def _drop_checkpoints(self, outcome: Outcome) -> None:
        """Remove the checkpoints of a trial that has ended: its weights are written, or of no use."""
        if not (outcome is Outcome.OUT_OF_MEMORY and self.job.may_try_again):
            shutil.rmtree(self.folder / CHECKPOINTS, ignore_errors=True)


def trained_graph(job: Job, rung: Rung, classes: int, channels: int) -> "Graph":
    """Return the graph that a job trains at a rung, auxiliary heads included where the recipe weighs them."""
    from search_spaces.architecture_file import from_data
    from search_spaces.proxy import proxy

    small = proxy(from_data(job.architecture), rung.resolution, rung.width)
    return small.graph(rung.resolution, classes=classes, channels=channels, aux=job.recipe["aux_weight"] > 0)


def predicted_bytes(job: Job) -> int:
    """Return the most memory that a job needs on a GPU, its pictures set aside.

    That of its trainings from its rung on, or of what is measured of the target there.
    """
    from search_spaces.architecture_file import from_data
    from trainers.evaluate import BATCH
    from trainers.recipe import Recipe

    recipe = Recipe(**job.recipe)
    rungs = [Rung(**rung) for rung in job.rungs[job.rung :]]
    peaks = [
        predict_training(
            trained_graph(job, rung, job.classes, job.channels),
            rung.recipe(recipe),
            device="cuda",
            validation_batch=BATCH,
        ).peak
        for rung in {rung.training: rung for rung in rungs}.values()
    ]
    if job.measure is not None and (wanted := Wanted(**job.measure)).device == "worker":
        half = Recipe(precision=wanted.precision).half_on("cuda")  # type: ignore[arg-type]  # checked by the file
        target = from_data(job.architecture).graph(wanted.resolution, classes=wanted.classes, channels=wanted.channels)
        peaks.append(predict_inference(target, Setting(wanted.batch, half, True, "cuda")))
    return max(peaks)


def _not_written(error: Exception) -> bool:
    """Whether a file could not be written: by ``write_files``, or where nobody has put that into a sentence."""
    no_room = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    return isinstance(error, NotWritten) or (isinstance(error, OSError) and error.errno in no_room)
