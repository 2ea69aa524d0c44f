"""Reports that cannot be recorded as they are: workers, those of one's own above all, may say anything."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import isfinite
from numbers import Real
from typing import Any

from nas.job import Report
from results.outcome import Outcome


def checked(report: Report, measured: Iterable[str]) -> Report:
    """Return the report, as that of a trial that diverged or broke where a value is no finite number or missing.

    ``measured``: what every trial must have measured before its training. The epochs before an odd value stay.
    """
    found = {**report.values, **report.measured}
    for values in (found, *(values for values, _ in report.history)):
        if (odd := _odd(values)) is not None:
            return replace(
                report,
                outcome=Outcome.DIVERGED if isinstance(values[odd], Real) else Outcome.BROKEN,
                reason=f"the worker measured {odd} {values[odd]!r}, which is no finite number",
                values={},
                measured={} if _odd(report.measured) else report.measured,
                history=tuple(itertools.takewhile(lambda epoch: _odd(epoch[0]) is None, report.history)),
            )
    missing = [name for name in ("error", *measured) if name not in found]
    if report.outcome in (Outcome.COMPLETE, Outcome.STOPPED) and missing:
        return replace(report, outcome=Outcome.BROKEN, reason=f"the worker measured no {missing[0]}")
    return report


def _odd(values: Mapping[str, Any]) -> str | None:
    """The name of a value that is no finite number, if there is one."""
    return next((name for name, value in values.items() if not (isinstance(value, Real) and _is_finite(value))), None)


def _is_finite(value: Real) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False
