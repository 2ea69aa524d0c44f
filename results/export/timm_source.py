"""The passage of an exported file that makes it known to timm, where that is installed."""

from collections.abc import Iterator

from results.export.source import Call, lines


def timm_name(module: str) -> str:
    """Return the name under which timm builds the network; none of timm's own models begins so."""
    return f"nas_{module}"


def timm_lines(module: str, network: str, classes: int, channels: int, *, dropout: float) -> Iterator[str]:
    """Write what timm calls, with the arguments that its models have, and the registration.

    timm is asked, not needed: whatever version is there, or is broken, costs nothing but the entry. It would replace an
    entry of the same name, which is not done.
    """
    name, drops = timm_name(module), bool(dropout)
    arguments = [f"num_classes: int = {classes}", f"in_chans: int = {channels}"]
    arguments += [f"drop_rate: float = {dropout!r}"] * drops
    yield from lines(Call(f"def {name}", (*arguments, "**timm: object")), 0, f" -> {network}:")
    yield '    """Build the network by timm.create_model, without weights."""'
    yield '    own = ("pretrained", "cache_dir")  # what timm always hands over begins so'
    yield "    odd = [key for key in timm if not key.startswith(own)]"
    yield '    if odd or timm.get("pretrained"):'
    yield "        raise TypeError(f\"{(*odd, 'pretrained')[0]} is not possible here\")"
    yield from lines(Call(network, ("num_classes", "in_chans", *["dropout=drop_rate"] * drops), "return "), 1)
    yield ""
    yield ""
    yield "with contextlib.suppress(Exception), warnings.catch_warnings():"
    yield '    warnings.simplefilter("ignore")  # nothing here needs timm, whatever is there'
    yield "    from timm.models import is_model, register_model"
    yield ""
    yield from lines(Call("is_model", (f"{name}.__name__",), "if not "), 1, ":")
    yield from lines(Call("register_model", (name,)), 2)
