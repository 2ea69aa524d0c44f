"""Proofs: an exported file that computes something else is found out; a good one passes in every form."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nas.export import written
from nas.export_networks import reference, to_train, trunk_of
from results.export import proof
from results.export.content import Content
from results.export.proof import STEP_TOLERANCE, Proof, judged, prove, question, reload
from search_spaces.architecture_file import from_data
from search_spaces.errors import ExportFailed, NotWritten, RequestError
from search_spaces.files import write_files
from search_spaces.proxy import scaled
from search_spaces.seeds import seed
from search_spaces.space import space
from trainers.network import build

SMALL = from_data(
    {
        "format": "architecture/1",
        "name": "small",
        "resolution": 32,
        "stem": ["conv 3x3/2 8"],
        "stages": [
            {"modules": [[["conv 1x1 8"], ["avg 3x3 uncounted", "conv 1x1 4"], ["conv 1x1 4"]]]},
            {"reduction": [["max 3x3/2", "conv 1x1 12 linear"]], "modules": [[["conv 3x3 8 bias"], ["conv 1x1 8"]]]},
        ],
        "aux": [{"after": "stage1.module1", "steps": ["conv 3x3 6 valid", "dropout 0.2"]}],
    }
)
CHANGES = "what a training step changes differs"
PLAIN = Content(SMALL, 7, 3, (32, 32))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def with_weights(content: Content, *, aux: bool) -> Content:
    graph = content.architecture.graph(content.sides, classes=content.classes, channels=content.channels, aux=aux)
    return replace(content, state=build(graph, initialise=3).state_dict())


def proved(form: str, content: Content, folder: Path, change: Callable[[str], str] | None = None) -> Proof:
    training = to_train(content)
    network = trunk_of(training, content) if form == "python" else reference(content)
    files = written(content, form, network)
    if change is not None:
        source = files["small.py"].decode()
        files["small.py"] = change(source).encode()
        assert files["small.py"] != source.encode()
    write_files(folder, files)
    return prove(form, content, folder, network, training)


@pytest.mark.parametrize(
    "content",
    [PLAIN, with_weights(PLAIN, aux=False), with_weights(PLAIN, aux=True), replace(PLAIN, channels=1, sides=(37, 45))],
    ids=["none", "trunk", "whole", "oblong"],
)
def test_what_was_written_is_proved_in_every_form(content: Content, tmp_path: Path) -> None:
    python = proved("python", content, tmp_path)
    assert python.error <= python.tolerance == 1e-6
    assert python.step_error is not None
    assert python.step_error <= STEP_TOLERANCE
    assert (python.form, python.file, python.batches) == ("python", "small.py", (1, 2, 5))
    assert "small.py: proved, reloaded in a fresh process" in python.sentence
    assert python.as_data()["training_step_allowed"] == STEP_TOLERANCE
    pt2 = proved("pt2", content, tmp_path)
    assert pt2.error <= pt2.tolerance == 1e-6
    assert pt2.step_error is None
    assert "training" not in pt2.sentence


@pytest.mark.parametrize("name", ["googlenet", "googlenet-torchvision", "bn-inception", "inception-v4"])
def test_heads_with_hidden_layers_and_modules_in_the_stem_are_proved(name: str, tmp_path: Path) -> None:
    narrow = scaled(seed(name), 0.0625)
    for side in (narrow.smallest_resolution() + 5, narrow.smallest_resolution(aux=True) + 32):
        try:
            narrow.graph(side)
        except RequestError:
            continue
        proved("python", Content(narrow, 5, 3, (side, side)), tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("eps=0.001", "eps=0.002", "its logits differ by .* of the largest, 1e-06 is allowed"),
        ("count_include_pad=False", "count_include_pad=True", "its logits differ"),
        ("torch.cat([part(x) for part in self.children()]", "torch.cat([part(x) for part in [*self.children()][::-1]]",
         "its logits differ"),
        ("return self.act(self.norm(self.conv(x)))", "return self.norm(self.act(self.conv(x)))", "its logits differ"),
        ("eps=0.001", "eps=0.001, momentum=0.2", CHANGES),
        ("return (logits, aux_logits) if", "return (logits, aux_logits * 2) if", CHANGES),
        ("nn.Dropout(0.2)", "nn.Dropout(0.25)", "it drops 0.25, 0.5 in training"),
        ("aux_logits) if with_aux else logits", "aux_logits) if with_aux else logits / 0", "differ by inf"),
        ("import torch\nfrom", "import search_spaces\nimport torch\nfrom", "does not run .*: .*search_spaces"),
        ("import torch\nfrom", "import nas.cli\nimport torch\nfrom", "does not run .*: .*No module named 'nas"),
        ("class Small(", "class Smaller(", "does not run .*: .*Small"),
        ("import torch\nfrom", "import torch\nimport sys\nsys.exit(3)\nfrom", "ended with status 3 and said nothing"),
    ],
)  # fmt: skip
def test_a_file_that_does_something_else_is_found_out(old: str, new: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match=said):
        proved("python", PLAIN, tmp_path, lambda source: source.replace(old, new, 1))


def test_weights_that_are_not_the_networks_are_found_out(tmp_path: Path) -> None:
    content = with_weights(PLAIN, aux=False)
    assert content.state is not None
    other = replace(content, state={**content.state, "head.linear.linear.bias": torch.full((7,), 1e-3)})
    write_files(tmp_path, written(other, "python"))
    training = to_train(content)
    with pytest.raises(ExportFailed, match="its logits differ"):
        prove("python", content, tmp_path, trunk_of(training, content), training)
    network = reference(content)
    write_files(tmp_path, written(other, "pt2", reference(other)))
    with pytest.raises(ExportFailed, match=r"small\.pt2 does not compute what its network computes: its logits"):
        prove("pt2", content, tmp_path, network)


def test_a_full_disk_during_the_proof_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **arrays: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(proof.np, "savez", full)
    with pytest.raises(NotWritten, match=r"small cannot be proved in .*No space left on device; free some"):
        proved("python", PLAIN, tmp_path)


@pytest.mark.parametrize("name", ["inception", "inception-free"])
def test_random_architectures_are_proved_in_one_process(name: str, tmp_path: Path) -> None:
    """A sample of what benchmarks/export_rate.py does 2,000 times."""
    searched, exchange, asked = space(name), tmp_path / "exchange", []
    exchange.mkdir()
    for number in range(12):
        architecture = scaled(searched.sample(random_seed=number), 0.0625).named(f"random-{number}")
        side = architecture.smallest_resolution(aux=True)
        content = Content(architecture, 5, 1 + number % 4, (side, side))
        training = to_train(content)
        write_files(tmp_path, written(content, "python"))
        asked.append(question("python", content, tmp_path, trunk_of(training, content), training, exchange))
    reload([each.job for each in asked], exchange, "a sample")
    proofs = [judged(each, exchange) for each in asked]
    assert max(proof.error for proof in proofs) <= 1e-6
    assert len({each.file for each in asked}) == 12
