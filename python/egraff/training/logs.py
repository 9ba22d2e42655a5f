# SPDX-License-Identifier: GPL-2.0-or-later
"""What a training writes and shows while it runs: metrics.csv, checkpoints, a bar or lines."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path

import torch
from lightning.pytorch import Callback, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from egraff.errors import InputError
from egraff.files import atomic_path
from egraff.names import BEST, LAST
from egraff.training.checkpoint import KEY
from egraff.training.module import EpochResult, ForceFieldTraining
from egraff.units import MEV_PER_EV

LINES_PER_RUN = 20


class MetricsLog:
    """``metrics.csv``: one row for each epoch.

    Args:
        path: the file.
        after_epoch: rows of later epochs are dropped: they belong to an epoch that will be
            repeated.
    """

    COLUMNS = (
        "epoch",
        "step",
        "lr",
        "train_loss",
        "val_loss",
        "train_energy_mae_mev_per_atom",
        "val_energy_mae_mev_per_atom",
        "train_force_mae_mev_per_ang",
        "val_force_mae_mev_per_ang",
        "seconds",
    )

    def __init__(self, path: Path, *, after_epoch: int = 0) -> None:
        self.path = path
        kept = []
        if after_epoch and path.is_file():
            with path.open(newline="", encoding="utf-8") as stream:
                rows = csv.DictReader(stream)
                if tuple(rows.fieldnames or ()) != self.COLUMNS:
                    raise InputError(
                        f"expected the columns {', '.join(self.COLUMNS)}, got "
                        f"{', '.join(rows.fieldnames or ['none'])}",
                        where=path,
                        fix="move the file away to continue without the rows so far",
                    )
                kept = [row for row in rows if int(row["epoch"]) <= after_epoch]
        with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, self.COLUMNS)
            writer.writeheader()
            writer.writerows(kept)

    def add(self, result: EpochResult) -> None:
        """Append the row of an epoch."""
        values = {
            "epoch": result.epoch,
            "step": result.step,
            "lr": result.lr,
            "train_loss": result.train_loss,
            "val_loss": result.val_loss,
            "seconds": result.seconds,
        }
        for name, metrics in (("train", result.train), ("val", result.val)):
            energy = metrics["energy_mae_ev_per_atom"] * MEV_PER_EV
            values[f"{name}_energy_mae_mev_per_atom"] = energy
            force = metrics["force_mae_ev_per_ang"] * MEV_PER_EV
            values[f"{name}_force_mae_mev_per_ang"] = force
        row = {
            name: f"{value:.8g}" if isinstance(value, float) else value
            for name, value in values.items()
        }
        with self.path.open("a", newline="", encoding="utf-8") as stream:
            csv.DictWriter(stream, self.COLUMNS).writerow(row)


class RunFiles(Callback):
    """Writes the files of a training after each epoch, and stops it when it is time.

    ``last.ckpt`` is there from the start, so that a training interrupted in its first epoch can be
    continued too.

    Args:
        out: directory.
        metrics: the open metrics.csv.
        on_best: called after each epoch that improved the validation loss.
    """

    def __init__(self, out: Path, metrics: MetricsLog, *, on_best: Callable[[], None]) -> None:
        self.out = out
        self.metrics = metrics
        self.on_best = on_best
        self.stopped_because = "all epochs done"

    def on_train_start(self, trainer: Trainer, training: ForceFieldTraining) -> None:
        """Write a checkpoint to continue from before the first epoch."""
        if training.current_epoch == 0:
            self._save_last(trainer)

    def on_train_epoch_end(self, trainer: Trainer, training: ForceFieldTraining) -> None:
        """Write the results of the epoch, and decide whether it was the last."""
        result = training.result
        self.metrics.add(result)
        if result.improved:
            with atomic_path(self.out / BEST) as partial:
                torch.save({KEY: training.payload()}, partial)
            self.on_best()
        self._save_last(trainer)
        config = training.config
        patience, minutes = config.early_stop_patience, config.max_minutes
        if patience is not None and result.epoch - training.best_epoch >= patience:
            self.stopped_because = f"no better validation loss for {patience} epochs"
            trainer.should_stop = True
        elif minutes is not None and training.seconds >= 60.0 * minutes:
            self.stopped_because = f"{minutes:g} minutes are over"
            trainer.should_stop = True

    def _save_last(self, trainer: Trainer) -> None:
        with atomic_path(self.out / LAST) as partial:
            # False is about writing: a resumed run needs the optimiser's state too; everything in
            # the file is plain, and it is read back with torch's weights_only=True
            trainer.save_checkpoint(partial, weights_only=False)


class Display(Callback):
    """A progress bar on a terminal; elsewhere about twenty lines in all.

    Args:
        console: where to write.
        epochs: epochs of the whole training.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        self.console = console
        self.epochs = epochs
        self.every = max(1, epochs // LINES_PER_RUN)
        self.bar: Progress | None = None
        self._started = time.monotonic()

    def on_train_start(self, trainer: Trainer, training: ForceFieldTraining) -> None:
        """Show the bar."""
        self._started = time.monotonic()
        if not self.console.is_terminal:
            return
        self.bar = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
            console=self.console,
            transient=True,
        )
        self.bar.start()
        done = training.current_epoch
        self._task = self.bar.add_task("", total=self.epochs, completed=done, text="")

    def on_train_epoch_end(self, trainer: Trainer, training: ForceFieldTraining) -> None:
        """Show the errors of the epoch."""
        result = training.result
        if self.bar is not None:
            self.bar.update(self._task, completed=result.epoch, text=_errors(result))
        elif result.epoch % self.every == 0 or result.epoch == self.epochs:
            elapsed = time.monotonic() - self._started
            self.console.print(
                f"epoch {result.epoch:>4}/{self.epochs}  {_errors(result)}  "
                f"lr {result.lr:.1e}  {elapsed:.0f} s",
                highlight=False,
            )

    def on_train_end(self, trainer: Trainer, training: ForceFieldTraining) -> None:
        """Remove the bar."""
        self._close()

    def on_exception(
        self, trainer: Trainer, training: ForceFieldTraining, exception: BaseException
    ) -> None:
        """Remove the bar, so that the message can be read."""
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _errors(result: EpochResult) -> str:
    energy = result.val["energy_mae_ev_per_atom"] * MEV_PER_EV
    forces = result.val["force_mae_ev_per_ang"] * MEV_PER_EV
    return f"val MAE: energy {energy:.2f} meV/atom, forces {forces:.1f} meV/A"
