"""The docstring of an exported file: what it is, what it costs, how it is used, where it comes from, its audit."""

from results.export.content import Content
from results.export.facts import told
from results.export.names import MAX_NAME, docstring_entry, docstring_lines_of, docstring_text
from results.export.network_source import Plan
from results.export.source import LINE
from search_spaces.cost import Cost, cost
from search_spaces.principles import Finding, audit

MOST_CHANNELS = 4  # of which the example tells how they are scaled


def docstring_lines(plan: Plan, content: Content, weights: str | None) -> list[str]:
    """Write the docstring; ``weights``: the file that its example loads."""
    height, width = content.sides
    costs = cost(content.architecture, content.sides, classes=content.classes, channels=content.channels)
    return [
        f'"""{docstring_text(content.architecture.name[:MAX_NAME])}: a convolutional network of the Inception family.',
        "",
        f"Costs for one picture of {plan.channels} x {height} x {width} and {plan.classes:,} classes:",
        *_cost_lines(costs, len(content.architecture.aux)),
        "",
        "Use:",
        "    import torch",
        f"    from {content.name} import {', '.join([plan.name] + ['load_weights'] * (weights is not None))}",
        "",
        f"    network = {plan.name}()",
        *([f'    load_weights(network, "{weights}")'] if weights else []),
        *_call_lines(content, f"1, {plan.channels}, {height}, {width}"),
        "",
        "Weights are named by the attributes that lead to them:",
        f"    {plan.key}",
        "",
        *_audit_lines(content),
        "",
        "Provenance:",
        *(line for key, value in told(content).items() for line in docstring_entry(key, value, LINE)),
        '"""',
    ]


def _call_lines(content: Content, shape: str) -> list[str]:
    """How pixels become logits, where it is known how they are scaled."""
    scaling = content.scaling
    if content.state is None or scaling is None or len(scaling.mean) > MOST_CHANNELS:
        return [f"    logits = network.eval()(torch.rand({shape}))"]
    mean, deviation = (", ".join(f"{value:.6g}" for value in each) for each in (scaling.mean, scaling.deviation))
    return [
        f"    pixels = {scaling.white:g} * torch.rand({shape})  # from black to white",
        f"    mean = torch.tensor([{mean}])[:, None, None]",
        f"    deviation = torch.tensor([{deviation}])[:, None, None]",
        "    logits = network.eval()((pixels - mean) / deviation)",
    ]


def _cost_lines(costs: Cost, heads: int) -> list[str]:
    whose = "the auxiliary head" if heads == 1 else "auxiliary heads"
    rows = [("parameters", costs.params, costs.params_with_aux), ("multiply-adds", costs.macs, costs.macs_with_aux)]
    return [
        f"    {name}: {plain:,}" + (f" ({full:,} with {whose})" if heads and full is not None else "")
        for name, plain, full in rows
    ]


def _audit_lines(content: Content) -> list[str]:
    """The four principles with their values, whether the factorisation rules are kept, and by whose thresholds."""
    found = audit(*content.audited, content.thresholds)
    broken = [finding.name for finding in found.rules if not finding.passed]
    rules = f"factorisation rules broken: {', '.join(broken)}" if broken else "factorisation rules kept"
    whose = [] if content.thresholds is None else ["by the thresholds of its study"]
    measured = "; ".join([*map(_measured, found.principles), rules, *whose])
    height, width = content.audited[1]
    what = "on these pictures" if content.stands_for is None else f"of what it stands for, on {height} x {width}"
    return [f"Design principles (1512.00567, section 2) {what}:", *docstring_lines_of(measured, LINE)]


def _measured(finding: Finding) -> str:
    bound = "at least" if finding.at_least else "at most"
    broken = "" if finding.passed else f", broken at {finding.where}"
    return f"{finding.name} {finding.value:.3g} ({bound} {finding.threshold:g}{broken})"
