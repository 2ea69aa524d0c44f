"""One process of a training fails: all end by its sentence, and what failed stands in the training's folder."""

import errno
import json
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from torch import OutOfMemoryError

from search_spaces.architecture import Architecture, Module, Stage
from search_spaces.errors import NotWritten, RequestError, RunFailed, TrainingFailed
from search_spaces.operations import Conv
from trainers import failure, one_end
from trainers.failure import FAILURE, Failure, Notice
from trainers.training import TrainingJob
from trainers.world import Lost, World, _others

BROKE = Failure("broke", "process 1 of the training broke (ZeroDivisionError: x)", 1, "there", "Traceback ...")


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as caught:
        return caught


# -------------------------------------------------------------------------------------------------------- what it says


@pytest.mark.parametrize(
    ("error", "kind", "status", "sentence"),
    [
        (RequestError("name another"), "request", 2, "name another"),
        (NotWritten("the disk is full"), "failed", 1, "the disk is full; the same command goes on"),
        (TrainingFailed("the loss is nan"), "failed", 1, "the loss is nan"),
        (RunFailed("it ended"), "failed", 1, "it ended"),
        (
            OSError(errno.EIO, "Input/output error"),
            "failed",
            1,
            "the system refused: [Errno 5] Input/output error; mend",
        ),
        (
            ZeroDivisionError("by\nzero"),
            "broke",
            1,
            "process 3 of the training broke (ZeroDivisionError: by): the trace",
        ),
        (KeyError(), "broke", 1, "process 3 of the training broke (KeyError: ): the traceback is in failure.json"),
    ],
)
def test_an_error_becomes_data_and_an_error_again(error: Exception, kind: str, status: int, sentence: str) -> None:
    found = Failure.of(raised(error), rank=3)
    assert (found.kind, found.status, found.rank, found.host) == (kind, status, 3, socket.gethostname())
    assert found.sentence.startswith(sentence)
    assert ("ZeroDivisionError" in found.traceback or "KeyError" in found.traceback) == (kind == "broke")
    assert type(found.error) is (RequestError if kind == "request" else TrainingFailed)
    assert str(found.error) == found.sentence
    assert "\n" not in found.sentence
    assert Failure(**json.loads(json.dumps(asdict(found)))) == found


def test_the_first_failure_stands(tmp_path: Path) -> None:
    notice = Notice(tmp_path, "one")
    assert notice.found() is None
    assert notice.awaited(0.0) is None
    assert notice.tell(BROKE) == BROKE
    assert notice.found() == BROKE
    assert notice.tell(Failure("failed", "later")) == BROKE
    assert notice.awaited(60.0) == BROKE
    notice.clear()  # of this attempt: stays
    assert notice.found() == BROKE


def test_what_an_earlier_attempt_told_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    Notice(tmp_path, "one").tell(BROKE)
    notice = Notice(tmp_path, "two")
    assert notice.found() is None
    notice.clear()
    assert not (tmp_path / FAILURE).exists()
    Notice(tmp_path, "one").tell(BROKE)
    later = Failure("failed", "later")
    assert notice.tell(later) == later
    assert notice.found() == later


@pytest.mark.parametrize(
    "content", ["", "[]", "3", '{"attempt": "one"}', '{"attempt": "one", "failure": {"x": 1}}', "\x00", '"one"']
)
def test_a_file_that_is_none_of_ours_tells_nothing(content: str, tmp_path: Path) -> None:
    (tmp_path / FAILURE).write_text(content)
    assert Notice(tmp_path, "one").found() is None


def test_where_nothing_can_be_written_the_failure_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise NotWritten("no space")

    monkeypatch.setattr(failure, "write_files", full)
    assert Notice(tmp_path, "one").tell(BROKE) == BROKE
    assert "the other processes are not told that this one failed: no space" in caplog.text


# ------------------------------------------------------------------------------------------------------------- one end


class Together(World):
    """The first of two processes, of which the other says the same."""

    def all(self, value: Any) -> list[Any]:
        return [value, value]


def test_a_process_that_is_alone_raises_its_own_errors(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), one_end.one_end(tmp_path, World()):
        raise ZeroDivisionError
    with (
        pytest.raises(TrainingFailed, match=r"the system refused: .*full; mend that"),
        one_end.one_end(tmp_path, World()),
    ):
        raise OSError(errno.ENOSPC, "full")
    assert not (tmp_path / FAILURE).exists()


def test_a_process_that_others_started_tells_what_failed(tmp_path: Path) -> None:
    """Though it is alone: who started it reads that."""
    with (
        pytest.raises(TrainingFailed, match="process 0 of the training broke"),
        one_end.one_end(tmp_path, World(attempt="a")),
    ):
        raise ZeroDivisionError
    found = Notice(tmp_path, "a").found()
    assert found is not None
    assert "ZeroDivisionError" in found.traceback


def test_its_own_sentence_stays_and_is_told(tmp_path: Path) -> None:
    world = Together(0, 2, "a")
    with pytest.raises(RequestError, match="no such class"), one_end.one_end(tmp_path, world):
        raise RequestError("no such class")
    assert Notice(tmp_path, "a").found() == Failure("request", "no such class", 0, socket.gethostname())


@pytest.mark.parametrize("world", [World(), Together(0, 2, "a")])
def test_a_disk_that_refuses_is_no_wrong_request_however_it_says_so(world: World, tmp_path: Path) -> None:
    for error in (NotWritten("no room"), OSError(errno.ENOSPC, "no room")):
        with (
            pytest.raises(TrainingFailed, match=r"no room.*the same command goes on"),
            one_end.one_end(tmp_path, world),
        ):
            raise error


def test_what_another_has_told_is_raised_instead(tmp_path: Path) -> None:
    """Whether this one failed later by itself, or lost the other."""

    def told_meanwhile(error: Exception) -> None:
        with one_end.one_end(tmp_path, Together(0, 2, "a")):
            Notice(tmp_path, "a").tell(BROKE)
            raise error

    for error in (ZeroDivisionError(), Lost("gone"), TrainingFailed("mine")):
        with pytest.raises(TrainingFailed) as caught:
            told_meanwhile(error)
        assert str(caught.value) == BROKE.sentence
        (tmp_path / FAILURE).unlink()


def test_one_that_has_gone_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_end, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(Lost, match="gone"), one_end.one_end(tmp_path, Together(0, 2, "a")):
        raise Lost("gone")
    assert not (tmp_path / FAILURE).exists()


# --------------------------------------------------------------------------------------------------------------- world


def test_errors_of_others_are_told_from_ones_own() -> None:
    with pytest.raises(Lost, match=r"gone without a word \(Connection closed\): look at its machine"), _others():
        raise RuntimeError("Connection closed\nmore")
    timed_out = RuntimeError("[unbound_buffer.cc:78] Timed out waiting 4000ms for recv operation to complete")
    for error in (timed_out, ValueError("Default process group has not been initialized")):
        with pytest.raises(Lost, match="an exchange between the processes of the training failed") as caught, _others():
            raise error
        assert "gone" not in str(caught.value)  # nobody said so
        assert str(error) in str(caught.value)
        assert caught.value.__cause__ is error
    with pytest.raises(OutOfMemoryError), _others():
        raise OutOfMemoryError("CUDA out of memory")
    with pytest.raises(KeyError), _others():
        raise KeyError


@pytest.mark.parametrize("error", [RequestError("a"), TrainingFailed("a"), OSError(28, "a")])
def test_a_refusal_keeps_its_kind_in_all_processes(error: Exception) -> None:
    def refuse() -> None:
        raise error

    with pytest.raises(type(error)):
        World().together(refuse)
    with pytest.raises(RequestError if isinstance(error, RequestError) else TrainingFailed, match="a"):
        Together(0, 2).together(refuse)
    with pytest.raises(ZeroDivisionError):  # a mistake in the code is no refusal
        Together(0, 2).together(lambda: 1 // 0)


# ------------------------------------------------------------------------------------------------------- two processes

WORKER = """
import json, os, sys, time
from torch import distributed
from search_spaces.errors import RequestError
from trainers import one_end
from trainers.training import TrainingJob, train
from trainers.watch import Watch
from trainers.world import World
rank, folder, how = int(sys.argv[1]), sys.argv[2], sys.argv[3]
one_end.LOOK_SECONDS, one_end.GRACE_SECONDS = 0.1, 0.5
if how == "gone":
    one_end.PATIENCE_SECONDS = 0.2

class Fails(Watch):
    def step(self, done, steps):
        if rank == 1 and done == 3:
            if how == "broke":
                raise ZeroDivisionError("three")
            if how == "gone":
                os._exit(9)
            if how == "hangs":
                one_end.Notice(one_end.Path(folder), "try").tell(one_end.Failure("request", "it cannot be", 1))
                time.sleep(600)

distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
job = TrainingJob(**json.load(open(folder + "/job.json")))
try:
    train(job, world=World.joined("try" if how == "hangs" else ""), watch=Fails())
except Exception as error:
    print(type(error).__name__, error, flush=True)
    os._exit(1)
"""


@pytest.mark.parametrize("how", ["broke", "gone", "hangs"])
def test_all_end_by_the_failure_of_one(how: str, tmp_path: Path) -> None:
    def conv(side: int, width: int) -> Conv:
        return Conv((side, side), width=width)

    of = Architecture("tiny", (conv(3, 8),), (Stage((Module(((conv(1, 6),),)),)),), dropout=0.0, resolution=8)
    recipe = {"epochs": 2, "batch_size": 64, "optimizer": "sgd"}
    job = TrainingJob(of.as_data(), 8, "digits", recipe, 3, 0, str(tmp_path), threads=1)
    (tmp_path / "job.json").write_text(json.dumps(asdict(job)))
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(rank), str(tmp_path), how],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        (said, log), (other, other_log) = (worker.communicate(timeout=200) for worker in workers)
    finally:
        for worker in workers:
            worker.kill()
    codes = [worker.returncode for worker in workers]
    told = json.loads((tmp_path / FAILURE).read_text())["failure"] if how != "gone" else {}
    if how == "broke":
        sentence = "TrainingFailed process 1 of the training broke (ZeroDivisionError: three)"
        assert codes == [1, 1]
        assert said == other
        assert said.startswith(sentence)
        assert (told["rank"], told["kind"]) == (1, "broke")
        assert (
            'raise ZeroDivisionError("three")' in told["traceback"] or "ZeroDivisionError: three" in told["traceback"]
        )
    elif how == "gone":
        assert codes == [1, 9]
        assert said.startswith("Lost another process of the training has gone without a word")
        assert not (tmp_path / FAILURE).exists()
    else:  # who waits is ended by force, with the exit status that belongs to the sentence
        assert (codes[1], other) == (2, "")
        assert "nas: it cannot be" in other_log
        if codes[0] == 1:  # the other one was ended first: the connection broke, and the failure is raised here
            assert said.startswith("RequestError it cannot be")
        else:
            assert (codes[0], said) == (2, "")
            assert "nas: it cannot be" in log
