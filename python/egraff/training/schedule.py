# SPDX-License-Identifier: GPL-2.0-or-later
"""The learning rate, step by step: warm-up, then plateau, cosine or constant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from egraff.training.config import TrainConfig


class LearningRate:
    """Learning rate as a function of the step and of the validation losses so far.

    ``plateau`` follows torch's ReduceLROnPlateau with a relative threshold of 1e-4; epochs that
    end during the warm-up do not count against its patience. One object does warm-up and all
    schedules because torch's plateau scheduler cannot be chained with another.

    Args:
        config: settings of the training.
        steps_per_epoch: optimiser steps in one epoch.
    """

    THRESHOLD = 1e-4

    def __init__(self, config: TrainConfig, *, steps_per_epoch: int) -> None:
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self.level = config.lr
        self.best = math.inf
        self.bad_epochs = 0

    def at(self, step: int) -> float:
        """Return the rate of a step, counted from 0."""
        config = self.config
        rate = self.level
        if config.schedule == "cosine":
            # the same numbers whether or not the run was interrupted on the way
            progress = min(step / (config.epochs * self.steps_per_epoch), 1.0)
            floor = min(config.min_lr, config.lr)
            rate = floor + (config.lr - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))
        return rate * min((step + 1) / max(config.warmup_steps, 1), 1.0)

    def end_epoch(self, loss: float, *, step: int) -> None:
        """Take note of the validation loss after an epoch that ended at ``step``."""
        if self.config.schedule != "plateau":
            return
        if loss < self.best * (1.0 - self.THRESHOLD):
            self.best = loss
            self.bad_epochs = 0
            return
        if step <= self.config.warmup_steps:
            return
        self.bad_epochs += 1
        if self.bad_epochs > self.config.plateau_patience:
            floor = min(self.config.min_lr, self.config.lr)
            self.level = max(self.level * self.config.plateau_factor, floor)
            self.bad_epochs = 0

    def state_dict(self) -> dict[str, Any]:
        """Return what a continued training needs."""
        return {"level": self.level, "best": self.best, "bad_epochs": self.bad_epochs}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the state of an earlier training."""
        self.level = float(state["level"])
        self.best = float(state["best"])
        self.bad_epochs = int(state["bad_epochs"])
