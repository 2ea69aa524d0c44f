"""The search file as strict models: unknown keys, wrong types and impossible values are refused with a sentence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from search_spaces.errors import RequestError
from search_spaces.yaml_files import Document, read_file, read_text, validate
from trainers.recipe import Recipe

# Counted from the target's graph, or (the last two) measured of it on the worker's device before training.
Limit = Literal["macs", "params", "activation_bytes", "peak_memory_bytes", "latency_ms", "measured_memory_bytes"]
MEASURED = ("latency_ms", "measured_memory_bytes")
Objective = Literal["error", Limit]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]

# What may change between two runs of one study: how much and where, never what is measured.
MAY_DIFFER = ("trials", "executor")
SPACE_DIGEST = "space_digest"  # stored beside the file's keys: what stands in the space's file must not change either


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _by_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class SamplerConfig(_Strict):
    """Who is tried next. ``population``: of nsga2; ``startup``: random trials before tpe models."""

    name: Literal["random", "tpe", "nsga2"] = "nsga2"
    population: Annotated[int, Field(ge=2, le=10_000)] = 32
    startup: Annotated[int, Field(ge=1, le=10_000)] = 16


class TargetConfig(_Strict):
    """The full-size setting in which costs are counted. ``classes``: those of the data by default."""

    resolution: Annotated[int, Field(ge=32, le=4096)] = 299
    classes: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    channels: Annotated[int, Field(ge=1, le=64)] = 3


class ProxyConfig(_Strict):
    """The cheap training that stands for the full one: pictures of ``resolution`` px, widths times ``width``."""

    resolution: Annotated[int, Field(ge=4, le=4096)] = 32
    width: Annotated[float, Field(gt=0, le=1)] = 0.125


class MeasureConfig(_Strict):
    """How latency and memory of the target are measured, where objectives or limits ask for them.

    ``batch``: pictures at once. ``device``: the one that the ``worker`` trains on, or ``cpu``. ``threads``: on a CPU.
    ``precision``: ``auto`` is bfloat16 on GPUs and float32 on CPUs.
    """

    batch: Annotated[int, Field(ge=1, le=65_536)] = 1
    device: Literal["worker", "cpu"] = "worker"
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    precision: Literal["auto", "float32", "bfloat16"] = "auto"


class ExecutorConfig(_Strict):
    """Where trials run. ``workers``: trials at once, by default as many as the machine's CPUs (or GPU shares) carry."""

    name: Literal["ray_tune", "inline"] = "ray_tune"
    workers: Annotated[int, Field(ge=1, le=10_000)] | Literal["auto"] = "auto"
    cpus_per_trial: Annotated[float, Field(gt=0, le=1024)] = 1.0
    gpus_per_trial: Annotated[float, Field(ge=0, le=64)] | Literal["auto"] = "auto"
    address: str | None = None


class SearchConfig(_Strict):
    """A whole search file."""

    study: Name
    space: str = "inception"
    data: str
    seeds: tuple[str, ...] = ("inception-v3",)
    trials: Annotated[int, Field(ge=1, le=10_000_000)]
    sampler: Annotated[SamplerConfig, BeforeValidator(_by_name)] = SamplerConfig()
    random_seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    objectives: tuple[Objective, ...] = Field(default=("error", "macs"), min_length=1)
    limits: dict[Limit, Annotated[float, Field(gt=0)]] = {}
    target: TargetConfig = TargetConfig()
    proxy: ProxyConfig = ProxyConfig()
    measure: MeasureConfig = MeasureConfig()
    recipe: Recipe = Recipe()
    executor: Annotated[ExecutorConfig, BeforeValidator(_by_name)] = ExecutorConfig()

    @model_validator(mode="after")
    def _objectives_differ(self) -> "SearchConfig":
        if len(set(self.objectives)) != len(self.objectives):
            raise ValueError(f"objectives names one twice: {', '.join(self.objectives)}; keep each once")
        if "error" not in self.objectives:
            raise ValueError("objectives has no 'error': without it nothing needs to be trained; add it")
        return self

    @model_validator(mode="after")
    def _measures_something(self) -> "SearchConfig":
        if self.measure != MeasureConfig() and not self.measured:
            raise ValueError(
                f"measure is set, but nothing is measured: name {' or '.join(MEASURED)} in objectives or limits, "
                "or leave measure out"
            )
        return self

    @property
    def measured(self) -> tuple[str, ...]:
        """What must be measured of the target before a training."""
        return tuple(name for name in MEASURED if name in self.objectives or name in self.limits)

    def as_data(self) -> dict[str, Any]:
        """Return the resolved file as plain data: what the ledger keeps, and what two runs of a study must share."""
        return self.model_dump(mode="json")

    def with_classes(self, classes: int) -> "SearchConfig":
        """Return the file with the target's classes filled in where it leaves them to the data."""
        if self.target.classes is not None:
            return self
        return self.model_copy(update={"target": self.target.model_copy(update={"classes": classes})})

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> "SearchConfig":
        """Read what ``as_data`` gave or a ledger keeps, or the content of a search file."""
        known = {key: value for key, value in data.items() if key != SPACE_DIGEST}
        return validate(SearchConfig, Document(known, "search", {}), "a search file")


def read_search(path: Path, overrides: Mapping[str, object] | None = None) -> SearchConfig:
    """Read a search file; ``overrides`` set dotted keys (``proxy.width``) to values before it is checked."""
    document = read_file(path)
    if isinstance(document.data, dict):
        data = document.data
        for key, value in (overrides or {}).items():
            data = _set(data, key.split("."), value, key)
        if isinstance(named := data.get("space"), str) and not Path(named).exists() and (path.parent / named).is_file():
            data = {**data, "space": str(path.parent / named)}  # a space file beside the search file
        document = Document(data, document.file, document.lines)
    return validate(SearchConfig, document, "a search file")


def parse_overrides(settings: tuple[str, ...]) -> dict[str, object]:
    """Read ``KEY=VALUE`` settings of the command line; values are YAML scalars or lists."""
    found: dict[str, object] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise RequestError(f"--set {setting!r} is not KEY=VALUE: write for instance --set trials=48")
        found[key] = read_text(value, f"--set {key}").data
    return found


def _set(data: Any, keys: list[str], value: object, whole: str) -> dict[str, Any]:
    """Return a copy of nested mappings with one entry replaced. A name in place of a mapping becomes its ``name``."""
    if isinstance(data, str):
        data = {"name": data}
    if data is not None and not isinstance(data, dict):
        raise RequestError(f"--set {whole}: there is no mapping at this key to set a value in")
    changed = dict(data or {})
    changed[keys[0]] = value if len(keys) == 1 else _set(changed.get(keys[0]), keys[1:], value, whole)
    return changed
