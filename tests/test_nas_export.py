"""Exports as a whole: all files or none, the manifest, what every form says of itself, and what is refused."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from published import torchvision_model
from safetensors import safe_open
from safetensors.torch import load_file

from nas import export as exporting
from nas.export import FORMS, Exported, check_packages, export, export_bundle, fold_norms, requested, written
from nas.export_card import card_background
from nas.export_comparison import Beside
from nas.export_content import content_of
from nas.export_networks import reference
from nas.study import Found, find
from results.export.content import Content, Scaling
from results.export.manifest import manifest
from results.export.to_pt2 import ARCHITECTURE, FACTS
from results.export.weights import key_map
from results.process import Process
from search_spaces.architecture import Architecture
from search_spaces.architecture_file import from_data, from_file, from_yaml
from search_spaces.cost import cost
from search_spaces.errors import ExportFailed, NotWritten, RequestError
from search_spaces.proxy import scaled
from search_spaces.seeds import seed, seed_names
from trainers.about import About
from trainers.network import build

SMALL = from_data(
    {
        "format": "architecture/1",
        "name": "small",
        "resolution": 32,
        "stem": ["conv 3x3/2 8"],
        "stages": [{"modules": [[["conv 1x1 8"], ["avg 3x3 uncounted", "conv 1x1 4"]]]}],
        "aux": [{"after": "stage1.module1", "steps": ["conv 3x3 6 valid"]}],
    }
)
STATE = build(SMALL.graph(32, classes=3, aux=True), initialise=3).state_dict()
KNOWN = Content(
    SMALL,
    3,
    3,
    (32, 32),
    state=STATE,
    provenance={"study": "tiny, trial 1"},
    scaling=Scaling((1.5, 2.0, 3.0), (4.0, 5.0, 6.5), 255.0),
    class_names=("cat", "dog", "newt"),
    data_digest="a" * 64,
    caution="trained briefly",
)
BARE = Content(SMALL, 3, 3, (32, 32))
LOADED = ["python", "safetensors", "onnx", "pt2", "yaml"]  # the forms that hold the architecture
PROVED = ["python", "onnx", "pt2"]


def write(content: Content, folder: Path, *forms: str) -> tuple[Exported, list[str]]:
    told: list[str] = []
    return export(content, forms, folder, told.append), told


def yaml_inside(path: Path) -> str:
    """The architecture file inside an exported file."""
    if path.suffix == ".py":
        namespace: dict[str, Any] = {"__name__": "exported"}
        exec(compile(path.read_text(encoding="utf-8"), path.name, "exec"), namespace)
        return str(namespace["ARCHITECTURE"])
    if path.suffix == ".safetensors":
        with safe_open(path, "pt") as file:
            return str(file.metadata()["architecture"])
    if path.suffix == ".onnx":
        return next(entry.value for entry in onnx.load(path).metadata_props if entry.key == "architecture")
    if path.suffix == ".pt2":
        inside = {ARCHITECTURE: ""}
        torch.export.load(path, extra_files=inside)
        found: Any = inside[ARCHITECTURE]
        return found if isinstance(found, str) else str(found.decode())
    return path.read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------------------------- round trips


def test_every_form_gives_back_the_architecture_and_its_costs(tmp_path: Path) -> None:
    done, told = write(KNOWN, tmp_path, *LOADED)
    assert [path.suffix for path in done.files] == [".py", ".safetensors", ".onnx", ".pt2", ".yaml"]
    for path in done.files:
        again = from_yaml(yaml_inside(path))
        assert (again, again.digest) == (SMALL, SMALL.digest), path
        assert cost(again, 32, classes=3) == cost(SMALL, 32, classes=3)
    assert [proof.form for proof in done.proofs] == PROVED
    assert told == [proof.sentence for proof in done.proofs]


@pytest.mark.parametrize("name", seed_names())
def test_the_text_in_the_source_is_the_architecture(name: str, tmp_path: Path) -> None:
    whole = seed(name)
    [source] = written(content_of(Found(whole)), "python").values()
    (tmp_path / "x.py").write_bytes(source)
    again = from_yaml(yaml_inside(tmp_path / "x.py"))
    assert (again, again.digest, again.resolution) == (whole, whole.digest, whole.resolution)


def test_facts_travel_with_weights_and_programs(tmp_path: Path) -> None:
    write(KNOWN, tmp_path, "safetensors", "pt2")
    with safe_open(tmp_path / "small.safetensors", "pt") as file:
        found = file.metadata()
    inside = {FACTS: ""}
    torch.export.load(tmp_path / "small.pt2", extra_files=inside)
    facts = json.loads(inside[FACTS])
    known = {key: value for key, value in found.items() if key not in ("format", "architecture")}
    assert facts == {**known, "input": "scaled", "precision": "float32"}
    assert found["digest"] == SMALL.digest
    assert (found["mean"], found["deviation"], found["white"]) == ("1.5,2.0,3.0", "4.0,5.0,6.5", "255.0")
    assert json.loads(found["class_names"]) == ["cat", "dog", "newt"]
    assert (found["data_digest"], found["caution"], found["resolution"]) == ("a" * 64, "trained briefly", "32x32")
    assert json.loads(found["provenance"]) == {"study": "tiny, trial 1"}


def test_weights_have_the_names_of_the_source(tmp_path: Path) -> None:
    write(KNOWN, tmp_path, "safetensors")
    names = key_map(SMALL.graph(32, classes=3, aux=True))
    found = load_file(tmp_path / "small.safetensors")
    assert found.keys() == set(names.values())
    assert all(torch.equal(found[name], STATE[key]) for key, name in names.items())


def test_a_program_takes_any_number_of_pictures_and_says_nothing_of_this_machine(tmp_path: Path) -> None:
    write(BARE, tmp_path, "pt2")
    program, network = torch.export.load(tmp_path / "small.pt2").module(), reference(BARE)
    with torch.inference_mode():
        for number in (1, 3, 64):
            pictures = torch.rand(number, 3, 32, 32)
            torch.testing.assert_close(program(pictures), network(pictures))
    assert str(Path(__file__).parent.parent).encode() not in (tmp_path / "small.pt2").read_bytes()


@pytest.mark.parametrize("name", ["inception-v3", "googlenet-torchvision"])
@pytest.mark.parametrize("aux", [True, False], ids=["whole", "trunk"])
def test_torchvision_loads_its_own_names_and_computes_the_same(name: str, aux: bool) -> None:
    whole = seed(name)
    state = build(whole.graph(classes=5, aux=aux), initialise=1).state_dict()
    content = Content(whole, 5, 3, whole.sides(None), state)
    files = written(content, "safetensors")
    stem = content.name
    assert [*files] == [f"{stem}.safetensors", f"{stem}_torchvision.safetensors"]
    from safetensors.torch import load

    theirs = torchvision_model(
        "inception_v3" if name == "inception-v3" else "googlenet",
        num_classes=5, aux_logits=aux, transform_input=False,
    ).eval()  # fmt: skip
    theirs.load_state_dict(load(files[f"{stem}_torchvision.safetensors"]))
    pictures = torch.rand(1, 3, 139, 139)
    ours = build(whole.graph(139, classes=5), initialise=0)
    ours.load_state_dict({key: value for key, value in state.items() if not key.startswith("aux")})
    with torch.inference_mode():
        torch.testing.assert_close(theirs(pictures), ours.eval()(pictures), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", [scaled(seed("inception-v3"), 0.125), seed("inception-v3-tf"), SMALL])
def test_others_get_no_names_of_torchvision(architecture: Architecture) -> None:
    state = build(architecture.graph(classes=5), initialise=1).state_dict()
    files = written(Content(architecture, 5, 3, architecture.sides(None), state), "safetensors")
    assert len(files) == 1


# -------------------------------------------------------------------------------------------------------- all or none


def test_a_file_that_is_not_proved_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(form: str, content: Content, folder: Path, *networks: object) -> None:
        assert (folder / "small.py").is_file()
        raise ExportFailed("small.py does not compute what its network computes")

    monkeypatch.setattr("results.export.proof.prove", wrong)
    with pytest.raises(ExportFailed):
        write(BARE, tmp_path / "new" / "out", "yaml", "python")
    assert not [*tmp_path.iterdir()]


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(NotWritten, match=r"cannot be written beside .*No space left on device; name a folder"):
        write(BARE, tmp_path / "out", "python")
    assert not [*tmp_path.iterdir()]


def test_a_bundle_holds_every_form_and_says_what_lies_in_it(tmp_path: Path) -> None:
    told: list[str] = []
    done = export_bundle(KNOWN, tmp_path / "b", told.append, partial(card_background, Found(SMALL), KNOWN))
    names = [f"small.{ending}" for ending in ("py", "safetensors", "onnx", "pt2", "yaml")]
    names += ["README.md", "architecture.svg", "profile.svg", "manifest.json"]
    assert [path.name for path in done.files] == names
    found = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert [file["name"] for file in found["files"]] == names[:-1]
    for file in found["files"]:
        content = (tmp_path / "b" / file["name"]).read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert found["proofs"] == [proof.as_data() for proof in done.proofs]
    assert [proof["form"] for proof in found["proofs"]] == PROVED
    card = (tmp_path / "b" / "README.md").read_text(encoding="utf-8")
    assert all(name in card for name in names[:5])  # how each is loaded
    assert (found["digest"], found["weights"], found["caution"]) == (SMALL.digest, True, "trained briefly")
    assert found["provenance"] == {"study": "tiny, trial 1"}
    assert found["class_names"] == ["cat", "dog", "newt"]
    assert found["versions"]["torch"] == torch.__version__
    with pytest.raises(RequestError, match=r"'.*b' is not empty: a bundle is all that lies in its folder"):
        export_bundle(KNOWN, tmp_path / "b", told.append)
    assert len([*tmp_path.iterdir()]) == 1


def test_folded_norms_are_proved_and_leave_in_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    folded = fold_norms(KNOWN, told.append)
    assert (folded.name, folded.architecture.digest != SMALL.digest) == ("small_folded", True)
    assert "small_folded: logits within" in told[0]
    done, _ = write(folded, tmp_path, *LOADED)
    assert [proof.form for proof in done.proofs] == PROVED
    assert all(from_yaml(yaml_inside(path)).digest == folded.architecture.digest for path in done.files)
    assert "BatchNormalization" not in {node.op_type for node in onnx.load(tmp_path / "small_folded.onnx").graph.node}
    monkeypatch.setattr(exporting, "FOLDED", 1e-12)
    with pytest.raises(ExportFailed, match="with batch norms folded small computes something else"):
        fold_norms(KNOWN, told.append)


def test_a_bundle_with_folded_norms_keeps_the_plain_forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, str]] = []
    whole = exporting.written

    def noted(content: Content, form: str, *given: Any, **named: Any) -> dict[str, bytes]:
        made.append((content.name, form))
        return whole(content, form, *given, **named)

    monkeypatch.setattr(exporting, "written", noted)
    told: list[str] = []
    folded = fold_norms(KNOWN, told.append)
    card = partial(card_background, Found(SMALL), KNOWN)
    done = export_bundle(folded, tmp_path, told.append, card, beside=Beside(KNOWN, None))
    names = {path.name for path in done.files}
    assert {f"small.{ending}" for ending in ("py", "safetensors", "onnx", "pt2", "yaml")} <= names
    assert {f"small_folded.{ending}" for ending in ("py", "safetensors", "onnx", "pt2")} <= names
    assert {"small-folded.yaml", "README.md", "manifest.json"} <= names
    assert len(made) == len(set(made)) == 11  # six forms, and five of them folded: none of them twice
    for name, has_norms in (("small", True), ("small_folded", False)):
        nodes = {node.op_type for node in onnx.load(tmp_path / f"{name}.onnx").graph.node}
        assert ("BatchNormalization" in nodes) is has_norms
        assert ("BatchNorm" in (tmp_path / f"{name}.py").read_text(encoding="utf-8")) is has_norms
    assert [each.file for each in done.compared] == ["small_folded.onnx", "small_folded.pt2"]
    assert [proof.form for proof in done.proofs] == 2 * PROVED
    assert json.loads((tmp_path / "manifest.json").read_text())["digest"] == SMALL.digest
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "\n# small\n" in text
    assert "was exported otherwise" not in text
    listed = text.partition("## Provenance")[2]
    assert all(f"`{name}`" in listed for name in names - {"README.md", "manifest.json"} if Path(name).suffix != ".svg")
    assert 'InferenceSession("small.onnx")' in text  # the plain one is what a user begins with


def test_random_weights_are_warned_of(tmp_path: Path) -> None:
    content = requested(Found(SMALL), ["onnx"], classes=3)
    write(content, tmp_path, "onnx")
    told = {entry.key: entry.value for entry in onnx.load(tmp_path / "small.onnx").metadata_props}
    assert "random" in told["caution"]
    assert requested(Found(SMALL), ["python"]).caution == ""


def test_weights_of_another_architecture_are_refused() -> None:
    with pytest.raises(RequestError, match="the weights are of another architecture"):
        content_of(Found(SMALL), STATE, about=About(digest="0" * 64))


def test_a_card_replaces_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# mine\n", encoding="utf-8")
    (tmp_path / "docker-compose.yaml").write_text("services: {}\n", encoding="utf-8")
    theirs = "---\npipeline_tag: image-classification\ntags: [inception, neural-architecture-search]\n---\n# theirs\n"
    for text in ("", "# mine\n", theirs):
        (tmp_path / "README.md").write_text(text, encoding="utf-8")
        with pytest.raises(RequestError, match=r"README\.md' is there and is no model card as an export wrote it"):
            write(KNOWN, tmp_path, "card")
        assert (tmp_path / "README.md").read_text(encoding="utf-8") == text
    (tmp_path / "README.md").unlink()
    for _ in range(2):  # its own may be written anew
        export(KNOWN, ["card"], tmp_path, lambda sentence: None, partial(card_background, Found(SMALL), KNOWN))
    own = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "docker-compose" not in own
    (tmp_path / "README.md").write_text(own.replace("---\n", "---\nlicense: mit\n", 1), encoding="utf-8")
    with pytest.raises(RequestError, match=r"no model card as an export wrote it: name another folder, or move it"):
        write(KNOWN, tmp_path, "card")  # somebody has worked on it


def test_files_wait_within_a_folder_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    make = Path.mkdir

    def noted(path: Path, *given: Any, **named: Any) -> None:
        made.append(path)
        make(path, *given, **named)

    monkeypatch.setattr(Path, "mkdir", noted)
    write(BARE, tmp_path, "python")
    assert [path.parent for path in made if path.name.startswith(".export-")] == [tmp_path]
    assert [path.name for path in tmp_path.iterdir()] == ["small.py"]


@pytest.mark.parametrize("last", ["out", ".partial"])
def test_an_interrupt_right_after_a_folder_was_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    make = Path.mkdir

    def interrupted(path: Path, *given: Any, **named: Any) -> None:
        make(path, *given, **named)
        if path.name.endswith(last):
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "mkdir", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(BARE, tmp_path / "new" / "out", "python")
    assert not [*tmp_path.iterdir()]


def test_a_bundle_without_weights_has_no_weight_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "FORMS", ("safetensors", "yaml"))
    done = export_bundle(BARE, tmp_path, lambda sentence: None)
    assert [path.name for path in done.files] == ["small.yaml", "manifest.json"]
    assert json.loads((tmp_path / "manifest.json").read_text())["weights"] is False


# ------------------------------------------------------------------------------------------------------------ refusals


def test_a_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as where it is not installed
    said = r"the ONNX form needs the package onnxruntime: pip install 'inception-nas\[onnx\]'"
    with pytest.raises(RequestError, match=said):
        export_bundle(BARE, tmp_path / "b", lambda sentence: None)
    assert not [*tmp_path.iterdir()]
    check_packages([form for form in FORMS if form != "onnx"])


def test_weights_and_classes_must_fit(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="the weights are for 3 classes, not 10: leave --classes out"):
        content_of(Found(SMALL), STATE, 10)
    with pytest.raises(RequestError, match="there are no weights of small to export: give some"):
        write(BARE, tmp_path, "safetensors")
    with pytest.raises(RequestError, match="an architecture file holds no weights"):
        requested(Found(SMALL), ["yaml"], STATE)
    wrong = {key: value for key, value in STATE.items() if key != "stem.0.conv.weight"}
    for form in PROVED:
        with pytest.raises(RequestError, match=r"'stem\.0\.conv\.weight' is missing"):
            write(replace(KNOWN, state=wrong), tmp_path, form)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ['"""\nimport os', "a: b\n- c", "x" * 65, "../x", ""])
def test_names_in_a_file_are_refused_before_they_reach_source(name: str, tmp_path: Path) -> None:
    data = SMALL.as_data() | {"name": name}
    (tmp_path / "hostile.yaml").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(RequestError, match=r"name is .*: use 1 to 64 letters, digits, '\.', '_' or '-'"):
        find(str(tmp_path / "hostile.yaml"), tmp_path)


# --------------------------------------------------------------------------------------------------------------- timm

_TIMM = """
import sys
entries = {taken}
def is_model(name):
    return name in entries
def register_model(function):
    module = sys.modules[function.__module__]
    if hasattr(module, "__all__"):
        module.__all__.append(function.__name__)
    else:
        module.__all__ = [function.__name__]
    assert function.__name__ not in entries
    entries[function.__name__] = function
    return function
"""


def _with_timm(folder: Path, timm: str | None, program: str) -> str:
    """Run a program beside the exported source, and a package timm of this content, with warnings as errors."""
    (folder / "small.py").write_bytes(written(BARE, "python")["small.py"])
    if timm is not None:
        (folder / "timm" / "models").mkdir(parents=True)
        (folder / "timm" / "__init__.py").touch()
        (folder / "timm" / "models" / "__init__.py").write_text(timm, encoding="utf-8")
    code = f"import sys, warnings\nsys.path.insert(0, {str(folder)!r})\nimport torch\n"
    code += f"warnings.simplefilter('error')\n{program}"
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_timm_builds_the_network_where_it_is_there(tmp_path: Path) -> None:
    program = """
from small import *
import timm.models
network = timm.models.entries["nas_small"](pretrained=False, num_classes=4, in_chans=1, drop_rate=0.1,
    pretrained_cfg=None, pretrained_cfg_overlay=None, cache_dir=None)
assert isinstance(network, Small) and callable(load_weights)
print(network.head.dropout.p, *network.eval()(torch.rand(2, 1, 32, 32)).shape)
for wrong in ({"pretrained": True}, {"features_only": True}):
    try:
        nas_small(**wrong)
    except TypeError as error:
        print(error)
"""
    said = "pretrained is not possible here\nfeatures_only is not possible here\n"
    assert _with_timm(tmp_path, _TIMM.format(taken="{}"), program) == f"0.1 2 4\n{said}"


@pytest.mark.parametrize(
    "timm",
    [None, "", "import warnings\nwarnings.warn('old', FutureWarning)", "raise RuntimeError('torchvision::nms')",
     "def is_model(name): raise TypeError\nregister_model = print"],
    ids=["absent", "empty", "warns", "broken", "odd"],
)  # fmt: skip
def test_nothing_depends_on_timm(timm: str | None, tmp_path: Path) -> None:
    program = "import small\nprint(*small.Small().eval()(torch.rand(1, 3, 32, 32)).shape, small.__all__)"
    assert _with_timm(tmp_path, timm, program) == "1 3 ['Small', 'load_weights']\n"


def test_a_model_of_timm_is_not_replaced(tmp_path: Path) -> None:
    program = "import small, timm.models\nprint(timm.models.entries)"
    assert _with_timm(tmp_path, _TIMM.format(taken="{'nas_small': 1}"), program) == "{'nas_small': 1}\n"


# -------------------------------------------------------------------------------------------------------------- yaml


def test_yaml_alone_is_of_the_architecture(tmp_path: Path) -> None:
    done, told = write(requested(Found(SMALL), ["yaml"]), tmp_path, "yaml")
    assert from_file(done.files[0]) == SMALL
    assert not told


def test_what_a_killed_export_left_goes_with_the_next_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    dead = replace(Process.this(), started="0")  # another process had its number
    for name, owner in (("dead", dead), ("living", Process.this())):
        (tmp_path / f".export-{name}.partial").mkdir()
        (tmp_path / f".export-{name}.partial" / "process.json").write_text(owner.to_text(), encoding="utf-8")
    (tmp_path / ".export-begun.partial").mkdir()
    write(KNOWN, tmp_path, "pt2")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"small.pt2", ".export-living.partial", ".export-begun.partial"}


KILLED = """
import os, signal, sys
from pathlib import Path
from nas import export as exporting
from nas.export_content import content_of
from nas.study import Found
from search_spaces.seeds import seed

point, number = sys.argv[1], int(sys.argv[2])
exporting.FORMS, exporting.PROVED = ("python", "yaml"), ()
make, replace, write_text, done = Path.mkdir, os.replace, Path.write_text, [0]

def killed():
    os.kill(os.getpid(), signal.SIGKILL)

def making(path, *given, **named):
    make(path, *given, **named)
    if point == "making" and path.name.startswith(".export-"):
        killed()

def writing(path, text, **named):
    if point == "owning":
        write_text(path, text[:9], **named)
        killed()
    return write_text(path, text, **named)

def placing(*given):
    if point == "placing" and done[0] == number:
        killed()
    done[0] += 1
    replace(*given)

Path.mkdir, os.replace, Path.write_text = making, placing, writing
exporting.export_bundle(content_of(Found(seed("googlenet"))), Path(sys.argv[3]), print)
"""


@pytest.mark.parametrize("exists", [False, True], ids=["new", "empty"])
@pytest.mark.parametrize(
    ("point", "number"), [("making", 0), ("owning", 0), ("placing", 0), ("placing", 1), ("placing", 2)]
)
def test_a_bundle_that_was_killed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, number: int, exists: bool
) -> None:
    folder = tmp_path / "b"
    if exists:
        folder.mkdir()
    code = [sys.executable, "-c", KILLED, point, str(number), str(folder)]
    done = subprocess.run(code, check=False, cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [*folder.iterdir()]
    monkeypatch.setattr(exporting, "FORMS", ("python", "yaml"))
    monkeypatch.setattr(exporting, "PROVED", ())
    again = export_bundle(content_of(Found(seed("googlenet"))), folder, lambda sentence: None)
    left = {path.name for path in folder.iterdir()} - {path.name for path in again.files}
    assert len(again.files) == 3
    # One without an owner may have begun this moment: it stays for a minute.
    assert all(name.startswith(".export-") for name in left)
    assert len(left) == (point != "placing")
    for name in left:
        os.utime(folder / name, (0, 0))
    with pytest.raises(RequestError, match="is not empty"):
        export_bundle(content_of(Found(seed("googlenet"))), folder, lambda sentence: None)
    assert {path.name for path in folder.iterdir()} == {path.name for path in again.files}


def test_files_of_others_beside_a_killed_bundle_stay(tmp_path: Path) -> None:
    """Only what is byte for byte what the killed one had placed is taken back."""
    (tmp_path / ".export-dead.partial").mkdir()
    dead = replace(Process.this(), started="0").to_text()
    (tmp_path / ".export-dead.partial" / "process.json").write_text(dead, encoding="utf-8")
    (tmp_path / "small.yaml").write_text("mine", encoding="utf-8")
    listed = {"small.yaml": b"its own", "../outside": b"mine"}
    (tmp_path / ".draft-0.partial").write_bytes(manifest(KNOWN, listed, ()))
    with pytest.raises(RequestError, match="is not empty"):
        export_bundle(KNOWN, tmp_path, lambda sentence: None)
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]
