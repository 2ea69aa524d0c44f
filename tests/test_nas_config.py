"""Search files: strict, with the nearest valid name and the line."""

from pathlib import Path
from typing import Any

import pytest

from nas.config import SearchConfig, parse_data, parse_overrides, read_search
from nas.samplers.options import DEFAULT, SAMPLERS
from search_spaces.errors import RequestError
from search_spaces.yaml_files import write_text
from trainers.source import DataSource

LEAST: dict[str, Any] = {"study": "s", "data": "digits", "trials": 3}


def _read(tmp_path: Path, content: dict[str, Any], *settings: str) -> SearchConfig:
    path = tmp_path / "search.yaml"
    path.write_text(write_text(content), encoding="utf-8")
    return read_search(path, parse_overrides(settings))


def test_the_shortest_file_has_sensible_defaults(tmp_path: Path) -> None:
    config = _read(tmp_path, LEAST)
    assert config.seeds == ("inception-v3",)
    assert config.objectives == ("error", "macs")
    assert config.executor.name == "ray_tune"
    assert config.target.resolution == 299


def test_the_example_is_valid() -> None:
    config = read_search(Path(__file__).parent.parent / "examples" / "digits.yaml")
    assert config.trials >= 24
    assert "inception-v3" in config.seeds
    assert config.executor.name == "ray_tune"


def test_the_example_over_pictures_is_valid() -> None:
    config = read_search(Path(__file__).parent.parent / "examples" / "cifar10.yaml")
    assert config.data == DataSource("cifar10/", validation=0.1, test=0.2)
    assert config.recipe.flip
    assert config.data.absolute().source == str(Path("cifar10").absolute())


def test_the_resolved_file_is_read_back(tmp_path: Path) -> None:
    config = _read(tmp_path, {**LEAST, "sampler": {"name": "tpe", "startup": 5}, "limits": {"macs": 1e10}})
    assert _read(tmp_path, config.as_data()) == config


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_a_sampler_is_named_with_the_defaults_of_its_own_options(tmp_path: Path, name: str) -> None:
    config = _read(tmp_path, {**LEAST, "sampler": name})
    assert config.sampler == SAMPLERS[name]()
    assert _read(tmp_path, {**LEAST, "sampler": {"name": name}}) == config
    assert _read(tmp_path, config.as_data()) == config
    assert config.as_data()["sampler"] == SAMPLERS[name]().model_dump()


def test_options_without_a_name_are_those_of_the_default_sampler(tmp_path: Path) -> None:
    option = next(key for key in type(DEFAULT).model_fields if key != "name")
    config = _read(tmp_path, {**LEAST, "sampler": {option: 8}})
    assert config.sampler == type(DEFAULT)(**{option: 8})
    assert _read(tmp_path, LEAST).sampler == DEFAULT
    assert _read(tmp_path, LEAST, f"sampler.{option}=8") == config


@pytest.mark.parametrize(("name", "kept"), [("random", {}), ("tpe", {"startup": 5}), ("nsga2", {"population": 7})])
def test_a_ledger_of_an_earlier_release_has_options_that_are_not_the_samplers_own(
    name: str, kept: dict[str, int]
) -> None:
    config = SearchConfig.from_data({**LEAST, "sampler": {"name": name, "population": 7, "startup": 5}})
    assert config.sampler == SAMPLERS[name](**kept)


def test_settings_replace_keys(tmp_path: Path) -> None:
    config = _read(tmp_path, LEAST, "trials=7", "executor=inline", "recipe.epochs=2", "executor.workers=3", "seeds=[]")
    assert config.trials == 7
    assert (config.executor.name, config.executor.workers) == ("inline", 3)
    assert config.recipe.epochs == 2
    assert config.seeds == ()


def test_data_are_a_name_or_a_mapping(tmp_path: Path) -> None:
    short = _read(tmp_path, LEAST)
    assert short.data == DataSource("digits")
    assert short.as_data()["data"] == "digits"  # as ledgers have it from before there was more
    long = _read(tmp_path, {**LEAST, "data": {"source": "pictures", "side": 40, "damaged": 0, "test": 0.1}})
    assert long.data == DataSource("pictures", side=40, damaged=0, test=0.1)
    assert SearchConfig.from_data(long.as_data()) == long
    assert _read(tmp_path, LEAST, "data=pictures", "data.side=40").data == DataSource("pictures", side=40)
    assert _read(tmp_path, LEAST, "data.validation=0.1").data == DataSource("digits", validation=0.1)


def test_data_lie_beside_the_search_file_or_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "searches").mkdir()
    (tmp_path / "pictures").mkdir()
    here = {**LEAST, "data": "pictures"}
    assert _read(tmp_path / "searches", here).data.source == "pictures"
    (tmp_path / "searches" / "pictures").mkdir()
    (tmp_path / "searches" / "digits").mkdir()  # a name is no folder
    assert _read(tmp_path / "searches", here).data.source == str(tmp_path / "searches" / "pictures")
    assert _read(tmp_path / "searches", LEAST).data.source == "digits"
    assert _read(tmp_path / "searches", {**LEAST, "data": str(tmp_path / "pictures")}).data.source == str(
        tmp_path / "pictures"
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"trails": 3}, r"search\.yaml:4: unknown key 'trails' in a search file: .*did you mean 'trials'\?"),
        ({"limits": {"mac": 1}}, r"unknown key 'mac' in limits: allowed are macs, params, .*did you mean 'macs'\?"),
        ({"proxy": {"widht": 0.5}}, r"search\.yaml:5: unknown key 'widht' in proxy: .*did you mean 'width'\?"),
        ({"recipe": {"epoch": 1}}, r"unknown key 'epoch' in recipe: .*did you mean 'epochs'\?"),
        ({"recipe": {"warmup_epochs": 9, "epochs": 2}}, "warmup_epochs is 9 in a training of 2 epochs"),
        ({"trials": "3"}, "trials is '3'"),
        ({"trials": 0}, "trials is 0"),
        ({"trials": True}, "trials is True"),
        ({"sampler": "nsga"}, r"search\.yaml:4: sampler is 'nsga': allowed are random, tpe, nsga2, .*'nsga[23]'\?"),
        ({"sampler": {"name": "tpe", "starup": 4}}, r"unknown key 'starup' in sampler: .*did you mean 'startup'\?"),
        ({"sampler": "nsga"}, r"sampler is 'nsga': allowed are .*did you mean 'nsga2'\?"),  # the default one
        ({"sampler": {"name": "random", "starup": 4}}, "unknown key 'starup' in sampler: it has no options"),
        (
            {"sampler": {"name": "tpe", "population": 4}},
            r"search\.yaml:\d: sampler has 'population', which is an option of nsga2 and nsga3 and evolution, not of "
            "tpe: allowed are startup, candidates, learns_from",
        ),
        ({"sampler": {"name": "evolution", "crossover": 2.0}}, r"sampler\.crossover is 2\.0: 1 or less is allowed"),
        ({"sampler": {"name": "nsga2", "population": "8"}}, r"sampler\.population is '8': a whole number is allowed"),
        ({"sampler": 3}, "sampler is 3"),
        ({"executor": {"workers": -1}}, "executor.workers"),
        ({"objectives": ["macs"]}, "objectives has no 'error'"),
        ({"objectives": ["error", "error"]}, "names one twice"),
        ({"objectives": ["eror"]}, "objectives.0 is 'eror'"),
        ({"limits": {"mac": 3}}, "limits"),
        ({"study": "../../etc"}, r"study: '../../etc' is no name: up to 64 letters from a to z, digits, .* allowed"),
        ({"study": "a" * 65}, r"study: 'a{24}'\.\.\. \(65 letters\) is no name"),
        ({"study": "a\n"}, "study: .* is no name"),
        ({"study": ""}, "study: '' is no name"),
        ({"target": {"resolution": 8}}, "target.resolution is 8"),
        ({"proxy": {"width": 2.0}}, "proxy.width is 2.0"),
        ({"data": 5}, "data is 5"),
        ({"data": ""}, "data.source is ''"),
        ({"data": {"side": 40}}, r"data has no 'source': add it"),
        ({"data": {"source": "p", "sde": 40}}, r"unknown key 'sde' in data: allowed are source, side.*'side'\?"),
        ({"data": {"source": "p", "side": "40"}}, "data.side is '40'"),
        ({"data": {"source": "p", "side": 0}}, "data.side is 0: a whole number from 1 to 4096"),
        ({"data": {"source": "p", "damaged": 2}}, "data.damaged is 2"),
        ({"data": {"source": "p", "validation": 0.5, "test": 0.5}}, "leaves nothing to train on"),
        ({"recipe": {"resized_crop": 0}}, "resized_crop is 0"),
        ({"recipe": {"colour": 1.5}}, "colour is 1.5"),
        ({"recipe": {"flip": 1}}, "flip is 1"),
    ],
)
def test_a_wrong_file_is_told(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence) as caught:
        _read(tmp_path, {**LEAST, **change})
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="a search file has no 'trials': add it"):
        _read(tmp_path, {"study": "s", "data": "digits"})
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n", encoding="utf-8")
    with pytest.raises(RequestError, match=r"list\.yaml:1: a search file must be a mapping"):
        read_search(path)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["trials=0"], "--set trials: trials is 0"),
        (["trials=[1"], "--set trials: not valid YAML"),
        (["recipe.epochs=0"], "--set recipe.epochs: epochs is 0"),
        (["recipe.epohs=1"], "--set recipe.epohs: unknown key 'epohs' in recipe"),
        (["reicpe.epochs=1", "tirals=4"], "--set reicpe.epochs: unknown key 'reicpe'"),
        (["objectives=[macs]", "trials=4"], "--set objectives: objectives has no 'error'"),
        (["executor={workers: -1}"], "--set executor: executor.workers is -1"),
        (
            ["recipe.warmup_epochs=5", "trials=4", "recipe.epochs=2"],
            "--set recipe.warmup_epochs: warmup_epochs is 5 in a training of 2 epochs",
        ),
    ],
)
def test_a_mistake_of_a_setting_names_the_setting(tmp_path: Path, settings: list[str], sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        _read(tmp_path, LEAST, *settings)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("change", "settings", "sentence"),
    [
        ({"trails": 3}, ["random_seed=4"], "search.yaml:4: unknown key 'trails'"),
        ({"recipe": {"epochs": 0}}, ["recipe.batch_size=8", "trials=4"], "search.yaml:5: epochs is 0"),
        ({"proxy": {"widht": 0.5}}, ["proxy.resolution=8"], "search.yaml:5: unknown key 'widht' in proxy"),
    ],
)
def test_a_mistake_of_the_file_names_its_line(
    tmp_path: Path, change: dict[str, Any], settings: list[str], sentence: str
) -> None:
    with pytest.raises(RequestError) as caught:
        _read(tmp_path, {**LEAST, **change}, *settings)
    assert str(caught.value).startswith(f"{tmp_path}/{sentence}")
    least = {key: value for key, value in LEAST.items() if key == "study"}
    with pytest.raises(RequestError, match=r"search\.yaml:1: a search file has no 'trials'"):
        _read(tmp_path, least, "data=digits")


def test_a_setting_of_a_named_recipe_keeps_its_name(tmp_path: Path) -> None:
    recipe = _read(tmp_path, {**LEAST, "recipe": "inception-v3"}, "recipe.epochs=7").recipe
    assert (recipe.epochs, recipe.gradient_clip, recipe.initialisation) == (7, 2.0, "published")


def test_wrong_settings_are_told(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is not KEY=VALUE"):
        parse_overrides(("trials",))
    with pytest.raises(RequestError, match="no mapping"):
        _read(tmp_path, LEAST, "trials.x=1")
    with pytest.raises(RequestError, match="did you mean 'trials'"):
        _read(tmp_path, LEAST, "trails=4")


def test_data_of_the_command_line_are_written_as_in_a_file() -> None:
    assert parse_data("pictures/") == DataSource("pictures/")
    assert parse_data("{source: p, damaged: 0.1, test: 0.5}") == DataSource("p", damaged=0.1, test=0.5)
    for text, sentence in (
        ("{source: p, damged: 0.1}", r"--data: unknown key 'damged' in data: .*'damaged'\?"),
        ("{source: p, damaged: 2}", "--data: data.damaged is 2"),
        ("{source: p", "--data: not valid YAML"),
        ("", "data.source is ''"),
    ):
        with pytest.raises(RequestError, match=f"^{sentence}"):
            parse_data(text)
