"""torchvision's own networks, the peers that our seeds are compared with. The only file that imports torchvision."""

import warnings
from functools import lru_cache
from typing import Any

import torch
from torch import nn


@lru_cache(maxsize=1)
def _operators() -> torch.library.Library:
    """Declare the two compiled operators that torchvision looks for on import: a CPU torch has no build of them."""
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def torchvision_model(name: str, **arguments: Any) -> nn.Module:
    """Return ``torchvision.models.<name>`` with random weights: ``inception_v3`` or ``googlenet``, with its heads."""
    _operators()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its compiled image readers, which nothing here needs
        from torchvision import models

        arguments = {"weights": None, "init_weights": False} | arguments
        network = getattr(models, name)(**arguments)
    assert isinstance(network, nn.Module)
    return network
