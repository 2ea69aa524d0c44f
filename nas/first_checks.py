"""What can be told of a wrong search file at once, before torch is there (seconds) and anything is decoded."""

from nas.config import SearchConfig
from search_spaces.seeds import seed
from search_spaces.space import space


def check_search(config: SearchConfig) -> None:
    """Raise RequestError where the data, the space or a seed of a search file is not there."""
    config.data.check_there()
    space(config.space, config.target.resolution)
    for name in config.seeds:
        seed(name)
