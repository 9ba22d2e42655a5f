# SPDX-License-Identifier: GPL-2.0-or-later
"""The training of one model as Lightning sees it: steps, averaged weights, learning rate, state."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from egraff.errors import EgraffError
from egraff.forces import predict
from egraff.graph import Graph
from egraff.models import ForceField
from egraff.training.checkpoint import KEY, make_payload
from egraff.training.config import TrainConfig
from egraff.training.dataset import ShuffledBatches
from egraff.training.ema import ExponentialMovingAverage
from egraff.training.loss import Loss
from egraff.training.metrics import FrameErrors, concatenate, error_metrics, frame_errors
from egraff.training.named_weights import parameter_groups
from egraff.training.schedule import LearningRate

STATE = "egraff_training"
Batch = list[tuple[int, Graph]]


@dataclass(frozen=True)
class EpochResult:
    """What is known after an epoch.

    Attributes:
        epoch: epochs done, from 1.
        step: optimiser steps done.
        lr: learning rate of the last step.
        train_loss: mean loss over the epoch, weights changing all the while.
        val_loss: loss of the averaged weights on the validation frames.
        train: errors on the training frames during the epoch (:func:`error_metrics`).
        val: errors of the averaged weights on the validation frames.
        seconds: wall time of the epoch, validation included.
        improved: whether ``val_loss`` is the lowest so far.
    """

    epoch: int
    step: int
    lr: float
    train_loss: float
    val_loss: float
    train: dict[str, float]
    val: dict[str, float]
    seconds: float
    improved: bool


class ForceFieldTraining(LightningModule):
    """Training and validation steps, and the state that a continued training needs.

    Args:
        model: the model to train.
        config: settings.
        batches: the order of the training frames, which is told each epoch.
        about: ``training_data`` and ``check_structure`` for the checkpoints.
        weights: of the loss of each set of data; the first is the new data, which errors are of.

    A batch is a list of ``(set, graph)``; see :mod:`egraff.training.replay`.
    """

    def __init__(
        self,
        model: ForceField,
        config: TrainConfig,
        *,
        batches: ShuffledBatches,
        about: Mapping[str, Any],
        weights: Sequence[float] = (1.0,),
    ) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.about = dict(about)
        self.weights = list(weights)
        self.loss = Loss(
            config.loss,
            energy_weight=config.energy_weight,
            force_weight=config.force_weight,
            stress_weight=config.stress_weight,
            huber_delta=config.huber_delta,
        )
        self.ema = ExponentialMovingAverage(model, decay=config.ema_decay)
        self.rate = LearningRate(config, steps_per_epoch=len(batches))
        self.batches = batches
        self.best_loss = math.inf
        self.best_epoch = 0
        self.best_metrics: dict[str, float] = {}
        self.epochs_done = 0
        self.steps_done = 0
        self.seconds = 0.0
        self.result: EpochResult | None = None
        self._started = 0.0
        self._train = _accumulators(self.weights)
        self._val = _accumulators(self.weights)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make the optimiser; the learning rate is set step by step."""
        config = self.config
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer]
        return kind(
            parameter_groups(self.model, config.lr_factors),
            lr=config.lr,
            amsgrad=config.amsgrad,
            weight_decay=config.weight_decay,
            fused=True,
        )

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Move graphs; Lightning does not know how."""
        return [(which, graph.to(device)) for which, graph in batch]

    def on_fit_start(self) -> None:
        """Move the averaged weights to the model's device."""
        self.ema.to(self.device)

    def on_train_epoch_start(self) -> None:
        """Start the clock; seed order and random layers by the epoch, whatever came before.

        Lightning announces epochs to the samplers inside batch samplers only, hence the call here.
        """
        self.batches.set_epoch(self.current_epoch)
        self._started = time.perf_counter()
        self._train = _accumulators(self.weights)
        torch.manual_seed((self.config.seed << 20) + self.current_epoch)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the learning rate of the step."""
        # groups of a training that an earlier version began have no factor
        for group in self.optimizers().param_groups:
            group["lr"] = self.rate.at(self.global_step) * group.get("lr_factor", 1.0)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        return self._step(batch, self._train, create_graph=True)

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Update the average of the weights."""
        self.ema.update(self.model)

    def on_validation_epoch_start(self) -> None:
        """Validate the averaged weights, not the last ones."""
        self._val = _accumulators(self.weights)
        self.ema.swap(self.model)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect loss and errors of a batch."""
        self._step(batch, self._val, create_graph=False)

    def on_validation_epoch_end(self) -> None:
        """Close the epoch: result, learning rate, best so far.

        Raises:
            EgraffError: the loss is not a number any more.
        """
        self.ema.swap(self.model)
        train_loss, val_loss = self._loss(self._train), self._loss(self._val)
        if not (math.isfinite(train_loss) and math.isfinite(val_loss)):
            raise EgraffError(
                f"epoch {self.current_epoch + 1}: expected a finite loss, got {train_loss} in "
                f"training and {val_loss} in validation\n"
                "  fix: use a smaller lr, clip_grad_norm, or float64; the last complete epoch is "
                "in last.ckpt"
            )
        improved = val_loss < self.best_loss
        result = EpochResult(
            epoch=self.current_epoch + 1,
            step=self.global_step,
            lr=self.rate.at(self.global_step - 1),
            train_loss=train_loss,
            val_loss=val_loss,
            train=error_metrics(self._train[0].errors()),
            val=error_metrics(self._val[0].errors()),
            seconds=time.perf_counter() - self._started,
            improved=improved,
        )
        if improved:
            self.best_loss = val_loss
            self.best_epoch = result.epoch
            self.best_metrics = result.val
        self.rate.end_epoch(val_loss, step=self.global_step)
        self.epochs_done, self.steps_done = result.epoch, result.step
        self.seconds += result.seconds
        self.result = result

    def payload(self) -> dict[str, Any]:
        """Return the model with its averaged weights, as a checkpoint keeps it."""
        return make_payload(
            self.model,
            weights=self.ema.average,
            metrics=self.result.val if self.result else {},
            epoch=self.epochs_done,
            settings=self.config.plain(),
            **self.about,
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the model for use, and the state that Lightning does not know."""
        checkpoint[KEY] = self.payload()
        checkpoint[STATE] = {
            "ema": self.ema.state_dict(),
            "rate": self.rate.state_dict(),
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "best_metrics": self.best_metrics,
            "epochs_done": self.epochs_done,
            "steps_done": self.steps_done,
            "seconds": self.seconds,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take over the state of the interrupted training."""
        state = checkpoint[STATE]
        self.ema.load_state_dict(state["ema"])
        self.rate.load_state_dict(state["rate"])
        self.best_loss = float(state["best_loss"])
        self.best_epoch = int(state["best_epoch"])
        self.best_metrics = dict(state["best_metrics"])
        self.epochs_done = int(state["epochs_done"])
        self.steps_done = int(state["steps_done"])
        self.seconds = float(state["seconds"])

    def _step(self, batch: Batch, into: list[_Accumulator], *, create_graph: bool) -> Tensor:
        losses = []
        for which, graph in batch:
            prediction = predict(self.model, graph, create_graph=create_graph)
            loss = self.loss.total(self.loss.terms(prediction, graph))
            into[which].add(
                loss,
                frame_errors(
                    graph,
                    energy=prediction.energy,
                    forces=prediction.forces,
                    stress=prediction.stress,
                ),
            )
            losses.append(self.weights[which] * loss)
        return torch.stack(losses).sum()

    def _loss(self, sets: list[_Accumulator]) -> float:
        return sum(weight * one.loss() for weight, one in zip(self.weights, sets, strict=True))


def _accumulators(weights: Sequence[float]) -> list[_Accumulator]:
    return [_Accumulator() for _ in weights]


class _Accumulator:
    """Losses and errors of the batches of one pass."""

    def __init__(self) -> None:
        self._losses: list[Tensor] = []
        self._sizes: list[int] = []
        self._errors: list[FrameErrors] = []

    def add(self, loss: Tensor, errors: FrameErrors) -> None:
        self._losses.append(loss.detach())
        self._sizes.append(len(errors))
        self._errors.append(errors)

    def loss(self) -> float:
        """Return the mean over frames; NaN before the first batch."""
        if not self._losses:
            return math.nan
        sizes = torch.tensor(self._sizes, dtype=torch.float64)
        losses = torch.stack(self._losses).to("cpu", torch.float64)
        return float((losses * sizes).sum() / sizes.sum())

    def errors(self) -> FrameErrors:
        return concatenate(self._errors)
