"""The figure of the importance of genes, in plotly's JSON form."""

from typing import Any

from results.figures import chart_text, framed, spoken
from results.importance import Importance

MOST = 15  # genes that are drawn


def importances_figure(found: Importance) -> dict[str, Any] | None:
    """Horizontal bars of the genes that matter most, 15 at most, the first on top; None where nothing can be said.

    The colour's name, in ``meta``, is "sampler".
    """
    if not found.shares:
        return None
    genes = list(found.shares.items())[:MOST]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [float(f"{100 * share:.4g}") for _, share in genes],
        "y": [chart_text(gene) for gene, _ in genes],
        "name": "genes",
        "showlegend": False,
        "meta": "sampler",
    }
    title = f"{chart_text(f'importance for {spoken(found.of)}')}<br>({found.method}, {found.trials:,} trials)"
    layout = framed(
        {"title": {"text": title, "standoff": 10}, "ticksuffix": " %", "rangemode": "tozero", "automargin": True},
        {"autorange": "reversed", "type": "category", "dtick": 1},
    )
    return {"data": [bars], "layout": layout | {"showlegend": False, "margin": {**layout["margin"], "t": 16}}}
