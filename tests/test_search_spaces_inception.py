"""Laws of spaces that nobody shipped: what a third space may say in YAML alone, at the ends of what is allowed.

Decoding is total everywhere. Where thresholds or stages leave the widths no room for some choices, an architecture may
miss a principle, which is screened before training. The laws below hold on the points that are tried; at other
resolutions than 299 px a few points in ten thousand are known to miss a principle.
"""

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from search_spaces.genes import Genes
from search_spaces.principles import NAMES, RULES
from search_spaces.space import SearchSpace
from search_spaces.space_file import SpaceFile
from search_spaces.yaml_files import Document, read_file, validate

SHIPPED = read_file(Path(__file__).parent.parent / "search_spaces" / "spaces" / "inception.yaml").data
POINTS = 12  # of each space

# A third space: what differs from the shipped one. "stages" is their number.
KEPT: list[dict[str, Any]] = [
    *({"resolution": side} for side in (224, 299, 331)),
    *({"off": name} for name in (*NAMES, *RULES) if name != "local_processing"),
    {"shrink": 1.0},
    {"coarsest": 1.0},
    {"coarsest": 3.0},
    {"embedding": 1.0},
    {"widen": ["early"], "shrink": 1.0},
    {"padding": ["uncounted"], "coarsest": 3.0},
]
KEPT_FREE: list[dict[str, Any]] = [{"off": "local_processing"}, {"shrink": 0.5}]
RETURN: list[dict[str, Any]] = [
    *({"stages": 2, "resolution": side} for side in (128, 224, 299)),
    *({"stages": 4, "resolution": side} for side in (224, 299)),
    {"embedding": 0.25},
]
TOTAL: list[dict[str, Any]] = [
    {"resolution": 128},
    {"stages": 2, "resolution": 331},
    {"stages": 4, "resolution": 331},
    *({"bottleneck": least} for least in (0.7, 0.9, 1.0)),
    {"bottleneck": 1.0, "coarsest": 8.0, "embedding": 0.25, "shrink": 1.0},
]


def third_space(
    *,
    tied: bool,
    resolution: int = 299,
    stages: int = 3,
    off: str = "",
    widen: Any = (),
    padding: Any = (),
    **limits: float,
) -> SearchSpace:
    """The shipped space with other thresholds, resolution, or number of stages; a head that fits every grid."""
    data = copy.deepcopy(SHIPPED)
    if stages == 2:
        del data["stages"][1]
    elif stages == 4:
        data["stages"].insert(2, copy.deepcopy(data["stages"][1]))
    for stage in data["stages"]:
        stage.update({"widen": widen} if widen else {})
    data |= {"name": "third", "tied": tied, "resolution": resolution}
    data |= {"padding": padding} if padding else {}
    data["aux"] = {"stage": 2, "heads": {"small": ["conv 1x1 128"]}}
    data["thresholds"] |= {**limits, "off": [off] if off else []}
    return SearchSpace(validate(SpaceFile, Document(data, "third.yaml", {}), "a space file"))


def points(searched: SearchSpace, number: int) -> Iterator[Genes]:
    """Points of the box: anywhere, with widths on its border, partly so, and with every gene at an end."""
    source = random.Random(0)
    for i in range(number):
        end, share = source.choice([0.0, 1.0]), (0.0, 1.0, 0.5, 1.0)[i % 4]
        point: Genes = {}
        for gene in searched.genes:
            if gene.choices:
                ends = (gene.choices[0], gene.choices[-1])
                point[gene.name] = source.choice(ends if i % 4 == 3 else gene.choices)
            elif source.random() < share:
                point[gene.name] = end if i % 4 == 3 else source.choice([0.0, 1.0])
            else:
                point[gene.name] = source.random()
        yield point


def _named(change: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in change.items())


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "free"])
@pytest.mark.parametrize("change", [*TOTAL, *RETURN], ids=_named)
def test_decoding_is_total_at_the_ends_of_the_thresholds(change: dict[str, Any], tied: bool) -> None:
    searched = third_space(tied=tied, **change)
    for point in points(searched, POINTS):
        architecture = searched.decode(point)
        assert architecture.graph(aux=True)
        assert len(architecture.stages) == change.get("stages", 3)
        searched.audit(architecture)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "free"])
@pytest.mark.parametrize("change", RETURN, ids=_named)
def test_what_is_decoded_is_encoded(change: dict[str, Any], tied: bool) -> None:
    searched = third_space(tied=tied, **change)
    for point in points(searched, POINTS):
        architecture = searched.decode(point)
        assert searched.why_outside(architecture) is None
        genes = searched.encode(architecture)
        assert searched.decode(genes) == architecture
        assert searched.encode(searched.decode(genes)) == genes


@pytest.mark.parametrize(
    ("change", "tied"),
    [(change, tied) for change in KEPT for tied in (True, False)] + [(change, False) for change in KEPT_FREE],
    ids=lambda value: _named(value) if isinstance(value, dict) else "tied" if value else "free",
)
def test_every_point_comes_back_and_keeps_what_is_built_in(change: dict[str, Any], tied: bool) -> None:
    searched = third_space(tied=tied, **change)
    built_in = {*NAMES, *RULES} - {"balance", change.get("off", "")}
    for point in points(searched, POINTS):
        architecture = searched.decode(point)
        assert not {finding.name for finding in searched.audit(architecture).violations} & built_in
        genes = searched.encode(architecture)
        assert searched.decode(genes) == architecture
        assert architecture in searched


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "free"])
@pytest.mark.parametrize("name", [*NAMES, *RULES])
def test_a_principle_that_is_off_is_built_in_no_longer(name: str, tied: bool) -> None:
    """Some point breaks it, of those that can be broken by a space's choices at all."""
    searched = third_space(tied=tied, off=name)
    broken = set()
    for point in points(searched, 60):
        found = searched.audit(searched.decode(point))
        broken |= {finding.name for finding in (*found.principles, *found.rules) if not finding.passed}
    assert (name in broken) == (name != "nonlinear_factors")  # towers of a space have an activation everywhere
