"""What the options of an export cost and bring: the file beside the plain export of the same form, in one run."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from nas.export_pictures import Pictures
from results.export.content import Content, Scaling
from results.export.deployment import PRECISIONS
from search_spaces.errors import ExportFailed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from results.export.comparison import Comparison, Run
    from trainers.network import Network

REPEATS = 30  # runs on one picture of each
NOISE = 64  # pictures, where no others are known
# The most by which half of the pictures' logits may deviate in what rounds. Measured on digits were 0.003 for float16,
# 0.03 for bfloat16 and 0.09 for int8 of proxies that were trained for one epoch or three, 0.14 for int8 of one after
# four steps, and on noise 0.07 for int8 of seeds with random weights; of int8 whose last layer had 0.6 of its scales,
# 0.4. A fault that changes less than rounding may is not told from it. Single pictures say less: one of small logits
# deviated by 0.7 in honest int8.
TYPICAL = {"float16": 0.02, "bfloat16": 0.1, "int8-dynamic": 0.25, "int8-static": 0.25}
CHANGED = 0.02  # the most pictures whose clear first answer may change, and one of few; 0.004 were measured


@dataclass(frozen=True, eq=False)
class Beside:
    """What an export is compared with: the plain content, norms unfolded, and pictures, noise where there are none."""

    plain: Content
    pictures: Pictures | None

    @cached_property
    def network(self) -> "Network":
        """The network of the plain content, in evaluation mode."""
        from nas.export_networks import reference

        return reference(self.plain)

    def is_plain(self, content: Content) -> bool:
        """Whether a content is the plain one."""
        return content.deployment.plain and content.architecture == self.plain.architecture


def compared(
    form: str,
    content: Content,
    files: Mapping[str, bytes],
    network: "nn.Module",
    beside: Beside,
    tell: Callable[[str], None],
) -> "Comparison":
    """Run a form beside its plain export and return what was found; ``tell`` gets a sentence of it.

    ``files``: those that leave, by name. ``network``: of the content, in evaluation mode; where the form is weights or
    source, it runs in their place. ExportFailed where the logits deviate from the plain ones by more than is allowed.
    """
    import torch

    from results.export.comparison import Comparison, compare, torch_run
    from results.export.proof import CHECKS

    if form in PRECISIONS:
        ending, what = CHECKS[form].ending, f"the plain {form} file's"
        name = f"{content.name}{ending}"
        file, before = files[name], files.get(f"{beside.plain.name}{ending}") or _plain_file(form, beside)
        option, plain, sizes = _run(form, file), _run(form, before), (len(file), len(before))
    else:
        name, what, sizes = f"{content.name} in torch", "those of the network as it was", None
        option, plain = torch_run(network), torch_run(beside.network)
    batches, labels = _batches(content, beside.pictures)
    batches = [content.taken(batch) for batch in batches]
    if content.deployment.pixels and content.scaling is not None:
        plain = _scaling_first(plain, content.scaling)
    [found] = compare(plain, {name: option}, batches, labels=labels, repeats=REPEATS).values()
    pictures = "noise" if beside.pictures is None else beside.pictures.name
    count = sum(map(len, batches))
    threads, allowed = torch.get_num_threads(), _allowed(content, count)
    result = Comparison(name, what, found, pictures, count, threads, allowed, *(sizes or ()))
    if result.exceeded:
        raise ExportFailed(_refused(content, result))
    tell(result.sentence)
    return result


def _allowed(content: Content, count: int) -> dict[str, float]:
    """The most that figures of a comparison on so many pictures may be."""
    from nas.export import FOLDED

    # What sums in another order in float32, too: of Inception-v4 by 7e-6, and of an honest network that had hardly been
    # trained, folding changed logits by 2.7e-5.
    typical = TYPICAL.get(content.deployment.precision)
    if typical is None:
        return {"deviation": FOLDED}
    return {"typical_deviation": typical, "changed": max(CHANGED, 1 / count)}


def _refused(content: Content, result: "Comparison") -> str:
    name, on = result.exceeded, f"on {result.count} pictures of {result.pictures}"
    found, most = getattr(result.found, name), result.allowed[name]
    if name == "changed":
        how = f"it changes clear first answers, of {found:.1%} {on}, {most:.0%} is"
    else:
        typically = "typically " * (name == "typical_deviation")
        how = f"its logits {typically}deviate by {found:.1e} of the largest from {result.plain} {on}, {most:g} is"
    rounds = content.deployment.precision != "float32"
    does = "is too coarse for the weights in" if rounds else "changes what is computed in"
    return f"{content.deployment.words} {does} {result.file}: {how} allowed; nothing was exported, {_remedy(content)}"


def _remedy(content: Content) -> str:
    if content.deployment.precision != "float32":
        return "name another --precision"
    return f"leave {'--fold-bn' if content.deployment.plain else content.deployment.option} out"


def _plain_file(form: str, beside: Beside) -> bytes:
    from nas.export import written

    [file] = written(beside.plain, form, beside.network).values()
    return file


def _run(form: str, file: bytes) -> "Run":
    import torch

    from results.export.comparison import onnx_run, torch_run

    if form == "onnx":
        return onnx_run(file, threads=torch.get_num_threads())
    return torch_run(torch.export.load(io.BytesIO(file)).module())


def _scaling_first(run: "Run", scaling: Scaling) -> "Run":
    """What the user of a plain export does with pixels."""
    return lambda pixels: run(scaling.of_pixels(pixels))


def _batches(
    content: Content, pictures: Pictures | None
) -> "tuple[list[NDArray[np.float32]], list[NDArray[np.int64]] | None]":
    if pictures is not None:
        return list(pictures.batches), list(pictures.labels)
    import numpy as np

    noise = np.random.default_rng(0).standard_normal((NOISE, content.channels, *content.sides)).astype(np.float32)
    return [np.ascontiguousarray(batch) for batch in np.split(noise, 2)], None
