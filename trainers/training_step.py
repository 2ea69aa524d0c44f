"""One step of a training: forward, backward, update, and all that stays between steps."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainers import optimizer
from trainers.average import Average
from trainers.flat import Flat
from trainers.network import Network
from trainers.precision import chosen
from trainers.recipe import Recipe
from trainers.world import World


class TrainingStep:
    """A network with what a recipe's training keeps beside it; call it with a batch for one step.

    The network is moved to the device and trained in place, in the mode that it is in.
    """

    def __init__(self, network: Network, recipe: Recipe, device: torch.device, world: World | None = None) -> None:
        self.network, self.recipe, self.world = network, recipe, world or World()
        self.precision = chosen(recipe, device)
        self.precision.place(network)
        if recipe.dropout is not None:
            for module in network.modules():
                if isinstance(module, nn.Dropout):
                    module.p = recipe.dropout
        self.flat = Flat(network)
        self.optimizer = optimizer.make(recipe, self.flat)
        self.average = None if recipe.average is None else Average(network, self.flat, recipe.average)

    @property
    def learning_rate(self) -> float:
        """That of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def __call__(self, pictures: Tensor, labels: Tensor, learning_rate: float) -> Tensor:
        """Take one step on pictures, float32 (n, C, H, W), and labels (n,); return the loss before it, in nats."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        loss = self._loss(pictures, labels)
        self.flat.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.world.average(self.flat.gradients)
        if self.recipe.gradient_clip is not None:
            torch.nn.utils.clip_grad_norm_(self.flat.both, self.recipe.gradient_clip)
        self.optimizer.step()
        if self.average is not None:
            self.average.update()
        return loss.detach()

    def _loss(self, pictures: Tensor, labels: Tensor) -> Tensor:
        with self.precision.context(), self.flat.lent():
            output = self.network(self.precision.layout(pictures))
        logits, aux = output if isinstance(output, tuple) else (output, ())
        aux = aux if isinstance(aux, tuple) else (aux,)
        smoothing = self.recipe.label_smoothing
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
        for extra in aux:
            extra_loss = F.cross_entropy(extra.float(), labels, label_smoothing=smoothing)
            loss = loss + self.recipe.aux_weight * extra_loss
        return loss
