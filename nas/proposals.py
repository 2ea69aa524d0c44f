"""What is tried next, before it is trained: published networks, then points of the sampler's and the random arm."""

from dataclasses import replace

from nas.config import ScreenConfig, SearchConfig
from nas.knowledge import GIVE_UP, TURN, Knowledge
from nas.preselection import Preselection
from nas.screening import Screen
from results.outcome import Origin, Outcome, TrialRecord
from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError
from search_spaces.genes import Genes, OutsideSpace
from search_spaces.space import SearchSpace


class Proposals:
    """Makes screened trials; nothing of them is recorded yet. ``seeds``: the published networks that were not tried."""

    def __init__(
        self,
        config: SearchConfig,
        searched: SearchSpace,
        known: Knowledge,
        screen: Screen,
        preselection: Preselection,
        seeds: list[Architecture],
    ) -> None:
        self.config, self.space, self.known, self.screen = config, searched, known, screen
        self.preselection, self.seeds = preselection, seeds

    def next(self) -> list[TrialRecord]:
        """Return the next trial, with its outcome where it is screened or known; several where some were chosen.

        Raises RequestError where all that was ever proposed was in vain: the limits or the space are wrong.
        """
        known = self.known
        if self.seeds:
            architecture = self.seeds.pop(0)
            genes: Genes | None
            try:
                genes = self.space.encode(architecture)
            except OutsideSpace:
                genes = None  # it can be trained and compared; the sampler cannot learn from it
            twin = known.twin(architecture.digest)
            return [self.screen.judge(known.next_number, architecture, genes, "seed", twin)]
        if known.exhausted:
            raise self._nothing_found()
        arm = known.arm()
        if arm == "sampler" and self.config.screen is not None:
            return self._chosen(self.config.screen)
        return [self._proposal(arm, known.next_number)]

    def _nothing_found(self) -> RequestError:
        trials = list(self.known.trials.values())
        return RequestError(
            f"{GIVE_UP:,} proposals in a row were screened or known{self.screen.out_of_reach(trials)}: widen the "
            f"limits or the space of study {self.config.study!r}, and search under another study name"
        )

    def _proposal(self, arm: Origin, number: int) -> TrialRecord:
        genes = self.known.propose(arm, number)
        architecture = self.space.decode(genes)
        return self.screen.judge(number, architecture, genes, arm, self.known.twin(architecture.digest))

    def _chosen(self, screen: ScreenConfig) -> list[TrialRecord]:
        """Propose until there are enough to choose from; the best by the score of the file are to run.

        Nothing is recorded before the choice: a driver that dies meanwhile makes the same one again. Where the sampler
        finds fewer in as many proposals as that many turns have, the best of those are to run, or none; nor does it
        go on where half of what is borne in vain was proposed for nothing in a row. The chosen come last, so that what
        was proposed beside them is not in vain: they begin after it.
        """
        first, proposed, to_choose = self.known.next_number, list[TrialRecord](), list[TrialRecord]()
        copies: dict[int, int] = {}  # of one that is to be chosen from: its number
        in_vain = 0
        while len(to_choose) < screen.of and len(proposed) < TURN * screen.of and in_vain < GIVE_UP // 2:
            trial = self._proposal("sampler", first + len(proposed))
            twin = next((other for other in to_choose if other.digest == trial.digest), None)
            if twin is not None:
                reason, copies[trial.number] = f"the same architecture as trial {twin.number}", twin.number
                trial = replace(trial, outcome=Outcome.DUPLICATE, reason=reason)
            in_vain += 1
            if trial.outcome is Outcome.RUNNING:
                to_choose.append(trial)
                in_vain = 0
            proposed.append(trial)
        if not to_choose:
            return proposed
        keep = min(screen.keep, self.known.budget_left)
        chosen, scores = self.preselection.best(to_choose, keep)
        for index, trial in enumerate(proposed):
            scored = copies.get(trial.number, trial.number)
            if scored in scores and scored not in chosen:
                place = sum(score > scores[scored] for score in scores.values()) + 1
                told = f"{screen.score} {scores[scored]:.6g} is no. {place} of {len(scores)}, and {keep} are kept"
                proposed[index] = replace(trial, outcome=Outcome.SCREENED, reason=told)
        return sorted(proposed, key=lambda trial: trial.outcome is Outcome.RUNNING)
