"""Random architectures for laws that must hold on all of them: every operation, parallel towers, splits, heads."""

from hypothesis import strategies as st

from search_spaces.architecture import Architecture, Aux, Module, Split, Stage, Step, Tower
from search_spaces.operations import Conv, Pool

SIDES = st.sampled_from([1, 3, 5, 7])


@st.composite
def convs(draw: st.DrawFn, same: bool = True) -> Conv:
    kernel = (draw(SIDES), draw(SIDES))
    return Conv(kernel, 1, same or kernel == (1, 1), draw(st.integers(1, 9)), draw(st.booleans()), draw(st.booleans()))


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    kernel = (draw(SIDES), draw(SIDES))
    return draw(st.sampled_from([Pool(kernel), Pool(kernel, kind="avg"), Pool(kernel, kind="avg", counted=False)]))


splits = st.lists(convs(), min_size=2, max_size=4).map(lambda branches: Split(tuple(branches)))
towers = st.lists(st.one_of(convs(), pools(), splits), min_size=1, max_size=3).map(tuple)


@st.composite
def reductions(draw: st.DrawFn) -> Module:
    """Towers that end in, or begin with, one 3x3 window of stride 2, all padded or none."""
    same = draw(st.booleans())
    reduced: list[Tower] = []
    for _ in range(draw(st.integers(1, 3))):
        around = draw(st.lists(convs(), max_size=2))
        last: list[Step] = [Conv((3, 3), 2, same, 5), Pool((3, 3), 2, same), Pool((3, 3), 2, same, "avg")]
        step = draw(st.sampled_from(last))
        reduced.append((step, *around) if draw(st.booleans()) else (*around, step))
    return Module(tuple(reduced))


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    kinds = draw(st.lists(st.lists(towers, min_size=1, max_size=4).map(tuple).map(Module), min_size=1, max_size=3))
    stages = []
    for s in range(draw(st.integers(1, 3))):
        modules = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3))
        stages.append(Stage(tuple(modules), draw(reductions()) if s and draw(st.booleans()) else None))
    places = [(s, m) for s, stage in enumerate(stages, 1) for m in range(1, len(stage.modules) + 1)]
    plain = st.one_of(convs(), pools())
    return Architecture(
        name=draw(st.sampled_from(["small", "two-words", "9lives", "inception-a"])),
        stem=tuple(draw(st.lists(st.one_of(convs(same=False), plain), min_size=1, max_size=3))),
        stages=tuple(stages),
        aux=tuple(
            Aux(*draw(st.sampled_from(places)), tuple(draw(st.lists(plain, min_size=1, max_size=2))))
            for _ in range(draw(st.integers(0, 3)))
        ),
        dropout=draw(st.sampled_from([0.0, 0.3])),
        norm_eps=draw(st.sampled_from([1e-3, 1e-5])),
    )
