"""Recipes by name, recipes based on others, and what a file may say of them."""

from pathlib import Path

import pytest

from nas.config import read_search
from search_spaces.errors import RequestError
from trainers.named_recipes import recipe_fields, recipe_names, recipe_notes
from trainers.recipe import Recipe

SEARCH = "study: s\ndata: digits\ntrials: 2\nrecipe: "


def search(folder: Path, recipe: str) -> Recipe:
    (folder / "search.yaml").write_text(SEARCH + recipe + "\n")
    return read_search(folder / "search.yaml").recipe


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_that_ships_is_one_and_says_where_it_comes_from(name):
    Recipe(**recipe_fields(name))
    assert "arXiv" in recipe_notes(name)


def test_inception_v3_is_section_8_of_the_paper():
    recipe = Recipe(**recipe_fields("inception-v3"))
    said = (recipe.optimizer, recipe.rmsprop_decay, recipe.rmsprop_epsilon, recipe.learning_rate, recipe.epochs)
    assert said == ("rmsprop", 0.9, 1.0, 0.045, 100)
    assert (recipe.schedule, recipe.decay_factor, recipe.decay_every) == ("exponential", 0.94, 2.0)
    assert (recipe.gradient_clip, recipe.batch_size, recipe.label_smoothing) == (2.0, 32, 0.1)
    assert (recipe.aux_weight, recipe.average) == (0.4, 0.9999)


def test_googlenet_weighs_each_auxiliary_head_with_0_3():
    recipe = Recipe(**recipe_fields("googlenet"))
    assert (recipe.aux_weight, recipe.optimizer, recipe.decay_factor, recipe.decay_every) == (0.3, "sgd", 0.96, 8.0)


def test_a_search_file_names_a_recipe_or_says_in_what_it_differs(tmp_path):
    whole = Recipe(**recipe_fields("inception-v3"))
    assert search(tmp_path, "inception-v3") == whole
    changed = search(tmp_path, "{base: inception-v3, epochs: 3, average: null}")
    assert (changed.epochs, changed.average, changed.optimizer) == (3, None, "rmsprop")


def test_a_file_of_ones_own_lies_beside_the_search_file_and_has_a_base(tmp_path):
    (tmp_path / "mine.yaml").write_text("base: inception-v2\nlearning_rate: 0.1\n")
    found = search(tmp_path, "mine.yaml")
    assert (found.learning_rate, found.optimizer, found.label_smoothing) == (0.1, "sgd", 0.0)


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ("inception-v9", "search.yaml:4: there is no recipe 'inception-v9'.*did you mean"),
        ("{base: [1]}", "search.yaml:4: base is '.1.'"),
        ("{base: inception-v3, epoch: 3}", "search.yaml:4: unknown key 'epoch' in recipe.*did you mean 'epochs'"),
        ("{base: inception-v3, warmup_epochs: 100}", "warmup_epochs is 100 in a training of 100 epochs"),
        ("missing.yaml", "there is no file 'missing.yaml'"),
        ("loop.yaml", "is based on itself"),
        ("list.yaml", "list.yaml:1: a recipe must be a mapping"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(tmp_path, recipe, sentence):
    (tmp_path / "loop.yaml").write_text("base: loop.yaml\n")
    (tmp_path / "list.yaml").write_text("[1]\n")
    with pytest.raises(RequestError, match=sentence):
        search(tmp_path, recipe)
