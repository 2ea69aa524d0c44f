"""What is tried next where proposals are known already: turns that pass, spaces that are exhausted, true twins."""

import itertools
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from test_nas_driver_rungs import Fake, Stopped, _config, _run, _state

from nas.progress import Progress
from nas.samplers.named import named_sampler
from nas.study import Study
from results.ledger import Ledger
from results.outcome import Outcome, TrialRecord
from search_spaces.architecture import Architecture
from search_spaces.cost import cost
from search_spaces.errors import RequestError
from search_spaces.genes import Genes
from search_spaces.space import space

ONCE: dict[str, Any] = {"rungs": [], "recipe": {"epochs": 1}, "proxy": {"resolution": 8}}


@pytest.fixture
def worker() -> type[Fake]:
    return type("Worker", (Fake,), {"log": []})


class Scripted:
    """A sampler that proposes for each number what it is told to."""

    startup = 0

    def __init__(self, point: Callable[[int], Genes]) -> None:
        self.point = point

    def propose(self, number: int) -> Genes:
        return self.point(number)

    def tell(self, number: int, genes: Genes, values: Mapping[str, float], violations: Mapping[str, float]) -> None:
        """Learn nothing."""


def _points(count: int) -> list[Genes]:
    """Points of different architectures that keep all principles, the smallest in parameters first."""
    searched, found = space("inception", 299), list[Architecture]()
    for random_seed in itertools.count():
        if len(found) == count:
            break
        sampled = searched.sample(random_seed)
        found += [sampled] if searched.audit(sampled).passed else []
    return [searched.encode(each) for each in sorted(found, key=lambda each: cost(each, 299).params)]


def _script(
    monkeypatch: pytest.MonkeyPatch, sampler: Callable[[int], Genes], control: Callable[[int], Genes] | None = None
) -> None:
    def make(config: Any, searched: Any, chosen: Any) -> Any:
        if chosen.name != "random":
            return Scripted(sampler)
        uniform = named_sampler(chosen, searched, config.objectives, config.random_seed)
        return uniform if control is None else Scripted(control)

    monkeypatch.setattr("nas.driver.make_sampler", make)


def _give_up_after(monkeypatch: pytest.MonkeyPatch, proposals: int) -> None:
    for module in ("knowledge", "proposals", "driver"):
        monkeypatch.setattr(f"nas.{module}.GIVE_UP", proposals)


class Impatient(Progress):
    """Stops the search once so many proposals were set aside."""

    def __init__(self, after: int) -> None:
        self.after, self.seen = after, 0

    def set_aside(self, trial: TrialRecord) -> None:

        self.seen += 1
        if self.seen == self.after:
            os.kill(os.getpid(), signal.SIGTERM)


# ------------------------------------------------------------------------------------------------------ turns that pass


@pytest.mark.parametrize("control", [0, 0.25])
def test_a_sampler_that_repeats_itself_passes_its_turn(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch, control: float
) -> None:
    """The random points are the random arm's, and none is the sampler's."""
    monkeypatch.setattr("nas.knowledge.TURN", 3)
    points = _points(20)
    _script(monkeypatch, lambda number: points[0], lambda number: points[number])
    study = _run(_config(trials=5, control=control, **ONCE), tmp_path, worker)
    assert study.record.state == "complete"
    begun = [trial for trial in study.trials if trial.outcome.trained]
    assert [trial.origin for trial in begun] == ["sampler", *["random"] * 4]
    repeated = [trial for trial in study.trials if trial.outcome is Outcome.DUPLICATE]
    assert {trial.origin for trial in repeated} == {"sampler"}
    assert len(repeated) == 4 * 3  # before each of the four random points it has had its turn


def test_a_control_arm_that_finds_nothing_new_passes_its_turn(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.knowledge.TURN", 3)
    points = _points(30)
    _script(monkeypatch, lambda number: points[number], lambda number: points[0])
    study = _run(_config(trials=5, control=0.5, **ONCE), tmp_path, worker)
    assert [trial.origin for trial in study.trials if trial.outcome.trained] == ["sampler"] * 5


@pytest.mark.parametrize("after", [1, 3, 4, 8])
def test_turns_pass_after_a_stop_as_without_one(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    from nas.driver import run
    from nas.executors.inline import InlineExecutor

    monkeypatch.setattr("nas.knowledge.TURN", 3)
    (only,) = _points(1)
    _script(monkeypatch, lambda number: only)
    config = _config(trials=5, **ONCE)
    whole = _run(config, tmp_path / "whole", worker)
    part = run(config, tmp_path / "part", executor=InlineExecutor(), progress=Impatient(after), make=worker)
    assert part.record.state == "stopped"
    assert _state(_run(config, tmp_path / "part", worker)) == _state(whole)
    _run(config, tmp_path / "other", worker, Stopped(after))
    assert _state(_run(config, tmp_path / "other", worker)) == _state(whole)


def test_proposals_beside_a_chosen_one_are_not_in_vain(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many a score leaves out, without a random arm there is no random trial."""
    monkeypatch.setattr("nas.knowledge.TURN", 2)
    points = _points(15)
    script = [*points[14:], *points[:4], *points[13:14], *points[4:8], *points[12:13], *points[8:12]]
    _script(monkeypatch, lambda number: script[number])
    config = _config(trials=3, control=0, screen={"score": "params", "of": 5}, **ONCE)
    whole = _run(config, tmp_path / "whole", worker)
    assert {trial.origin for trial in whole.trials} == {"sampler"}
    assert [trial.number for trial in whole.trials if trial.outcome.trained] == [0, 5, 10]
    _run(config, tmp_path / "part", worker, Stopped(1))
    assert _state(_run(config, tmp_path / "part", worker)) == _state(whole)


def test_what_was_proposed_together_is_recorded_together(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that dies just after a commit goes on as if it had not."""
    points = _points(12)
    script = [*points[8:10], *points[:2], *points[10:], *points[2:8]]
    _script(monkeypatch, lambda number: script[number])
    config = _config(trials=4, control=0, screen={"score": "params", "of": 4, "keep": 2}, **ONCE)
    whole = _run(config, tmp_path / "whole", worker)
    start, commits = Ledger.start_trials, []

    def dying(ledger: Ledger, trials: Any) -> None:
        if not commits:
            start(ledger, trials)
        commits.append(trials)
        raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "start_trials", dying)
    with pytest.raises(KeyboardInterrupt):
        _run(config, tmp_path / "part", worker)
    monkeypatch.setattr(Ledger, "start_trials", start)
    assert _state(_run(config, tmp_path / "part", worker)) == _state(whole)


def test_as_many_are_chosen_from_as_the_file_says(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only proposals that bring nothing are limited by what is borne in vain."""
    monkeypatch.setattr("nas.proposals.GIVE_UP", 6)
    points = _points(8)
    _script(monkeypatch, lambda number: points[number])
    study = _run(_config(trials=1, control=0, screen={"score": "params", "of": 8}, **ONCE), tmp_path, worker)
    assert [trial.number for trial in study.trials if trial.outcome.trained] == [7]


# -------------------------------------------------------------------------------------------- spaces that are exhausted


def test_a_study_of_an_exhausted_space_is_complete_with_what_it_has(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    _give_up_after(monkeypatch, 10)
    monkeypatch.setattr("nas.knowledge.TURN", 3)
    points = _points(4)
    _script(monkeypatch, lambda number: points[number % 2], lambda number: points[2 + number % 2])
    config = _config(trials=9, rungs=[{"epochs": 1}], recipe={"epochs": 2}, control=0.5)
    study = _run(config, tmp_path, worker)
    assert study.record.state == "complete"
    assert len({trial.digest for trial in study.trials if trial.outcome.trained}) == 4
    assert study.outcomes()["duplicate"] >= 10
    assert {trial.origin for trial in study.trials[-10:]} == {"sampler", "random"}
    assert study.outcomes()["complete"] >= 1  # the best of a rung that no more trials will fill went on
    assert "study s has 4 of the 9 trials that were asked for: 10 proposals in a row" in study.exhausted
    again = _run(config, tmp_path, worker)
    assert _state(again) == _state(study)
    assert again.exhausted
    assert not _run(_config(trials=2, study="t", **ONCE), tmp_path, worker).exhausted


def test_an_exhausted_space_is_exhausted_after_a_stop_as_well(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nas.driver import run
    from nas.executors.inline import InlineExecutor

    _give_up_after(monkeypatch, 10)
    (only,) = _points(1)
    _script(monkeypatch, lambda number: only, lambda number: only)
    config = _config(trials=9, **ONCE)
    whole = _run(config, tmp_path / "whole", worker)
    part = run(config, tmp_path / "part", executor=InlineExecutor(), progress=Impatient(5), make=worker)
    assert part.outcomes()["duplicate"] == 5
    assert _state(_run(config, tmp_path / "part", worker)) == _state(whole)


def test_where_nothing_can_begin_the_request_is_wrong_each_time(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    _give_up_after(monkeypatch, 10)
    config = _config(trials=4, limits={"macs": 10.0}, **ONCE)
    for _ in range(2):
        with pytest.raises(RequestError, match="10 proposals in a row were screened or known"):
            _run(config, tmp_path, worker)
        assert len(Study.open("s", tmp_path).trials) == 10


@pytest.mark.parametrize(("macs", "warned"), [(10.0, 1), (1e12, 0)])
def test_limits_that_nothing_keeps_are_told_before_anything_is_trained(
    tmp_path: Path,
    worker: type[Fake],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    macs: float,
    warned: int,
) -> None:
    _give_up_after(monkeypatch, 10)
    config = _config(trials=2, limits={"macs": macs}, **{**ONCE, "seeds": ["inception-v3"]})
    for run_again in (False, True):  # a study that has begun has been warned of
        with suppress(RequestError):
            _run(config, tmp_path, worker)
        told = [record.getMessage() for record in caplog.records if record.name == "nas.screening"]
        assert len(told) == warned, run_again
    for sentence in told:
        assert sentence.startswith("study 's': not one of 200 random architectures keeps the limits (none of them had")
        assert "less than " in sentence
        assert "macs, and 10 are allowed" in sentence


def test_more_trials_may_be_known_from_another_study_than_proposals_in_vain_are_borne(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _run(_config(trials=8, **ONCE), tmp_path, worker)
    _give_up_after(monkeypatch, 4)
    second = _run(_config(study="t", trials=8, **ONCE), tmp_path, worker)
    assert [trial.digest for trial in second.trials] == [trial.digest for trial in first.trials]
    assert second.taken_over == 8


# ----------------------------------------------------------------------------------------------------------- true twins


def test_what_a_score_left_out_may_be_trained_later(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, middle, large = _points(3)
    script = [middle, large, middle, small]
    _script(monkeypatch, lambda number: script[number])
    config = _config(trials=2, control=0, screen={"score": "params", "of": 2}, **ONCE)
    study = _run(config, tmp_path, worker)
    assert [str(trial.outcome) for trial in study.trials] == ["screened", "complete", "complete", "screened"]
    assert study.trials[0].digest == study.trials[2].digest


def test_a_copy_of_what_a_score_left_out_is_left_out_too(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no duplicate of something that was trained."""
    small, large = _points(2)
    script = [small, small, large, large, small]
    _script(monkeypatch, lambda number: script[number])
    config = _config(trials=1, control=0, screen={"score": "params", "of": 2}, **ONCE)
    study = _run(config, tmp_path, worker)
    assert [str(trial.outcome) for trial in study.trials] == ["screened", "screened", "complete"]
    assert study.trials[0].reason == study.trials[1].reason


def test_what_is_beyond_a_limit_is_known_to_be(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = _points(2)
    limit = cost(space("inception", 299).decode(small), 299).params  # of 1,000 classes, and the digits are ten
    script = [large, large, small]
    _script(monkeypatch, lambda number: script[number])
    study = _run(_config(trials=1, control=0, limits={"params": limit}, **ONCE), tmp_path, worker)
    assert [str(trial.outcome) for trial in study.trials] == ["screened", "duplicate", "complete"]


def test_a_twin_teaches_at_the_point_that_was_known(
    tmp_path: Path, worker: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A space has many points of one architecture, which would crowd a population as so many members."""
    searched = space("inception", 299)
    (point,) = _points(1)
    copies = (
        {**point, gene.name: value}
        for gene in searched.genes
        for value in ((0.0, 1.0) if gene.is_width else gene.choices)
        if value != point[gene.name]
    )
    copy = next(each for each in copies if searched.decode(each).digest == searched.decode(point).digest)
    told: list[Genes] = []
    monkeypatch.setattr(Scripted, "tell", lambda self, number, genes, *rest: told.append(genes))
    _script(
        monkeypatch,
        lambda number: copy if number == 1 else point if number == 0 else searched.encode(searched.sample(9)),
    )
    _run(_config(trials=2, control=0, **ONCE), tmp_path, worker)
    assert told[:2] == [point, point]
