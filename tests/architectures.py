"""Random architectures for laws that must hold on all of them: every operation, parallel towers, splits, heads."""

from hypothesis import reject
from hypothesis import strategies as st

from search_spaces.architecture import Architecture, Aux, HeadStep, Module, Split, Stage, StemStep, Step, Tower, lay_out
from search_spaces.errors import ResolutionError
from search_spaces.operations import AdaptivePool, Conv, Dropout, Linear, LocalNorm, Pool, Shape

SIDES = st.sampled_from([1, 3, 5, 7])


@st.composite
def convs(draw: st.DrawFn, same: bool = True) -> Conv:
    kernel = (draw(SIDES), draw(SIDES))
    norm, activation, bias = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    return Conv(kernel, 1, same or kernel == (1, 1), draw(st.integers(1, 9)), norm, activation, bias)


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    kernel = (draw(SIDES), draw(SIDES))
    return draw(st.sampled_from([Pool(kernel), Pool(kernel, kind="avg"), Pool(kernel, kind="avg", counted=False)]))


@st.composite
def strided_pools(draw: st.DrawFn) -> Pool:
    """Any window, rounded up or down."""
    kernel = (draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    same = draw(st.booleans()) and all(side % 2 for side in kernel)
    counted, ceil = draw(st.booleans()), draw(st.booleans())
    return Pool(kernel, draw(st.integers(1, 4)), same, draw(st.sampled_from(["max", "avg"])), counted, ceil)


local_norms = st.builds(LocalNorm, st.integers(1, 6))
adaptive_pools = st.builds(lambda height, width: AdaptivePool((height, width)), st.integers(1, 4), st.integers(1, 4))
linears = st.builds(Linear, st.integers(1, 9), st.booleans())
dropouts = st.builds(Dropout, st.sampled_from([0.0, 0.3]))
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
def stems(draw: st.DrawFn) -> tuple[StemStep, ...]:
    """Convolutions, pools, local normalisation and modules; at most one stride, so that small pictures pass."""
    modules = st.lists(towers, min_size=1, max_size=3).map(lambda found: Module(tuple(found)))
    step = st.one_of(convs(same=False), pools(), local_norms, modules)
    steps: list[StemStep] = list(draw(st.lists(step, min_size=1, max_size=3)))
    if draw(st.booleans()):
        strided = draw(st.one_of(strided_pools(), reductions()))
        steps.insert(draw(st.integers(0, len(steps))), strided)
    return tuple(steps)


@st.composite
def heads(draw: st.DrawFn) -> tuple[HeadStep, ...]:
    """Windows and adaptive pools, then perhaps hidden linear layers; dropout anywhere."""
    plain: list[HeadStep] = list(
        draw(st.lists(st.one_of(convs(), pools(), adaptive_pools, dropouts), min_size=1, max_size=2))
    )
    return (*plain, *draw(st.lists(st.one_of(linears, dropouts), max_size=2)))


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    """Whole networks that accept pictures from 16 px on."""
    kinds = draw(st.lists(st.lists(towers, min_size=1, max_size=4).map(tuple).map(Module), min_size=1, max_size=3))
    stages = []
    for s in range(draw(st.integers(1, 3))):
        modules = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3))
        stages.append(Stage(tuple(modules), draw(reductions()) if s and draw(st.booleans()) else None))
    places = [(s, m) for s, stage in enumerate(stages, 1) for m in range(1, len(stage.modules) + 1)]
    architecture = Architecture(
        name=draw(st.sampled_from(["small", "two-words", "9lives", "inception-a"])),
        stem=draw(stems()),
        stages=tuple(stages),
        aux=tuple(Aux(*draw(st.sampled_from(places)), draw(heads())) for _ in range(draw(st.integers(0, 3)))),
        dropout=draw(st.sampled_from([0.0, 0.3])),
        norm_eps=draw(st.sampled_from([1e-3, 1e-5])),
    )
    try:
        lay_out(architecture, Shape(3, 16, 16), aux=True)
    except ResolutionError:
        reject()
    return architecture
