"""What ``nas measure`` shows: latency, throughput and peak memory of one network on this device, beside predictions."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nas.study import Found
from search_spaces.architecture import Architecture
from search_spaces.errors import RequestError, ResolutionError
from search_spaces.graph import Graph
from trainers.memory import predict_inference, predict_training, size_text
from trainers.recipe import Recipe
from trainers.torch_calls import Device, Setting

if TYPE_CHECKING:
    from rich.table import Table

    from trainers.measure import Latency
    from trainers.precision import Precision


@dataclass(frozen=True)
class Asked:
    """The setting of a measurement. ``batch``: pictures at once, besides 1. ``seconds``: for one latency, at most."""

    resolution: int | None = None
    classes: int | None = None
    batch: int = 16
    training: bool = False
    device: str = "auto"
    threads: int | None = None
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seconds: float = 10.0


@dataclass(frozen=True)
class Row:
    """One kind of work at one batch size; what was not measured is None, and what cannot be predicted is never here."""

    work: Literal["inference", "training"]
    batch: int
    latency: "Latency | None"
    memory_bytes: int | None
    predicted_memory_bytes: int

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        time: dict[str, Any] = {}
        if self.latency is not None:
            time = {
                "latency_ms": self.latency.median_ms,
                "latency_low_ms": self.latency.low_ms,
                "latency_high_ms": self.latency.high_ms,
                "pictures_per_second": self.latency.pictures_per_second,
                "runs": self.latency.runs,
                "within": self.latency.within,
            }
        memory = {"measured_memory_bytes": self.memory_bytes, "predicted_memory_bytes": self.predicted_memory_bytes}
        return {"work": self.work, "batch": self.batch, **time, **memory}


@dataclass(frozen=True)
class Examined:
    """A network that was measured, and in which setting. ``aux``: whether training has the auxiliary heads."""

    name: str
    digest: str
    resolution: int
    classes: int
    params: int
    device: str
    precision: str
    aux: bool
    rows: tuple[Row, ...]

    def as_data(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        setting = {name: value for name, value in vars(self).items() if name != "rows"}
        return setting | {"rows": [row.as_data() for row in self.rows]}

    def table(self, width: int = 80) -> "Table":
        """Return what people read on a terminal of so many letters."""
        from rich import box
        from rich.table import Table

        from results.narrow import narrowed

        table = Table(
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            collapse_padding=True,
            title=f"{self.name} at {self.resolution} px, {self.classes} classes, {self.params / 1e6:.2f} M params",
            caption=f"on {self.device}, {self.precision}; memory: the peak, as torch allocates it",
        )
        table.add_column("work", no_wrap=True)
        for heading in ("batch", "median", "10-90 %", "pictures/s", "memory", "predicted"):
            table.add_column(heading, justify="right", no_wrap=True)
        for row in self.rows:
            times = ("-", "-", "-")
            if (timed := row.latency) is not None:
                spread = f"{_ms(timed.low_ms)}-{_ms(timed.high_ms)}"
                times = (f"{_ms(timed.median_ms)} ms", spread, f"{timed.pictures_per_second:,.1f}")
            memory = "-" if row.memory_bytes is None else size_text(row.memory_bytes)
            table.add_row(row.work, str(row.batch), *times, memory, size_text(row.predicted_memory_bytes))
        return narrowed(table, width)

    @property
    def notes(self) -> list[str]:
        """What a reader must know of the figures."""
        found = [
            f"{row.work} at batch {row.batch}: time was up after {row.latency.runs} runs, the median is certain within "
            f"{row.latency.within:.0%} only; allow more with --seconds, or end what else runs on this machine"
            for row in self.rows
            if row.latency is not None and row.latency.within > 0.05
        ]
        if not any(row.latency for row in self.rows if row.work == "training"):
            found.append("training is one step by the default recipe, and predicted only; --training measures it")
        if not self.aux:
            found.append("training is without the auxiliary heads, which do not fit pictures of this size")
        return found


def _ms(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def examine(found: Found, asked: Asked, tell: Callable[[str], None]) -> Examined:
    """Measure with the device held alone; ``tell`` gets what is being done. Predictions go by the default recipe."""
    from results.view import Target
    from trainers import measure
    from trainers.device_turns import turns
    from trainers.precision import chosen

    device = measure.device_named(asked.device)
    kind: Device = "cuda" if device.type == "cuda" else "cpu"
    recipe = Recipe(batch_size=max(2, asked.batch), precision=asked.precision)
    precision = chosen(recipe, device)
    architecture, classes = found.architecture, asked.classes or found.classes
    channels = Target.of(found.study.record.search).channels if found.study else 3
    graph = architecture.graph(asked.resolution, classes=classes, channels=channels)
    trained, has_heads = _with_heads(architecture, graph, classes, channels)
    training = predict_training(trained, recipe, device=kind).peak
    batches = sorted({1, asked.batch})
    expected = [
        predict_inference(graph, Setting(batch, precision.bfloat16, precision.channels_last, kind)) for batch in batches
    ]
    _check_room(max(*expected, training if asked.training else 0), kind, measure.memory_bytes(device), asked)
    rows: list[Row] = []
    with ExitStack() as stack:
        stack.enter_context(measure.threads(asked.threads or measure.usual_threads()))
        stack.enter_context(stack.enter_context(turns(measure.lasting_name(device))).alone(tell))
        for batch, predicted in zip(batches, expected, strict=True):
            tell(f"inference, batch {batch}")
            rows.append(_inference(graph, batch, precision, predicted, asked.seconds))
        if asked.training:
            tell(f"training step, batch {recipe.batch_size}")
        rows.append(_training(trained, recipe, training, asked))
        name = measure.spoken_name(device)
    return Examined(
        name=architecture.name,
        digest=architecture.digest,
        resolution=graph.input.shape.height,
        classes=classes,
        params=graph.params,
        device=name,
        precision="bfloat16" if precision.bfloat16 else "float32",
        aux=has_heads,
        rows=tuple(rows),
    )


def _with_heads(architecture: Architecture, graph: Graph, classes: int, channels: int) -> tuple[Graph, bool]:
    """The graph that is trained, and whether its auxiliary heads are in it: they may not fit the picture."""
    try:
        return architecture.graph(graph.input.shape.height, classes=classes, channels=channels, aux=True), True
    except ResolutionError:
        return graph, False


def _check_room(needed: int, kind: Device, there: int, asked: Asked) -> None:
    if needed > there:
        raise RequestError(
            f"measuring would take about {size_text(needed)} at its peak, and {kind} has {size_text(there)}: "
            "lower --batch or --resolution" + (", or leave --training out" if asked.training else "")
        )


def _inference(graph: Graph, batch: int, precision: "Precision", predicted: int, seconds: float) -> Row:
    from trainers import measure

    network, memory = measure.inference(graph, batch, precision)
    return Row("inference", batch, measure.latency(network, batch, precision, seconds=seconds), memory, predicted)


def _training(graph: Graph, recipe: Recipe, predicted: int, asked: Asked) -> Row:
    from trainers import measure

    if not asked.training:
        return Row("training", recipe.batch_size, None, None, predicted)
    device = measure.device_named(asked.device)
    step, memory = measure.training(graph, recipe, device)
    timed = measure.timed(step, recipe.batch_size, device, seconds=asked.seconds)
    return Row("training", recipe.batch_size, timed, memory, predicted)
