# SPDX-License-Identifier: GPL-2.0-or-later
"""A running average of the weights: smoother, and nearly always better, than the last ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class ExponentialMovingAverage:
    """Averages s <- d s + (1 - d) w after each step, with d = min(decay, (1 + n) / (10 + n)).

    The smaller d of the first steps forgets the random weights of the start; n counts the steps.
    (Polyak and Juditsky, SIAM J. Control Optim. 30, 838 (1992), for averaging as such.)

    Args:
        model: the model whose trainable parameters are averaged.
        decay: largest decay per step; 0 follows the weights themselves.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self.decay = decay
        self.n_updates = 0
        self.average = {
            name: parameter.detach().clone()
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        }

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Update the average after a step of the optimiser."""
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        self.n_updates += 1
        weights = dict(model.named_parameters())
        torch._foreach_lerp_(
            list(self.average.values()), [weights[name] for name in self.average], 1.0 - decay
        )

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the weights of the model with their average; a second call undoes it."""
        weights = dict(model.named_parameters())
        for name, average in self.average.items():
            own = weights[name].detach().clone()
            weights[name].copy_(average)
            average.copy_(own)

    @contextmanager
    def averaged(self, model: nn.Module) -> Iterator[nn.Module]:
        """Within the block, the model has the averaged weights."""
        self.swap(model)
        try:
            yield model
        finally:
            self.swap(model)

    def to(self, device: torch.device | str) -> None:
        """Move the average to another device."""
        self.average = {name: tensor.to(device) for name, tensor in self.average.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return what a continued training needs."""
        return {"n_updates": self.n_updates, "average": self.average}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state of an earlier training of the same model."""
        self.n_updates = int(state["n_updates"])
        saved: Mapping[str, Tensor] = state["average"]
        self.average = {name: saved[name].to(own) for name, own in self.average.items()}
