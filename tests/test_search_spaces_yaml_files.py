"""YAML: strict in, readable out."""

import copy
import itertools
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from steps import steps

from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_file, from_yaml
from search_spaces.cost import cost
from search_spaces.errors import RequestError
from search_spaces.seeds import seed
from search_spaces.yaml_files import read_file, read_text, write_text

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=12,
)


@given(values)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert read_text(write_text(value)).data == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("no", "no"),
        ("on", "on"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("~", None),
        ("true", True),
        ("'1'", "1"),
        ("-.5", -0.5),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    assert read_text(text).data == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml:3: the key 'a' stands twice"),
        ("a: &x 1\nb: *x", "f.yaml:1: anchors and aliases"),
        ("a: !!python/object/apply:os.system [ls]", "f.yaml:1: the tag"),
        ("- " * 60 + "x", "nested deeper than 40"),
        ("{1: 2, [a]: 3}", "a key must be plain text"),
        ("a: .nan", "not a finite number"),
        ("a: .inf", "not a finite number"),
        ("a: [1, 2", "not valid YAML"),
        ("a: 1\n---\nb: 2", "more than one document"),
        ("a:\n- \x00", "f.yaml:2: not valid YAML: special characters"),
        ("a: \ud800", "f.yaml:1: not valid YAML: special characters"),
        ('a:\n- "\\ud800"', "f.yaml:2: an escape stands for half a character"),
        ('"\\ud800": 1', "f.yaml:1: an escape stands for half a character"),
        ('a:\n- "\\UFFFFFFFF"', "f.yaml:2: not valid YAML: an escape or a version that is out of range"),
        ('a: "\\U00110000"', "f.yaml:1: not valid YAML: an escape or a version that is out of range"),
        ("%YAML 1." + "9" * 5000 + "\n---\na", "f.yaml:1: not valid YAML: an escape or a version that is out of range"),
        ("!" + "x" * 5000 + "!y a", "f.yaml:1: not valid YAML: found undefined tag handle"),
        ("a:\n" + "- 1\n" * 10_000, "f.yaml:10000: more than 10,000 entries"),
        ("? {a: b}\n: c", "a key must be plain text"),
        ("x: " + "y" * 2_000_000, "larger than"),
    ],
)
def test_what_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_text(text, "f.yaml")
    assert sentence in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_lines_are_known() -> None:
    document = read_text("a:\n  - b\n  - c: 1\n", "f.yaml")
    with pytest.raises(RequestError, match=r"f\.yaml:3: here"):
        document.fail(("a", 1, "c", "deeper"), "here")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="there is no file"):
        read_file(tmp_path / "none.yaml")
    with pytest.raises(RequestError, match="is a folder: name a YAML file in it"):
        read_file(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: \xe9\xff")
    with pytest.raises(RequestError, match=r"latin\.yaml:2: not UTF-8"):
        read_file(tmp_path / "latin.yaml")
    (tmp_path / "large.yaml").write_bytes(b"a" * 10_000_000)
    with pytest.raises(RequestError, match=r"large\.yaml:1: larger than 250,000 bytes"):
        read_file(tmp_path / "large.yaml")
    (tmp_path / "a\n\x1b[31mb.yaml").write_bytes(b"a: [")
    with pytest.raises(RequestError, match=r"a\\n\\x1b\[31mb.yaml':1: not valid YAML"):
        read_file(tmp_path / "a\n\x1b[31mb.yaml")


def test_numbers_stay_exact() -> None:
    for number in (0.1, 1e-300, 1e300, math.pi, 5e-324):
        assert read_text(write_text({"x": number})).data == {"x": number}


# ------------------------------------------------------------------------------------------- architecture files by hand

TEXT = seed("inception-v3").to_yaml()
LINES = TEXT.splitlines()
AT = {key: next(i for i, line in enumerate(LINES, 1) if line.startswith(key)) for key in ("stem", "stages", "aux")}
DROP = AT["aux"] - 1
HEAD = "\n".join(LINES[: AT["stages"]]) + "\n"
TOWER = "[conv 1x1 64]"


def changed(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, 1)


def stem(step: str) -> str:
    return changed("conv 3x3/2 32 valid", step)


def uneven() -> str:
    """A large file whose last module has towers on different grids at every size."""
    modules = f"  - [{', '.join(['[conv 1x1 8, conv 3x3 8, conv 3x3 8]'] * 4)}]\n" * 36
    reduced = f"- reduction: [[max 3x3/2]]\n  modules:\n{modules}" * 4
    return f"{HEAD}- modules:\n{modules}{reduced}  - [[max 3x3/2], [max 3x3]]\n"


def dropout(value: str) -> str:
    return changed("dropout: 0.5", f"dropout: {value}")


def bomb() -> str:
    names = "abcdefghij"
    rows = [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in itertools.pairwise(names)]
    return "\n".join(["a: &a [x, x]", *rows])


STEP, REDUCED = AT["stem"], next(i for i, line in enumerate(LINES, 1) if "reduction:" in line) + 1
BAD: dict[str, tuple[str | bytes, int, str]] = {
    "cycle": (changed("stages:", "stages: &s [*s]\nmore:"), AT["stages"], "anchors and aliases are not allowed"),
    "cycle of the stem": (changed("stem: [", "stem: &s [*s, "), AT["stem"], "anchors and aliases"),
    "alias bomb": (bomb(), 1, "anchors and aliases"),
    "harmless anchor": (dropout("&d 0.5"), DROP, "anchors and aliases"),
    "merge key": (changed("dropout: 0.5", "<<: {dropout: 0.5}"), DROP, "unknown key '<<'"),
    "missing tower": (HEAD + f"- modules:\n  - - {TOWER}\n    -\n", AT["stages"] + 3, "modules.0.1 must be a list of"),
    "empty tower": (HEAD + f"- modules:\n  - - {TOWER}\n    - []\n", AT["stages"] + 3, "found 0 entries"),
    "empty module": (HEAD + "- modules:\n  - []\n", AT["stages"] + 2, "must be a list of 1 to 16 entries"),
    "65 modules": (HEAD + "- modules:\n" + f"  - - {TOWER}\n" * 65, AT["stages"] + 2, "1 to 64 entries; found 65"),
    "no stages": (HEAD.replace("stages:", "dropout: 0.5"), 1, "has no 'stages': add it"),
    "empty stages": (HEAD.replace("stages:", "stages: []"), AT["stages"], "must be a list of 1 to 16 entries"),
    "stage without modules": (HEAD + f"- reduction: [{TOWER}]\n", AT["stages"] + 1, "stages.0 has no 'modules'"),
    "negative width": (stem("conv 3x3 -5"), STEP, "'conv 3x3 -5' has width -5: allowed are 1 to 65536"),
    "two widths": (stem("conv 3x3 64 64"), STEP, "'64' in 'conv 3x3 64 64' is unknown"),
    "no width": (stem("conv 3x3 valid"), STEP, "is no number of filters"),
    "width zero": (stem("conv 3x3 0"), STEP, "has width 0: allowed are 1 to 65536"),
    "large width": (stem("conv 3x3 65537"), STEP, "has width 65537: allowed are 1 to 65536"),
    "absurd width": (stem("conv 3x3 " + "9" * 5000), STEP, "9999 is not an operation"),
    "kernel zero": (stem("conv 0x3 8"), STEP, "kernel sides and strides must be 1 to 31"),
    "unknown operation": (stem("cnov 3x3 8"), STEP, "'cnov' is not an operation"),
    "code": (stem("__import__('os').mkdir('canary')"), STEP, "is not an operation"),
    "number": (stem("3"), STEP, "3 is not an operation"),
    "mapping": (stem("{conv: 3x3}"), STEP, "{'conv': '3x3'} is not an operation"),
    "ANSI": (stem('"conv \\e[31m3x3"'), STEP, r"'conv \x1b[31m3x3' is not an operation"),
    "line break": (stem('"conv\\n3x3"'), STEP, r"'conv\n3x3' is not an operation"),
    "duplicate key": (
        changed("dropout: 0.5", "dropout: 0.5\ndropout: 0.4"),
        DROP + 1,
        "the key 'dropout' stands twice",
    ),
    "unknown key": (changed("dropout:", "dropuot:"), DROP, "did you mean 'dropout'?"),
    "long key": (changed("dropout:", f"? {'k' * 5000}\n:"), DROP + 1, "unknown key 'kkkkk"),
    "ANSI key": (changed("dropout:", '"\\e[31m":'), DROP, r"unknown key '\x1b[31m'"),
    "aux nowhere": (
        changed("after: stage2.module4", "after: stage9.module1"),
        AT["aux"] + 1,
        "no module 'stage9.module1'",
    ),
    "uneven towers": (
        changed("[max 3x3/2 valid]", "[max 3x3 valid]"),
        REDUCED,
        "end on different grids, 17 x 17 and 33 x",
    ),
    "uneven towers of a large file": (uneven(), uneven().count("\n"), "cannot run at 299 x 299: stage5.module37"),
    "too small": (changed("resolution: 299", "resolution: 20"), STEP, "cannot run at 20 x 20: stem.6"),
    "tag": ("!!python/object/apply:os.mkdir [canary]", 1, "python/object/apply:os.mkdir' is not allowed"),
    "tag of a value": (dropout("!!python/name:os.system"), DROP, "is not allowed: write plain values"),
    "tag of a key": (changed("dropout:", "!!python/name:os.system x:"), DROP, "a key must be plain text"),
    "infinite": (dropout("1e999"), DROP, "1e999 is not a finite number"),
    "not a number": (dropout(".nan"), DROP, ".nan is not a finite number"),
    "hexadecimal": (changed("resolution: 299", "resolution: 0x12b"), 3, "resolution is '0x12b': a whole number"),
    "octal": (changed("resolution: 299", "resolution: 0o453"), 3, "resolution is '0o453': a whole number"),
    "underscore": (changed("resolution: 299", "resolution: 2_99"), 3, "resolution is '2_99': a whole number"),
    "a fraction": (changed("resolution: 299", "resolution: 299.0"), 3, "resolution is '299.0': a whole number"),
    "many digits": (changed("resolution: 299", "resolution: " + "9" * 9000), 3, "a whole number from 1 to 4096"),
    "true": (changed("resolution: 299", "resolution: true"), 3, "resolution is 'True': a number from 1 to 4096"),
    "path": (changed("name: inception-v3", "name: ../../etc/passwd"), 2, "name is '../../etc/passwd': use 1 to 64"),
    "HTML": (changed("name: inception-v3", "name: <b>x</b>"), 2, "name is '<b>x</b>': use 1 to 64"),
    "quotes": (changed("name: inception-v3", 'name: "a\'b"'), 2, 'name is "a\'b": use 1 to 64'),
    "ANSI name": (changed("name: inception-v3", 'name: "\\e[31m"'), 2, r"name is '\x1b[31m': use 1 to 64"),
    "empty": ("", 1, "an architecture file must be a mapping"),
    "comments": ("# nothing\n" * 9000, 1, "an architecture file must be a mapping"),
    "list": ("- 1", 1, "an architecture file must be a mapping"),
    "two documents": (TEXT + "---\n" + TEXT, len(LINES) + 1, "more than one document"),
    "NUL": (dropout("\0"), DROP, "special characters are not allowed"),
    "tab": (changed("stages:\n", "stages:\n\t- x\n"), AT["stages"] + 1, "found character '\\t'"),
    "UTF-16": (TEXT.encode("utf-16"), 1, "not UTF-8 text (byte 0)"),
    "Latin-1": (dropout("'\xe9'").encode("latin-1"), DROP, "not UTF-8 text"),
    "10 MB of nesting": ("a: " + "[" * 10_000_000, 1, "larger than 250,000 bytes"),
    "10 MB of text": ("a: " + "x" * 10_000_000, 1, "larger than 250,000 bytes"),
    "flow nesting": ("a: " + "[" * 240_000, 1, "nested deeper than 40 levels"),
    "block nesting": ("- " * 120_000, 1, "nested deeper than 40 levels"),
    "nested keys": ("{a: " * 60_000, 1, "nested deeper than 40 levels"),
    "100,000 keys": ("".join(f"k{i}: 1\n" for i in range(100_000)), 1, "larger than 250,000 bytes"),
    "20,000 keys": ("".join(f"k{i}: 1\n" for i in range(20_000)), 10_000, "more than 10,000 entries"),
    "one line": ("a: [" + "1," * 120_000 + "]", 1, "more than 10,000 entries"),
}


MOST_STEPS = 6_000_000  # for any file that is allowed or refused: a fifth to half of a second


def refusal(path: Path) -> str:
    """The sentence for a file."""
    with pytest.raises(RequestError) as caught:
        from_file(path)
    return str(caught.value)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_architecture_file_costs_a_sentence_with_file_and_line(kind: str, tmp_path: Path) -> None:
    content, line, sentence = BAD[kind]
    path = tmp_path / "bad.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    said: list[str] = []
    assert steps(lambda: said.append(refusal(path))) < MOST_STEPS
    (found,) = said
    assert found.startswith(f"{path}:{line}: ")
    assert sentence in found
    assert found.isprintable()
    assert len(found) < 700
    assert [file.name for file in tmp_path.iterdir()] == ["bad.yaml"]


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\r"),
        "\ufeff" + TEXT,
        "%YAML 1.2\n---\n" + TEXT + "...\n",
        "# as printed\n" + TEXT.replace("name: inception-v3", "name: 'CON'"),
        TEXT + "notes: " + "x" * 200_000,
    ],
    ids=["CRLF", "CR", "byte order mark", "directive", "comment", "long notes"],
)
def test_harmless_forms_are_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "fine.yaml").write_bytes(text.encode())
    assert from_file(tmp_path / "fine.yaml") == seed("inception-v3")


def test_a_head_that_never_fits_is_seen_at_once() -> None:
    """Its 4,096 sizes of pictures, laid out one by one, would take seven million steps."""
    odd = from_yaml(changed("avg 5x5/3 valid", "max 3x3/31 valid, max 3x3/31 valid, max 3x3/31 valid"))

    def ask() -> None:
        assert cost(odd).params_with_aux is None
        with pytest.raises(RequestError, match="accepts no picture up to 4096"):
            _ = odd.digest

    assert steps(ask) < 200_000


def test_the_widest_network_is_counted_at_once() -> None:
    def count(text: str) -> int:
        return cost(from_yaml(text)).params

    text = re.sub(r"(conv \S+) \d+", r"\1 65536", TEXT)
    assert count(text) > 10**12
    assert steps(lambda: count(text)) < 2 * steps(lambda: count(TEXT))


# 200 MB of addresses, Python's own included.
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (200_000_000, 200_000_000))
from nas.cli import main
sys.argv = ["nas", "cost", "bad.yaml"]
main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process are Linux's")
@pytest.mark.parametrize("kind", ["alias bomb", "10 MB of nesting", "flow nesting", "one line", "tag"])
def test_a_bad_file_takes_little_memory(kind: str, tmp_path: Path) -> None:
    content, line, sentence = BAD[kind]
    assert isinstance(content, str)
    (tmp_path / "bad.yaml").write_text(content, encoding="utf-8")
    command = [sys.executable, "-c", LIMITED]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"nas: bad.yaml:{line}: ")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["bad.yaml"]


# ------------------------------------------------------------------------------------------------- files by chance


def read_or_refused(text: str) -> Architecture | None:
    """Read an architecture, or see that it is refused in one sentence with file and line; anything else fails."""
    found: list[Architecture] = []
    refused = ""

    def read() -> None:
        nonlocal refused
        try:
            found.append(from_yaml(text, "f.yaml"))
        except RequestError as error:
            refused = str(error)

    assert steps(read) < MOST_STEPS
    assert found or (re.match(r"f\.yaml:\d+: ", refused) and refused.isprintable() and len(refused) < 1000), refused
    return found[0] if found else None


PIECES = [*"\n\t :-[]{}!|>'\"#%?,\0é", "&a ", "*a", "- ", ": "]
letters = st.one_of(st.sampled_from(PIECES), st.text(max_size=3))
edits = st.tuples(st.integers(0, len(TEXT)), st.integers(0, 12), letters)


@settings(max_examples=150)
@given(st.lists(edits, min_size=1, max_size=4))
@example([(TEXT.index("32"), 2, "-32")])
def test_changed_letters_are_read_or_refused(changes: list[tuple[int, int, str]]) -> None:
    text = TEXT
    for place, length, piece in changes:
        text = text[:place] + piece + text[place + length :]
    read_or_refused(text)


OPERATIONS = [
    *("conv 1x1 64", "conv 3x3 -5", "conv 31x31/31 65536 valid", "conv 2x2 8", "max 3x3/2 valid", "avg 3x3/2"),
    *("avg 9x9 ceil", "lrn 5", "adaptive 4x4", "linear 9", "dropout 0.1", "concat", ""),
]
junk: st.SearchStrategy[Any] = st.one_of(
    scalars, st.sampled_from(OPERATIONS), st.just([]), st.just({}), st.just([["conv 1x1 64"]])
)


@settings(max_examples=150)
@given(st.data())
def test_changed_structures_are_read_or_refused(data: st.DataObject) -> None:
    document = copy.deepcopy(seed("inception-v3").as_data())
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = document
        while True:
            key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.integers(0, 3)) == 0:
                break
            place = place[key]
        change = data.draw(st.sampled_from(["replace", "remove", "repeat"]))
        if change == "replace":
            place[key] = data.draw(junk)
        elif change == "remove" and len(place) > 1:
            del place[key]
        elif isinstance(place, list):
            place[key:key] = [copy.deepcopy(place[key])] * data.draw(st.integers(1, 70))
    found = read_or_refused(write_text(document))
    if found is not None:
        assert from_yaml(found.to_yaml()) == found
