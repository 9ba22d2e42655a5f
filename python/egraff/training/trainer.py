# SPDX-License-Identifier: GPL-2.0-or-later
"""Lightning's trainer, quiet and without files of its own."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.utils.data import DataLoader

from egraff.errors import EgraffError
from egraff.names import LAST
from egraff.training.module import ForceFieldTraining


class Interrupted(EgraffError):
    """The user, or a batch system, stopped the training."""


def run_fit(
    training: ForceFieldTraining,
    train_loader: DataLoader,
    val_loader: DataLoader,
    *,
    epochs: int,
    device: str,
    clip_grad_norm: float | None,
    callbacks: Sequence[Callback],
    checkpoint: Path | None,
    directory: Path,
) -> None:
    """Run the training, from its beginning or from a checkpoint.

    Args:
        training: the module to train.
        train_loader: training batches.
        val_loader: validation batches.
        epochs: epochs of the whole training.
        device: ``cpu`` or ``cuda``.
        clip_grad_norm: largest norm of the gradient, or None.
        callbacks: what happens after each epoch.
        checkpoint: ``last.ckpt`` to continue from, or None.
        directory: where Lightning would put files if it had any.

    Raises:
        Interrupted: SIGINT (Ctrl-C) or SIGTERM (a batch system) arrived.
        EgraffError: the loss is not a number any more.
    """
    with _quiet(), _interruptible():
        trainer = Trainer(
            max_epochs=epochs,
            accelerator="gpu" if device == "cuda" else "cpu",
            devices=1,
            # one process, also inside a batch job that has many tasks
            plugins=[LightningEnvironment()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            # validation differentiates energies, which inference mode forbids
            inference_mode=False,
            gradient_clip_val=clip_grad_norm,
            callbacks=list(callbacks),
            default_root_dir=directory,
        )
        try:
            trainer.fit(
                training,
                train_loader,
                val_loader,
                ckpt_path=checkpoint,
                # nothing but tensors and plain values may come out of a checkpoint
                weights_only=True,
            )
        except SIGTERMException:
            raise Interrupted(f"terminated; the last complete epoch is in {LAST}") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's advice and hardware reports off the terminal."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Turn Ctrl-C into :class:`Interrupted`; Lightning would end the whole process instead."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: object) -> None:
        raise Interrupted(f"interrupted; the last complete epoch is in {LAST}")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
