"""The search file as strict models: unknown keys, wrong types and impossible values are refused with a sentence."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from nas.samplers.options import DEFAULT, SamplerConfig, of_earlier_release
from search_spaces.errors import RequestError
from search_spaces.yaml_files import Document, read_file, read_text, validate
from trainers.named_recipes import with_recipe
from trainers.recipe import Recipe
from trainers.source import DataSource

# Counted from the target's graph, or (the last two) measured of it on the worker's device before training.
Limit = Literal["macs", "params", "activation_bytes", "peak_memory_bytes", "latency_ms", "measured_memory_bytes"]
MEASURED = ("latency_ms", "measured_memory_bytes")
Objective = Literal["error", Limit]
LETTERS = 64  # of a name, at most


def check_name(name: str) -> str:
    """Return a name that can be a folder's; ValueError, which reads on after a key, where it cannot."""
    if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LETTERS - 1}}}", name):
        text = repr(name) if len(name) <= LETTERS else f"{name[:24]!r}... ({len(name)} letters)"
        raise ValueError(
            f"{text} is no name: up to {LETTERS} letters from a to z, digits, '.', '_' and '-' are allowed, the first "
            "a letter or digit"
        )
    return name


Name = Annotated[str, AfterValidator(check_name)]

# What may change between two runs of one study: how much and where, never what is measured.
DATA_SPLIT = "data_split"  # stored beside the file's keys: how many pictures are in which part; the data digest binds
COMMAND = "command"  # as well: what was typed to run the study the last time; absent where it was not a command
MAY_DIFFER = ("trials", "executor", "ray", "quota_gb", DATA_SPLIT, COMMAND)
SPACE_DIGEST = "space_digest"  # as well: what stands in the space's file must not change either
RESOLVED = (DATA_SPLIT, COMMAND, SPACE_DIGEST)  # what a stored search file has and one that is written has not


class Strict(BaseModel):
    """A part of a file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _by_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _by_rungs(value: Any) -> Any:
    if value == "none":
        return {}
    value = {"lower": value} if isinstance(value, list) else value
    if isinstance(value, dict) and isinstance(value.get("lower"), list):
        return {**value, "lower": tuple(value["lower"])}  # a strict model takes lists from JSON alone
    return value


def _by_source(value: Any) -> Any:
    return DataSource(value) if isinstance(value, str) else value


Data = Annotated[DataSource, BeforeValidator(_by_source), PlainSerializer(DataSource.as_data)]


class TargetConfig(Strict):
    """The full-size setting in which costs are counted. ``classes``: those of the data by default."""

    resolution: Annotated[int, Field(ge=32, le=4096)] = 299
    classes: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    channels: Annotated[int, Field(ge=1, le=64)] = 3


Pixels = Annotated[int, Field(ge=4, le=4096)]
Share = Annotated[float, Field(gt=0, le=1)]


class ProxyConfig(Strict):
    """The cheap training that stands for the full one: pictures of ``resolution`` px, widths times ``width``.

    ``share``: of the training pictures; the same ones in every trial.
    """

    resolution: Pixels = 32
    width: Share = 0.125
    share: Share = 1.0


class RungConfig(Strict):
    """A cheaper fidelity than the proxy's; what it leaves out is as in the proxy and the recipe."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] | None = None
    resolution: Pixels | None = None
    width: Share | None = None
    share: Share | None = None


class Setting(Strict):
    """What a rung trains."""

    epochs: int
    resolution: int
    width: float
    share: float

    @property
    def cost(self) -> float:
        """About what it costs: passes over pictures, times the MACs of a pass, which go with both squares."""
        return self.epochs * self.share * (self.width * self.resolution) ** 2

    @property
    def text(self) -> str:
        """Say what is trained."""
        epochs = f"{self.epochs} epoch{'s' * (self.epochs != 1)}"
        pictures = "" if self.share == 1 else f" on {self.share:.0%} of the pictures"
        return f"{epochs} at {self.resolution} px and width {self.width:g}{pictures}"


class RungsConfig(Strict):
    """Fidelities at which trials are compared before the proxy itself, the cheapest first; none by default.

    ``reduction``: one of so many trials at a rung goes on to the next; with 1 all do.
    """

    lower: Annotated[tuple[RungConfig, ...], Field(max_length=16)] = ()
    reduction: Annotated[float, Field(ge=1, le=100)] = 3.0


class ScreenConfig(Strict):
    """Before any training, ``keep`` of each ``of`` proposals of the sampler are chosen by a score that needs none.

    ``params`` and ``macs`` (more is taken for better) are controls: a score that does no better is not worth its time.
    The outcome ``screened`` is that of the proposals that are not chosen, and, with or without this, of all that break
    a limit or principle.
    """

    score: Literal["synflow", "naswot", "gradient_norm", "params", "macs"]
    of: Annotated[int, Field(ge=2, le=1000)] = 4
    keep: Annotated[int, Field(ge=1, le=999)] = 1

    @model_validator(mode="after")
    def _chooses(self) -> "ScreenConfig":
        if self.keep >= self.of:
            raise RequestError(
                f"screen keeps {self.keep} of {self.of} proposals, which chooses nothing: lower keep or raise of",
                ("keep",),
            )
        return self


class MeasureConfig(Strict):
    """How latency and memory of the target are measured, where objectives or limits ask for them.

    ``batch``: pictures at once. ``device``: the one that the ``worker`` trains on, or ``cpu``. ``threads``: on a CPU.
    ``precision``: ``auto`` is bfloat16 on GPUs and float32 on CPUs.
    """

    batch: Annotated[int, Field(ge=1, le=65_536)] = 1
    device: Literal["worker", "cpu"] = "worker"
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    precision: Literal["auto", "float32", "bfloat16"] = "auto"


class ExecutorConfig(Strict):
    """Where trials run. ``workers``: trials at once, by default as many as the machine's CPUs (or GPU shares) carry.

    ``gpus_per_trial``: by default the share (1, 1/2, 1/4, 1/8) that the predicted memory of a trial needs.
    ``trial_limit_s``: seconds after which a trial that has not ended (or come to the end of its rung) is killed.
    """

    name: Literal["ray_tune", "inline"] = "ray_tune"
    workers: Annotated[int, Field(ge=1, le=10_000)] | Literal["auto"] = "auto"
    cpus_per_trial: Annotated[float, Field(gt=0, le=1024)] = 1.0
    gpus_per_trial: Annotated[float, Field(ge=0, le=64)] | Literal["auto"] = "auto"
    trial_limit_s: Annotated[float, Field(gt=0, le=1e8)] | None = None

    @model_validator(mode="after")
    def _can_kill(self) -> "ExecutorConfig":
        if self.trial_limit_s is not None and self.name == "inline":
            raise RequestError(
                "executor.trial_limit_s kills a trial's process, and inline trains in the search's own: leave it out, "
                "or use ray_tune",
                ("trial_limit_s",),
            )
        return self


class RayConfig(Strict):
    """The cluster. ``address``: of its head node, or ``auto`` for the one that this machine is in; by default none."""

    address: Annotated[str, Field(min_length=1)] | None = None


class SearchConfig(Strict):
    """A whole search file. ``control``: share of the trials that goes to uniform random points, to compare with.

    ``storage``: where the trials' checkpoints and results lie, a folder that every worker sees or a URL; by default
    under the runs folder. ``quota_gb``: gigabytes that the files of trials off the front may take; beyond it those of
    the worst are deleted.
    """

    study: Name
    space: str = "inception"
    data: Data
    seeds: tuple[str, ...] = ("inception-v3",)
    trials: Annotated[int, Field(ge=1, le=10_000_000)]
    sampler: SamplerConfig = DEFAULT
    random_seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    objectives: tuple[Objective, ...] = Field(default=("error", "macs"), min_length=1)
    limits: dict[Limit, Annotated[float, Field(gt=0)]] = {}
    target: TargetConfig = TargetConfig()
    proxy: ProxyConfig = ProxyConfig()
    rungs: Annotated[RungsConfig, BeforeValidator(_by_rungs)] = RungsConfig()
    screen: ScreenConfig | None = None
    control: Annotated[float, Field(ge=0, lt=1)] = 0.25
    measure: MeasureConfig = MeasureConfig()
    recipe: Recipe = Recipe()
    executor: Annotated[ExecutorConfig, BeforeValidator(_by_name)] = ExecutorConfig()
    ray: RayConfig = RayConfig()
    storage: Annotated[str, Field(min_length=1)] | None = None
    quota_gb: Annotated[float, Field(ge=0)] = 50.0

    @model_validator(mode="after")
    def _objectives_differ(self) -> "SearchConfig":
        if len(set(self.objectives)) != len(self.objectives):
            twice = f"objectives names one twice: {', '.join(self.objectives)}; keep each once"
            raise RequestError(twice, ("objectives",))
        if "error" not in self.objectives:
            raise RequestError(
                "objectives has no 'error': without it nothing needs to be trained; add it", ("objectives",)
            )
        return self

    @model_validator(mode="after")
    def _measures_something(self) -> "SearchConfig":
        if self.measure != MeasureConfig() and not self.measured:
            raise RequestError(
                f"measure is set, but nothing is measured: name {' or '.join(MEASURED)} in objectives or limits, "
                "or leave measure out",
                ("measure",),
            )
        return self

    @model_validator(mode="after")
    def _rungs_rise(self) -> "SearchConfig":
        settings = self.settings()
        for index, (lower, higher) in enumerate(itertools.pairwise(settings)):
            above = f"rung {index + 1}" if index + 2 < len(settings) else "the proxy and recipe"
            if lower.cost >= higher.cost:
                raise RequestError(
                    f"rungs.lower {index} ({lower.text}) is not cheaper than {above} ({higher.text}): rungs go from "
                    "cheap to dear; lower its epochs, resolution, width or share",
                    ("rungs", "lower", index),
                )
            warmup = self.recipe.warmup_epochs
            goes_on = lower == higher.model_copy(update={"epochs": lower.epochs})
            if not goes_on and lower.epochs <= warmup:  # the last stage of a training of its own
                raise RequestError(
                    f"rungs.lower {index} trains for {lower.epochs} epochs of its own, and recipe.warmup_epochs is "
                    f"{warmup:g}: it must be shorter",
                    ("rungs", "lower", index),
                )
        return self

    def settings(self) -> tuple[Setting, ...]:
        """Return what each rung trains, the cheapest first; the last is the proxy, for the recipe's epochs."""
        top = Setting(epochs=self.recipe.epochs, **self.proxy.model_dump())
        lower = (each.model_dump(exclude_none=True) for each in self.rungs.lower)
        return (*(top.model_copy(update=changes) for changes in lower), top)

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
        known = {key: value for key, value in data.items() if key not in RESOLVED}
        if "sampler" in known:
            known["sampler"] = of_earlier_release(known["sampler"])
        return validate(SearchConfig, Document(known, "search", {}), "a search file")


def read_search(path: Path, overrides: Mapping[str, object] | None = None) -> SearchConfig:
    """Read a search file; ``overrides`` set dotted keys (``proxy.width``) to values before it is checked."""
    document = with_overrides(read_file(path), overrides)
    if isinstance(data := document.data, dict):
        if isinstance(named := data.get("space"), str) and not Path(named).exists() and (path.parent / named).is_file():
            data = {**data, "space": str(path.parent / named)}  # a space file beside the search file
        document = replace(document, data=data)
    config = validate(SearchConfig, with_recipe(document), "a search file")
    return config.model_copy(update={"data": config.data.beside(path.parent)})


@dataclass(frozen=True)
class _Overridden(Document):
    """A file in which settings of the command line have replaced keys: mistakes that they bring are told with them."""

    settings: tuple[str, ...] = ()

    def fail(self, path: tuple[str | int, ...], sentence: str) -> NoReturn:
        for setting in self.settings:
            key = tuple(setting.split("."))
            if path[: len(key)] == key or (path and key[: len(path)] == path and path not in self.lines):
                raise RequestError(f"--set {setting}: {sentence}")
        super().fail(path, sentence)


def with_overrides(document: Document, overrides: Mapping[str, object] | None) -> Document:
    """Return a document with dotted keys set to other values."""
    data = document.data
    if not isinstance(data, dict) or not overrides:
        return document
    for key, value in overrides.items():
        data = _set(data, key.split("."), value, key)
    return _Overridden(data, document.file, document.lines, settings=tuple(overrides))


def parse_overrides(settings: tuple[str, ...]) -> dict[str, object]:
    """Read ``KEY=VALUE`` settings of the command line; values are YAML scalars or lists."""
    found: dict[str, object] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise RequestError(f"--set {setting!r} is not KEY=VALUE: write for instance --set trials=48")
        try:
            found[key] = read_text(value, f"--set {key}").data
        except RequestError as error:  # a value has no lines
            raise RequestError(re.sub(r":\d+: ", ": ", str(error), count=1)) from None
    return found


class _OnlyData(Strict):
    data: Data


def parse_data(text: str) -> DataSource:
    """Read ``data`` of the command line: a source, or a mapping as in a search file (``{source: pictures/, ...}``)."""
    if not text.lstrip().startswith("{"):
        return DataSource(text)
    try:
        value = read_text(text, "--data").data
        return validate(_OnlyData, Document({"data": value}, "--data", {}), "--data").data
    except RequestError as error:  # a value has no lines
        raise RequestError(re.sub(r":\d+: ", ": ", str(error), count=1)) from None


_TEXT = {"data": "source", "recipe": "base"}  # what a text in place of a mapping stands for, else its name


def _set(data: Any, keys: list[str], value: object, whole: str) -> dict[str, Any]:
    """Return a copy of nested mappings with one entry replaced.

    A text in place of a mapping becomes its ``name``, that of ``data`` its ``source``.
    """
    if isinstance(data, str):
        data = {_TEXT.get(whole.split(".")[0], "name"): data}
    if data is not None and not isinstance(data, dict):
        raise RequestError(f"--set {whole}: there is no mapping at this key to set a value in")
    changed = dict(data or {})
    changed[keys[0]] = value if len(keys) == 1 else _set(changed.get(keys[0]), keys[1:], value, whole)
    return changed
