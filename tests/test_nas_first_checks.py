"""Wrong requests are told before torch is loaded, which takes seconds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SEARCH = "study: s\ndata: digits\ntrials: 8\nrecipe: {epochs: 4}\n"
TRAINING = "data: digits\nresolution: 75\nrecipe: {batch_size: 16, aux_weight: 0}\n"

RUN = """
import json, sys
sys.path.insert(0, sys.argv[1])
from nas import cli
told = []
for arguments in json.loads(sys.argv[2]):
    sys.argv[1:] = arguments
    try:
        cli.main()
    except SystemExit as ended:
        told.append(ended.code)
print(json.dumps([told, sorted({'torch', 'ray', 'optuna', 'sklearn', 'datasets'} & set(sys.modules))]))
"""

WRONG: dict[str, str] = {
    "search search.yaml --set data=digit": "there is no data set 'digit'",
    "search search.yaml --set data=nowhere/": "there is no data folder 'nowhere/'",
    "search search.yaml --set data=search.yaml": "'search.yaml' cannot be read as a data set",
    "search search.yaml --set data=no.npz": "there is no data folder './no.npz'",
    "search search.yaml --set space=nope": "there is no space 'nope'",
    "search search.yaml --set seeds=[nope]": "there is no seed 'nope'",
    "search search.yaml --set random_seed=-1": "random_seed is -1",
    "calibrate search.yaml --set data=nope": "there is no data set 'nope'",
    "ablate search.yaml --principle embedding --set data=nope": "there is no data set 'nope'",
    "train inception-v3 training.yaml --set data=nope": "there is no data set 'nope'",
    "train inception-v3 training.yaml --set workers=3": "cannot be shared evenly by 3 workers",
    "train inception-v3 training.yaml --set resolution=8": "the smallest side that works is 75",
    "ladder training.yaml --set data=nope": "there is no data set 'nope'",
    "evaluate inception-v3": "inception-v3 has no weights of its own",
    "evaluate inception-v3 --weights none.safetensors": "there are no weights 'none.safetensors': correct the path",
    "evaluate inception-v3 --weights training.yaml --data nope": "there is no data set 'nope'",
    f"evaluate inception-v3 --weights training.yaml --random-seed {2**31}": "is not in the range",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[int], list[str], list[str]]:
    """Exit statuses, what was loaded at the end of all of them, and the sentences."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "search.yaml").write_text(SEARCH)
    (folder / "training.yaml").write_text(TRAINING)
    asked = json.dumps([command.split() for command in WRONG])
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(ROOT), asked], capture_output=True, text=True, cwd=folder, check=True
    )
    assert sorted(path.name for path in folder.iterdir()) == ["search.yaml", "training.yaml"]
    statuses, loaded = json.loads(done.stdout)
    return statuses, loaded, [line for line in done.stderr.splitlines() if line.startswith("nas: ")]


def test_every_sentence_says_what_is_wrong(told: tuple[list[int], list[str], list[str]]) -> None:
    statuses, _, sentences = told
    assert statuses == [2] * len(WRONG)
    for (command, expected), sentence in zip(WRONG.items(), sentences, strict=True):
        assert expected in sentence, command


def test_torch_is_not_loaded_for_any(told: tuple[list[int], list[str], list[str]]) -> None:
    assert told[1] == []
