"""Measuring without a stop-watch in the tests: clocks are made up, memory is counted."""

import gc
from collections.abc import Iterator

import pytest
import torch

from search_spaces.errors import RequestError
from search_spaces.proxy import proxy
from search_spaces.seeds import seed
from trainers import measure
from trainers.precision import Precision
from trainers.recipe import Recipe

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tests run side by side: more threads than cores wait for one another."""
    with measure.threads(1):
        yield


class Clock:
    """Runs take what ``times`` says, in milliseconds; the last one again and again."""

    def __init__(self, times: Iterator[float]) -> None:
        self.times, self.now, self.runs = times, 0.0, 0

    def run(self) -> None:
        self.runs += 1
        self.now += next(self.times) / 1000

    def perf_counter(self) -> float:
        return self.now

    def perf_counter_ns(self) -> int:
        return round(self.now * 1e9)


def timed(monkeypatch: pytest.MonkeyPatch, times: Iterator[float], seconds: float) -> tuple[measure.Latency, Clock]:
    clock = Clock(times)
    monkeypatch.setattr(measure, "time", clock)
    return measure.timed(clock.run, 4, CPU, seconds=seconds), clock


def falling() -> Iterator[float]:
    """Slow at first, steady at 10 ms from the eleventh run on."""
    yield from (1000, 500, 100, 50, 40, 30, 20, 20, 20, 20)
    while True:
        yield 10


def test_the_warm_up_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    found, clock = timed(monkeypatch, falling(), 10)
    assert (found.low_ms, found.median_ms, found.high_ms) == pytest.approx((10, 10, 10))
    assert found.runs == measure.ENOUGH
    assert found.within == pytest.approx(0)
    assert clock.runs == 18 + measure.ENOUGH  # the medians of runs 9 to 13 and 14 to 18 agree
    assert found.pictures_per_second == pytest.approx(400)


def test_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    wild = iter([float(1 + 99 * (i % 2)) for i in range(10_000)])  # 1 and 100 ms in turn: never certain
    found, clock = timed(monkeypatch, wild, 3)
    assert 3 <= clock.now < 3.2
    assert found.within > 0.3
    assert (found.low_ms, found.high_ms) == pytest.approx((1, 100))


def test_a_slow_network_is_timed_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    found, clock = timed(monkeypatch, iter([7000.0] * 10), 3)
    assert (found.runs, clock.runs) == (3, 4)
    assert found.median_ms == pytest.approx(7000)


def test_more_runs_make_the_median_more_certain() -> None:
    few, many = ([10 + (37 * i % 101) / 100 for i in range(count)] for count in (20, 2000))
    assert 0 < measure.median_within(many) < measure.median_within(few) < 0.05


def test_memory_is_counted_to_the_byte() -> None:
    def work() -> None:
        kept = torch.ones(1000, 1000)
        (kept + 1).sum()
        del kept
        torch.ones(500, 500)

    assert measure.peak_bytes(work, CPU) == pytest.approx(8_000_000, abs=100)


def test_memory_that_others_left_is_not_given_back() -> None:
    class Ring:
        """Goes when the garbage collector comes by."""

        def __init__(self) -> None:
            self.me, self.held = self, torch.ones(1_000_000)

    def work() -> None:
        gc.collect()
        torch.ones(1000)

    Ring()
    assert measure.peak_bytes(work, CPU) == 4000


def test_memory_is_the_same_in_every_run() -> None:
    graph = proxy(seed("inception-v3"), 8, 1 / 16).graph(8, classes=10, aux=True)
    recipe = Recipe(batch_size=8)
    assert measure.training(graph, recipe, CPU)[1] == measure.training(graph, recipe, CPU)[1]
    one, two = (measure.inference(graph, 4, Precision(CPU)) for _ in range(2))
    assert one[1] == two[1] > 4 * graph.params
    assert not one[0].training


def test_a_network_is_timed_as_it_is_used() -> None:
    graph = proxy(seed("inception-v3"), 8, 1 / 16).graph(8, classes=10, aux=True)
    network, _ = measure.inference(graph, 1, Precision(CPU))
    seen: list[tuple[bool, bool, tuple[int, ...]]] = []
    network.register_forward_pre_hook(
        lambda module, inputs: seen.append((module.training, torch.is_inference_mode_enabled(), inputs[0].shape))
    )
    found = measure.latency(network.train(), 2, Precision(CPU), seconds=0.01)
    assert found.low_ms <= found.median_ms <= found.high_ms
    assert set(seen) == {(False, True, (2, 3, 8, 8))}


def test_a_training_step_trains() -> None:
    graph = proxy(seed("inception-v3"), 8, 1 / 16).graph(8, classes=10, aux=True)
    step, _ = measure.training(graph, Recipe(batch_size=4, learning_rate=0.01), CPU)
    weights = step.func.flat.weights
    before = weights.detach().clone()
    step()
    assert not torch.equal(before, weights)


def test_threads_are_put_back() -> None:
    before = torch.get_num_threads()
    with measure.threads(before + 1):
        assert measure.usual_threads() == before + 1
        assert measure.spoken_name(CPU) == f"cpu, {before + 1} threads"
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("name", ["tpu", "cuda:99", "", "meta"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="name one of these, or auto"):
        measure.device_named(name)


def test_the_cpu_is_there() -> None:
    assert measure.device_named("cpu") == CPU
    assert measure.lasting_name(CPU) == "cpu"
    assert measure.memory_bytes(CPU) > 2**28
    peak, counted = measure.peak_so_far(CPU)
    assert 2**24 < peak < measure.memory_bytes(CPU)
    assert "process" in counted
