"""Choosing among proposals before any training, by a score that needs none: ``screen`` of a search file.

What breaks a limit or principle is not among them: screening.py has told it before.
"""

from collections.abc import Sequence

from nas.config import SearchConfig
from nas.rungs import Rung
from results.outcome import TrialRecord
from search_spaces.architecture_file import from_data
from search_spaces.proxy import proxy
from trainers.data import DataSet

COSTS = ("params", "macs")  # of the target: the controls, larger being taken for better


class Preselection:
    """Scores trials by their networks at the first rung, on one batch of training pictures."""

    def __init__(self, config: SearchConfig, rung: Rung, data: DataSet) -> None:
        self.config, self.rung = config, rung
        self.data = data.reduced(resolution=rung.resolution, share=rung.share)

    def best(self, trials: Sequence[TrialRecord], keep: int) -> tuple[set[int], dict[int, float]]:
        """Return the numbers of the ``keep`` best trials, and the score of each by number; the earlier of equals."""
        scores = {trial.number: self.score(trial) for trial in trials}
        order = sorted(scores, key=lambda number: (-scores[number], number))
        return set(order[:keep]), scores

    def score(self, trial: TrialRecord) -> float:
        """Return the score of a trial that the search file names; higher is better."""
        name = self.config.screen.score if self.config.screen else "params"
        if name in COSTS:
            return float(trial.costs[name])
        from trainers.training_free import score_untrained

        small = proxy(from_data(trial.architecture), self.rung.resolution, self.rung.width)
        graph = small.graph(self.rung.resolution, classes=len(self.data.classes), channels=self.data.channels)
        return score_untrained(name, graph, self.data, random_seed=self.config.random_seed)
