"""What a space file may not say: each mistake is one sentence with file, line, the key, and what is allowed."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from search_spaces.architecture_file import from_file
from search_spaces.errors import RequestError
from search_spaces.seeds import seed, seed_names
from search_spaces.space import SearchSpace, space
from search_spaces.space_file import SpaceFile
from search_spaces.yaml_files import Document, read_text, validate

SHIPPED = (Path(__file__).parent.parent / "search_spaces" / "spaces" / "inception.yaml").read_text(encoding="utf-8")
LINES = SHIPPED.splitlines()
PYDANTIC = re.compile(r"[Ii]nput|valid |[Tt]uple|[Aa]rray|object|should|after validation|[Ss]tring|pattern")


def _write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def _own(folder: Path, text: str) -> SearchSpace:
    """A space that is based on the shipped one."""
    return space(_write(folder, "own.yaml", f"base: inception\nname: own\n{text}"))


def _refusal(folder: Path, text: str, *, whole: bool = False) -> str:
    """The sentence that a file costs, without its folder; ``whole``: not based on any other."""
    path = _write(folder, "own.yaml", text if whole else f"base: inception\nname: own\n{text}")
    with pytest.raises(RequestError) as caught:
        space(path)
    sentence = str(caught.value).replace(f"{folder}/", "")
    assert "\n" not in sentence
    assert str(folder) not in sentence
    return sentence


# --------------------------------------------------------------------------------------------------- one by one


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("stems: 3", "own.yaml:3: stems is 3: a mapping is allowed"),
        ("stems: {a: []}", "own.yaml:3: stems.a is []: a list of at least 1 is allowed"),
        ("stems: {a: conv}", "own.yaml:3: stems.a: 'conv' is not a list: write one of operations"),
        ("stems: {A: [conv 3x3 8]}", "own.yaml:3: stems.A: 'A' is not a name: use 1 to 32 small letters"),
        (
            "stems:\n  a:\n  - conv 3x3 8\n  - linear 8",
            "own.yaml:6: 'linear 8' is not for the stem of a space: it holds",
        ),
        ("stems:\n  a:\n  - conv 3x3 8\n  - cnov 3x3 8", "own.yaml:6: 'cnov' is not an operation"),
        ("stages: 3", "own.yaml:3: stages is 3: a list is allowed"),
        ("stages: []", "own.yaml:3: stages is []: a list of at least 2 is allowed"),
        ("stages:\n  stage2: 3", "own.yaml:4: stages.stage2 is 3: a mapping with the keys depth, widen, reduction, "),
        ("stages:\n  stage2: {depth: 3}", "own.yaml:4: stages.stage2.depth is 3: a list is allowed"),
        ("stages: {stage2: {depth: [1]}}", "own.yaml:3: stages.stage2.depth is [1]: 2 entries are needed"),
        ("stages: {stage2: {depth: [1, 2, 3]}}", "stages.stage2.depth is [1, 2, 3]: a list of at most 2 is allowed"),
        ("stages: {stage2: {depth: [1, 2.5]}}", "stages.stage2.depth.1 is 2.5: a whole number is allowed"),
        ("stages: {stage3: {depth: [0, 2]}}", "stages.stage3.depth.0 is 0: 1 or more is allowed"),
        ("stages: {stage2: {pool: {kind: [avgg]}}}", "stages.stage2.pool.kind.0 is 'avgg': 'avg' or 'max' is allowed"),
        ("stages: {stage2: {pool: {kind: []}}}", "stages.stage2.pool.kind is []: a list of at least 1 is allowed"),
        ("stages: {stage2: {short: {kernel: [17]}}}", "stages.stage2.short.kernel.0 is 17: 15 or less is allowed"),
        (
            "stages: {stage2: {short: {kernal: [3]}}}",
            "unknown key 'kernal' in stages.stage2.short: allowed are kernel,",
        ),
        ("stages: {stage2: {pointwise: 64}}", "stages.stage2.pointwise: 64 is not a range of widths: write [lowest,"),
        ("stages: {stage2: {pointwise: [16, 8000, 16]}}", "stages.stage2.pointwise: [16, 8000, 16] is not a range"),
        ("stages: {stage2: {reduction: {short: {direct: [no]}}}}", "short.direct.0 is 'no': true or false is allowed"),
        ("stages: {stage2: {reduction: {short: {direct: []}}}}", "direct is []: a list of at least 1 is allowed"),
        ("stages: {stage1: {reduction: {short: {}}}}", "own.yaml:3: stages.stage1.reduction.short has no 'embedding'"),
        ("thresholds: 3", "thresholds is 3: a mapping with the keys bottleneck, shrink, coarsest, embedding, balance,"),
        ("thresholds: {share: [0.1]}", "thresholds.share is [0.1]: 2 entries are needed"),
        ("thresholds:\n  bottleneck: 2", "own.yaml:4: thresholds.bottleneck is 2.0: more than 0 to 1 is allowed"),
        ("thresholds:\n  balance: 0", "own.yaml:4: thresholds.balance is 0.0: more than 0 to 16 is allowed"),
        ("thresholds:\n  coarsest: 9", "own.yaml:4: thresholds.coarsest is 9.0: 1 to 8 is allowed"),
        ("thresholds:\n  share: [0.6, 0.5]", "own.yaml:4: thresholds.share is [0.6, 0.5]: two shares from 0 to 1"),
        (
            "thresholds:\n  off:\n  - balance\n  - embeding",
            "own.yaml:6: there is no principle 'embeding' to switch off",
        ),
        ("thresholds: {bottleneck: much}", "thresholds.bottleneck is 'much': a number is allowed"),
        ("tied: yes", "own.yaml:3: tied is 'yes': true or false is allowed"),
        ("resolution: 10", "own.yaml:3: resolution is 10: 32 or more is allowed"),
        ("dropout: 1", "own.yaml:3: dropout is 1: 0.99 or less is allowed"),
        ("norm_eps: 0", "own.yaml:3: norm_eps is 0: 1e-12 or more is allowed"),
        ("notes: 3", "own.yaml:3: notes is 3: text is allowed"),
        ("padding: counted", "own.yaml:3: padding is 'counted': a list is allowed"),
        ("aux: {heads: {b: [lrn 5]}}", "own.yaml:3: 'lrn 5' is not for an auxiliary head: it holds conv, max, avg,"),
        ("aux: {heads: {b: [linear 5, conv 3x3 8]}}", "'conv 3x3 8' comes after a linear layer"),
        ("aux:\n  stage: 9", "own.yaml:4: the space 'own' puts an auxiliary head on stage 9: it has 3 stages"),
        ("fixed: [3]", "own.yaml:3: fixed is [3]: a mapping is allowed"),
        ("fixed:\n  stage2.depth: 1.5", "own.yaml:4: fixed.stage2.depth is 1.5: a whole number or text is allowed"),
        ("fixed:\n  stage2.depth: 40", "own.yaml:4: the space 'own' fixes stage2.depth at 40: allowed are 1, 2, 3,"),
        ("fixed:\n  stage2.detph: 4", "own.yaml:4: the space 'own' fixes 'stage2.detph', which is no gene of it"),
        ("fixed:\n  final: 0.5", "own.yaml:4: fixed.final is 0.5: a whole number or text is allowed"),
        ("fixed:\n  final: 1", "own.yaml:4: the space 'own' fixes final, a width: narrow its range instead"),
        ("tide: 3", "own.yaml:3: unknown key 'tide' in a space file: allowed are base, format, name, "),
    ],
)
def test_a_mistake_is_told_with_line_and_key_and_in_our_words(tmp_path: Path, text: str, sentence: str) -> None:
    found = _refusal(tmp_path, text)
    assert sentence in found
    assert not PYDANTIC.search(found)


def test_a_list_of_stages_is_told_by_the_names_of_the_genes(tmp_path: Path) -> None:
    line = next(i for i, text in enumerate(LINES, 1) if "depth: [1, 8]" in text)
    found = _refusal(tmp_path, SHIPPED.replace("depth: [1, 8]", "depth: [1, 88]"), whole=True)
    assert found == f"own.yaml:{line}: stages.stage2.depth.1 is 88: 32 or less is allowed"
    found = _refusal(tmp_path, SHIPPED.replace("stems:", "stem:"), whole=True)  # it is the unknown key that is wrong
    assert found.startswith("own.yaml:8: unknown key 'stem' in a space file")
    assert found.endswith("did you mean 'stems'?")


def test_what_is_missing_may_come_from_a_base(tmp_path: Path) -> None:
    assert _refusal(tmp_path, "name: x", whole=True) == (
        "own.yaml:1: a space file has no 'format': add it, or a 'base' that has it"
    )
    for text in ("", "- 3"):
        found = _refusal(tmp_path, text, whole=True)
        assert found.startswith("own.yaml:1: a space file must be a mapping with the keys base, format, name")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("stages: {stage2: {short: {kernel: [3, 5, 3]}}}", "stages.stage2.short.kernel: 3 stands twice"),
        ("stages: {stage1: {long: {factorisation: [none, none]}}}", "stages.stage1.long.factorisation: none stands"),
        ("stages: {stage1: {long: {repeats: [2, 2]}}}", "stages.stage1.long.repeats: 2 stands twice"),
        ("stages: {stage2: {pool: {kind: [avg, avg]}}}", "stages.stage2.pool.kind: avg stands twice"),
        ("stages: {stage2: {widen: [late, early, late]}}", "stages.stage2.widen: late stands twice"),
        (
            "stages: {stage2: {reduction: {kind: [parallel, parallel]}}}",
            "stages.stage2.reduction.kind: parallel stands",
        ),
        ("stages: {stage2: {reduction: {short: {direct: [true, true]}}}}", "reduction.short.direct: true stands twice"),
        ("padding: [counted, counted]", "padding: counted stands twice"),
        ("thresholds: {off: [balance, balance]}", "thresholds.off lists balance twice"),
        (
            "aux: {heads: {again: [avg 5x5/3 valid, conv 1x1 128, conv 5x5 768 valid]}}",
            "again is the same as normalised",
        ),
        ("stems: {a: [conv 3x3 8], b: [conv 3x3 8]}", "stems: b is the same as a: keep one"),
    ],
)
def test_a_choice_that_stands_twice_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    found = _refusal(tmp_path, text)
    assert found.startswith("own.yaml:3: ")
    assert sentence in found


# ------------------------------------------------------------------------------------------------- the whole space


def test_only_the_first_stage_has_no_reduction(tmp_path: Path) -> None:
    found = _refusal(tmp_path, "stages:\n  stage2:\n    reduction: null")
    assert found.startswith("own.yaml:5: stages.stage2 has no 'reduction': every stage after the first")
    tower = "{kernel: [3], factorisation: [none], embedding: [16, 16, 16], output: [32, 32, 16]}"
    reduction = f"{{short: {{embedding: [32, 32, 16], output: [64, 64, 16]}}, long: {tower}}}"
    found = _refusal(tmp_path, f"stages:\n  stage1:\n    reduction: {reduction}")
    assert found.startswith("own.yaml:5: stages.stage1 has a reduction: the stem leads to the first stage")
    start = next(i for i, text in enumerate(LINES) if text.startswith("  - reduction:"))
    whole = "\n".join([*LINES[:start], "  - depth: [1, 8]", *LINES[start + 5 :]])
    found = _refusal(tmp_path, whole, whole=True)
    assert found.startswith(f"own.yaml:{start + 1}: stages.stage2 has no 'reduction'")


@pytest.mark.parametrize(
    ("text", "line", "parts"),
    [
        (
            "stages:\n  stage1:\n    short: {factorisation: [asymmetric]}",
            5,
            [
                "stages.stage1.short.factorisation allows asymmetric",
                "asymmetric is for grids from 12 to 20, not for 35 x 35 with the stem released",
                "(asymmetric_factors)",
                "none say",
                "'thresholds: {off: [asymmetric_factors]}'",
            ],
        ),
        (
            "stages: {stage2: {long: {factorisation: [expanded]}}}\nthresholds: {off: [balance]}",
            3,
            [
                "stages.stage2.long.factorisation allows expanded",
                "expanded is for the last grid (local_processing)",
                "'thresholds: {off: [balance, local_processing]}'",
            ],
        ),
        (
            "stages:\n  stage3:\n    reduction: {long: {factorisation: [expanded]}}",
            5,
            ["stages.stage3.reduction.long.factorisation allows expanded"],
        ),
        (
            "stages:\n  stage2:\n    reduction:\n      kind: [pool_first, convolve_first]",
            6,
            [
                "stages.stage2.reduction.kind allows pool_first, convolve_first",
                "pool_first breaks parallel_reduction and bottleneck; convolve_first breaks parallel_reduction;",
                "parallel say",
                "'thresholds: {off: [parallel_reduction]}'",
            ],
        ),
        (
            "stages: {stage2: {reduction: {kind: [pool_first]}}}\nthresholds: {off: [parallel_reduction]}",
            3,
            ["pool_first breaks bottleneck;", "'thresholds: {off: [parallel_reduction, bottleneck]}'"],
        ),
    ],
)
def test_choices_of_which_the_principles_leave_nothing_are_refused(
    tmp_path: Path, text: str, line: int, parts: list[str]
) -> None:
    found = _refusal(tmp_path, text)
    assert found.startswith(f"own.yaml:{line}: ")
    for part in parts:
        assert part in found
    advice = re.search(r"'(thresholds: .*)'", found)
    assert advice is not None
    _own(tmp_path, re.sub(r"thresholds: .*", "", text) + "\n" + advice[1])  # what is advised helps


LARGE = "stems: {large: [conv 3x3/2 64, conv 3x3/2 192]}\n"  # its grids are 75, 37 and 18
ONLY = "stages:\n  stage2:\n    long: {factorisation: [asymmetric]}\n"


def test_only_stems_that_can_be_drawn_decide_where_factors_may_stand(tmp_path: Path) -> None:
    found = _refusal(tmp_path, LARGE + ONLY)
    assert found.startswith("own.yaml:6: stages.stage2.long.factorisation allows asymmetric")
    assert "not for 37 x 37 with the stem large (" in found
    fixed = _own(tmp_path, LARGE + ONLY + "fixed: {stem: released}")
    assert seed("inception-v3") in fixed
    _own(tmp_path, "stems: {large: [conv 3x3/2 64, conv 3x3/2 192]}\nfixed: {stem: large}\naux: null")
    small = "stems: {small: [conv 3x3/16 64]}\n"  # its last grid is none at all
    assert "are too small for the space 'own'" in _refusal(tmp_path, small + "resolution: 75\naux: null")
    _own(tmp_path, small + "resolution: 75\naux: null\nfixed: {stem: released}")


def test_both_sides_of_a_grid_count(tmp_path: Path) -> None:
    steps = "conv 3x3/2 32 valid, max 3x3/2 valid, conv 1x15 64 valid, conv 1x15 64 valid, max 3x3/2 valid"
    flat = f"stems: {{flat: [{steps}]}}\n"
    found = _refusal(tmp_path, flat + ONLY + "fixed: {stem: flat}\naux: null")
    assert "not for 17 x 10 with the stem flat" in found


def test_the_reference_is_a_seed_when_the_file_is_read(tmp_path: Path) -> None:
    found = _refusal(tmp_path, "thresholds:\n  reference: inceptoin-v3")
    assert found == (
        f"own.yaml:4: thresholds.reference is 'inceptoin-v3': {', '.join(seed_names())} are allowed; "
        "did you mean 'inception-v3'?"
    )


def test_an_auxiliary_head_must_fit_its_grid(tmp_path: Path) -> None:
    large = "aux:\n  heads:\n    large: [avg 25x25 valid]\n"
    found = _refusal(tmp_path, large)
    assert found.startswith(
        "own.yaml:5: aux.heads.large does not fit the grid of stage2, which is 17 x 17 with the stem released and "
        "pictures of 299 px: it needs 25 x 25;"
    )
    _own(tmp_path, large + "fixed: {aux: plain}")  # it cannot be drawn
    _own(tmp_path, large.replace("25x25", "17x17"))
    assert "it needs 17 x 17;" in _refusal(tmp_path, "resolution: 224")
    assert "it fits no grid;" in _refusal(
        tmp_path, large.replace("avg 25x25", ", ".join(["max 3x3/31 valid"] * 2) + ", max 9x9")
    )


# ------------------------------------------------------------------------------------------------ bases and mix-ups


def test_a_mistake_in_a_base_is_told_with_its_own_file(tmp_path: Path) -> None:
    line = next(i for i, text in enumerate(LINES, 1) if "kernel: [3, 5, 7]" in text)
    _write(tmp_path, "below.yaml", SHIPPED.replace("kernel: [3, 5, 7]", "kernel: [3, 4]", 1))
    above = _write(tmp_path, "above.yaml", "base: below.yaml\nname: above")
    with pytest.raises(RequestError, match=rf"^{tmp_path}/below\.yaml:{line}: stages\.stage2\.short\.kernel\.1: "):
        space(above)
    for text in ("", "name: x", "stages: 3"):
        _write(tmp_path, "below.yaml", text)
        with pytest.raises(RequestError, match=rf"^{tmp_path}/below\.yaml:1: a space file (has no|must be)"):
            space(above)


def test_bases_that_go_round_are_told_once(tmp_path: Path) -> None:
    one = _write(tmp_path, "one.yaml", "name: one\nbase: ./one.yaml")
    with pytest.raises(RequestError, match="based on this file again") as caught:
        space(one)
    assert str(caught.value).count("one.yaml:2: ") == 1
    two = _write(tmp_path, "two.yaml", f"name: two\nbase: ../{tmp_path.name}/three.yaml")
    _write(tmp_path, "three.yaml", "name: three\nbase: two.yaml")
    with pytest.raises(RequestError, match=r"three\.yaml:2: base is '.*two\.yaml', which is based on this file again"):
        space(two)
    for i in range(10):
        _write(tmp_path, f"tall{i}.yaml", f"name: tall{i}\nbase: {f'tall{i - 1}.yaml' if i else 'inception'}")
    assert space(str(tmp_path / "tall7.yaml")).genes == space("inception").genes
    with pytest.raises(RequestError, match=r"tall1\.yaml:2: more than 8 spaces are based on each other"):
        space(str(tmp_path / "tall9.yaml"))


def test_spaces_and_architectures_are_told_apart(tmp_path: Path) -> None:
    for text in ("base: inception\nname: own", SHIPPED, SHIPPED.replace("format: space/1\n", "")):
        path = _write(tmp_path, "mine.yaml", text)
        with pytest.raises(RequestError, match="this is a space, not an architecture") as caught:
            from_file(Path(path))
        assert f"'nas space {path}' explains it" in str(caught.value)
        assert f"'nas sample {path}' draws" in str(caught.value)
    v3 = seed("inception-v3").to_yaml()
    for text in (v3, v3.replace("format: architecture/1\n", "")):
        path = _write(tmp_path, "mine.yaml", text)
        with pytest.raises(RequestError, match=rf"this is an architecture, not a space: 'nas show {path}' shows it"):
            space(path)
        above = _write(tmp_path, "above.yaml", "base: mine.yaml\nname: above")
        with pytest.raises(RequestError, match=r"mine\.yaml:1: this is an architecture, not a space"):
            space(above)


# -------------------------------------------------------------------------------------------------- why outside


def test_what_a_narrowed_space_allows_is_named(tmp_path: Path) -> None:
    fixed = "fixed: {stem: released, aux: plain, stage1.depth: 2, stage2.short.kernel: 3, stage3.pool.kind: max}"
    narrow, v3 = _own(tmp_path, fixed), seed("inception-v3")
    assert narrow.why_outside(seed("googlenet")) == "the stem is not released"
    assert narrow.why_outside(replace(v3, aux=())) == "there is no single auxiliary head that is plain"
    deep = replace(v3, stages=(replace(v3.stages[0], modules=v3.stages[0].modules * 3), *v3.stages[1:]))
    assert narrow.why_outside(deep) == "stage1.depth is 9: this space allows 2"
    two = replace(v3, stages=(replace(v3.stages[0], modules=v3.stages[0].modules[:2]), *v3.stages[1:]))
    assert narrow.why_outside(two) == (
        "the short tower of stage2.module1 is not a 1x1 and one of the chains that this space allows: 3x3; 3x3 - 3x3; "
        "1x3 - 3x1; 3x1 - 1x3 - 3x1 - 1x3"
    )


def test_what_plays_no_part_is_no_reason_to_lie_outside(tmp_path: Path) -> None:
    """Average pools that are nowhere, and the towers of reductions in sequence, take what the space allows."""
    stages = ", ".join(f"stage{s}: {{pool: {{kind: [max]}}}}" for s in (1, 2, 3))
    narrow = _own(tmp_path, f"stages: {{{stages}}}\nfixed: {{padding: uncounted}}")
    assert narrow.sample(0) in narrow
    serial = "reduction: {kind: [convolve_first], short: {direct: [false]}}"
    free = _own(tmp_path, f"stages: {{stage2: {{{serial}}}}}\nthresholds: {{off: [parallel_reduction]}}")
    assert free.sample(0) in free


def test_files_without_lines_are_told_without_a_wrong_one() -> None:
    with pytest.raises(RequestError, match=r"^given: name is 3: text is allowed"):
        validate(SpaceFile, Document({**read_text(SHIPPED).data, "name": 3}, "given", {}), "a space file")
