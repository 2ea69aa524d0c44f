"""The device that a process of a full training has, and who else is on it: other processes of it, and measurements."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from trainers import measure
from trainers.device_turns import turns
from trainers.torch_calls import Device
from trainers.world import World


@dataclass(frozen=True)
class Place:
    """A device, the number of ``processes`` of the training on it, and whether this one is the ``first`` of them."""

    device: torch.device
    processes: int
    first: bool

    @classmethod
    def of(cls, world: World) -> "Place":
        """Return the place of this process: its GPU, or the CPU, which all processes on one machine share."""
        device = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
        all_of_them = world.all((socket.gethostname(), measure.lasting_name(device)))
        mine = all_of_them[world.rank]
        return cls(device, all_of_them.count(mine), all_of_them.index(mine) == world.rank)

    @property
    def kind(self) -> Device:
        """The kind of the device."""
        return "cuda" if self.device.type == "cuda" else "cpu"

    @property
    def memory_bytes(self) -> int:
        """How much memory it has."""
        return measure.memory_bytes(self.device)

    @contextmanager
    def shared(self) -> Iterator[Callable[[], None]]:
        """Hold the device together with other trainings; yield what lets a waiting measurement go first.

        Of several processes on one device the first alone takes turns: the others wait for its gradients within a step.
        If all of them did, one could pause while another, still in its step, waited for it and kept the device.
        """
        if not self.first:
            yield lambda: None
            return
        with turns(measure.lasting_name(self.device)) as turn, turn.shared():
            yield lambda: turn.give_way(lambda: measure.settle(self.device))
