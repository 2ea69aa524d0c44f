"""Which of the allowed words is offered for one that is not."""

import pytest

from search_spaces.errors import nearest


@pytest.mark.parametrize(
    ("word", "allowed", "found"),
    [
        ("cots", ("cost", "costs", "front"), "costs"),  # one letter is missing; from 'cost' one is moved
        ("nsga", ("random", "nsga2", "nsga3"), "nsga2"),
        ("nsga", ("random", "nsga3", "nsga2"), "nsga3"),
        ("batch", ("epochs", "batch_size"), "batch_size"),
        ("nsga3", ("nsga2", "nsga3"), "nsga3"),
        ("xyz", ("random", "nsga2"), None),
        ("", ("random",), None),
        ("nsga", (), None),
    ],
)
def test_the_closest_word_is_offered_and_of_equals_the_first(
    word: str, allowed: tuple[str, ...], found: str | None
) -> None:
    assert nearest(word, allowed) == ("" if found is None else f"; did you mean {found!r}?")
