"""Torch networks as they are deployed: near to the network, and the network itself stays as it is."""

import pytest
import torch
from exports import SMALL, content_of, logits_of, pictures

from results.export.comparison import deviation
from results.export.deployment import HALVES, HalfOfTorch, deployed


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("channels_last", [False, True])
def test_half_precision(half: HalfOfTorch, channels_last: bool) -> None:
    _, network = content_of(SMALL, 24)
    batch = pictures(4, 24)
    expected = logits_of(network, batch)
    found = logits_of(deployed(network, half=half, channels_last=channels_last), batch)
    assert found.dtype == "float32"
    assert 0 < deviation(found, expected) < 0.1
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert (logits_of(network, batch) == expected).all()


def test_channels_last() -> None:
    _, network = content_of(SMALL, 24)
    batch = pictures(4, 24)
    other = deployed(network, channels_last=True)
    assert deviation(logits_of(other, batch), logits_of(network, batch)) < 1e-5
    weight = other.get_parameter("network.stem.0.conv.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert network.get_parameter("stem.0.conv.weight").is_contiguous()


@pytest.mark.parametrize("half", [None, "bfloat16"])
def test_it_leaves_by_torch_export(half: HalfOfTorch | None) -> None:
    network = deployed(content_of(SMALL, 24)[1], half=half, channels_last=True)
    batch = torch.export.Dim("batch")
    program = torch.export.export(network, (torch.zeros(2, 3, 24, 24),), dynamic_shapes=({0: batch},))
    found = program.module()(torch.from_numpy(pictures(3, 24))).detach().numpy()
    assert deviation(found, logits_of(network, pictures(3, 24))) < 1e-5
