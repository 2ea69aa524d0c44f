"""Asynchronous successive halving: who goes on, and when."""

import random

from nas.halving import Halving


def _filled(values: list[tuple[float, float]], violations: dict[int, float] | None = None) -> Halving:
    halving = Halving(3, 3)
    for number, value in enumerate(values):
        halving.record("sampler", 0, number, value, {"limit:macs": (violations or {}).get(number, -1.0)})
    return halving


def _all_that_go_on(halving: Halving, rung: int = 0, *, closing: bool = False) -> list[int]:
    found = []
    while (following := halving.next("sampler", closing=closing)) is not None and following[1] == rung + 1:
        found.append(following[0])
        halving.went_on("sampler", rung, following[0])
    return found


def test_the_best_third_goes_on() -> None:
    errors = [0.5, 0.2, 0.9, 0.1, 0.8, 0.4, 0.3, 0.7, 0.6]
    halving = _filled([(error, 1.0) for error in errors])
    assert _all_that_go_on(halving) == [3, 1, 6]


def test_nobody_goes_on_before_a_share_is_there() -> None:
    halving = _filled([(0.1, 1.0), (0.2, 1.0)])
    assert halving.next("sampler") is None
    assert halving.next("sampler", closing=True) == (0, 1)  # no more will come: the best one goes on all the same


def test_the_highest_rung_comes_first() -> None:
    halving = _filled([(n / 10, 1.0) for n in range(9)])
    assert _all_that_go_on(halving) == [0, 1, 2]
    for number in range(3):
        halving.record("sampler", 1, number, (number / 10, 1.0), {})
    halving.record("sampler", 0, 9, (0.0, 1.0), {})
    assert halving.next("sampler") == (0, 2)


def test_what_does_not_dominate_counts_as_much_and_the_gaps_decide() -> None:
    """Of a front of four and two dominated points, the two that add most hypervolume go on."""
    front = [(0.0, 1.0), (0.45, 0.5), (0.5, 0.45), (1.0, 0.0)]
    halving = _filled([*front, (1.1, 1.1), (0.6, 1.2)])
    assert set(_all_that_go_on(halving)) == {0, 3}


def test_what_breaks_a_limit_comes_last_the_least_first() -> None:
    halving = _filled([(0.1, 0.1), (0.9, 0.9), (0.2, 0.2), (0.3, 0.3), (0.4, 0.4), (0.5, 0.5)], {0: 2.0, 2: 0.5})
    assert _all_that_go_on(halving) == [3, 4]
    only_broken = _filled([(0.1, 0.1), (0.2, 0.2), (0.3, 0.3)], {0: 3.0, 1: 1.0, 2: 2.0})
    assert _all_that_go_on(only_broken) == [1]


def test_arms_and_rungs_are_apart() -> None:
    halving = _filled([(n / 10, 1.0) for n in range(3)])
    for number in range(3, 6):
        halving.record("random", 0, number, (number / 100, 1.0), {})
    assert halving.next("sampler") == (0, 1)
    assert halving.next("random") == (3, 1)


def test_the_share_holds_whatever_the_order() -> None:
    """However results come in, at most the share of a rung has gone on, and at the end every one of its best."""
    drawn = random.Random(0)
    for _ in range(20):
        halving, errors, gone = Halving(2, 3), [drawn.random() for _ in range(30)], 0
        for number, error in enumerate(errors):
            halving.record("sampler", 0, number, (error,), {})
            if drawn.random() < 0.5:
                continue
            while (following := halving.next("sampler")) is not None:
                halving.went_on("sampler", 0, following[0])
                gone += 1
        # Asynchronous: some went on that later ones overtook, but never fewer than the share, nor the wrong ones.
        rest = _all_that_go_on(halving)
        best = set(sorted(range(30), key=errors.__getitem__)[:10])
        went = halving._gone_on["sampler", 0]
        assert best <= went
        assert len(went) == gone + len(rest)
