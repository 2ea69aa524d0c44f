"""How much each gene has to do with an objective or a cost: the figures, as whoever computed them hands them over."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from search_spaces.errors import RequestError, nearest

Method = Literal["ped-anova", "fanova"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True)
class Importance:
    """Shares of the genes in what an objective or cost, ``of``, comes to.

    ``shares``: gene -> 0 to 1, the largest first, of equals by name; they sum to 1. {} where nothing can be said, which
    ``missing`` then says in a sentence. ``trials``: that it is made of. ``left_out``: genes that the method cannot
    judge, as not every trial has them. ``damaged``: trials that are left out, as their genes cannot be read.
    """

    of: str
    method: Method
    trials: int
    shares: dict[str, float] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    missing: str = ""
    damaged: int = 0

    @property
    def caution(self) -> str:
        """What is to be kept in mind, in a few words; "" where there are more trials than genes."""
        return f"few trials for {len(self.shares)} genes" if self.trials < len(self.shares) else ""

    @property
    def reservations(self) -> str:
        """The same, and the genes and trials that are left out, in sentences; "" where there is nothing of it."""
        told = [f"With caution: {self.caution}."] if self.caution else []
        told += [f"Left out, as not every trial has them: {', '.join(self.left_out)}."] if self.left_out else []
        told += [f"Left out, as their genes cannot be read: {self.damaged:,} trials."] if self.damaged > 1 else []
        told += ["Left out, as its genes cannot be read: 1 trial."] if self.damaged == 1 else []
        return " ".join(told)

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "of": self.of,
            "method": self.method,
            "trials": self.trials,
            "shares": self.shares,
            "left_out": list(self.left_out),
            "missing": self.missing,
            "damaged": self.damaged,
            "caution": self.caution,
        }


def method_named(name: str) -> Method:
    """Return the method of a name; RequestError for another one."""
    for method in METHODS:
        if method == name:
            return method
    raise RequestError(f"there is no importance {name!r}: {' or '.join(METHODS)} is allowed{nearest(name, METHODS)}")
