# SPDX-License-Identifier: GPL-2.0-or-later
"""Train one model: from settings to best.ckpt, last.ckpt, metrics.csv and summary.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch.utils.data import DataLoader

from egraff.errors import InputError
from egraff.files import atomic_path, make_folder, write_json
from egraff.graph import Graph, collate
from egraff.locks import locked
from egraff.models import ForceField
from egraff.names import BEST, IMPORTED, LAST, METRICS, SETTINGS, SUMMARY
from egraff.training import summary as report
from egraff.training.checkpoint import KEY, load_info, load_model, load_raw
from egraff.training.config import TrainConfig, save_config
from egraff.training.dataset import Splits, join_graphs, model_graphs, read_splits
from egraff.training.evaluate import evaluate, open_model
from egraff.training.fine_tuning import (
    FINE_TUNED,
    adopt,
    describe_shifts,
    errors_on,
    read_start,
    tuned_model,
)
from egraff.training.logs import Display, MetricsLog, RunFiles
from egraff.training.machine import choose_threads, pick_device
from egraff.training.metrics import concatenate, error_metrics, ratios, trivial_errors
from egraff.training.module import ForceFieldTraining
from egraff.training.named_weights import freeze
from egraff.training.replay import (
    GraphSets,
    MixedBatches,
    ReplaySet,
    collate_sets,
    read_replay,
)
from egraff.training.resume import started
from egraff.training.setup import (
    check_same_data,
    check_structure,
    describe_data,
    make_model,
    write_splits,
)
from egraff.training.tables import comparison_table, evaluation_table
from egraff.training.trainer import Interrupted, run_fit


def fit(
    config: TrainConfig,
    out: str | PathLike[str],
    *,
    resume: bool = False,
    overwrite: bool = False,
    console: Console | None = None,
) -> dict[str, Any]:
    """Train a model, or continue a training that was interrupted.

    Args:
        config: the settings; with ``resume``, those of the interrupted training but for the ones
            in :data:`egraff.training.config.RESUMABLE`.
        out: directory for all results.
        resume: continue from ``last.ckpt`` in ``out``; without it, start (for queues).
        overwrite: replace an earlier training in ``out``.
        console: where to print.

    Returns:
        The content of ``summary.json``.

    Raises:
        InputError: unusable settings or data, or a directory that is in use or holds other things.
        Interrupted: Ctrl-C or SIGTERM; ``last.ckpt`` holds the last complete epoch.
    """
    out = Path(out)
    console = console or Console(highlight=False, soft_wrap=True)
    # now, so that nobody waits for a refusal, and again when nobody else can write there
    _prepare(out, resume=resume, overwrite=overwrite)

    def say(kind: str, message: str) -> None:
        console.print(f"{kind}: {message}", markup=False, style="yellow")

    start = None
    if config.from_model is not None and not (resume and started(out)):
        start = read_start(config)
        config = adopt(config, start)
    splits = read_splits(config, known=start.model.elements if start else ())
    replay, remarks = read_replay(config, splits)
    splits = replace(splits, remarks=[*splits.remarks, *remarks])
    for remark in splits.remarks:
        say("note", remark)
    data = describe_data(config, splits, replay)
    if start is not None:
        model, shifts, data[FINE_TUNED] = tuned_model(config, start, splits)
        source, notes = shifts.source, shifts.notes
        config = config.model_copy(update={"elements": splits.elements})
        if origin := start.record["training_data"].get(IMPORTED):
            data[IMPORTED] = origin  # whose licence and citation still hold
    elif config.from_model is not None:
        model, notes = load_model(out / LAST).train(), []
        before = load_info(out / LAST)["training_data"]
        data |= {name: before[name] for name in (FINE_TUNED, IMPORTED) if name in before}
        source = data[FINE_TUNED]["e0"]["choice"]
    else:
        model, source, notes = make_model(config, splits)
    n_frozen = freeze(model, config.freeze)
    if n_frozen:
        notes = [*notes, f"{n_frozen} weights are frozen: {', '.join(config.freeze)}"]
    for note in notes:
        say("note", note)
    splits = replace(splits, remarks=[*splits.remarks, *notes])
    make_folder(out)
    with locked(out, doing="training", tell=partial(say, "warning")):
        checkpoint = _prepare(out, resume=resume, overwrite=overwrite)
        if checkpoint is not None:
            check_same_data(checkpoint, data, out / LAST)
        run = _Run(config, out, splits, data, model, source, console, replay)
        if checkpoint is None:
            # not before everything has been found in order: --overwrite must not lose the old
            # results to a mistyped file name
            for name in (LAST, BEST, SUMMARY, METRICS):
                (out / name).unlink(missing_ok=True)
        save_config(config, out / SETTINGS)
        write_splits(config, splits, out / "splits")
        return run.go(
            resume=checkpoint is not None,
            epochs_done=checkpoint[KEY]["epoch"] if checkpoint else 0,
        )


class _Run:
    """One call of :func:`fit` after its inputs have been checked."""

    def __init__(
        self,
        config: TrainConfig,
        out: Path,
        splits: Splits,
        data: dict[str, Any],
        model: ForceField,
        reference_energies_from: str,
        console: Console,
        replay: Sequence[ReplaySet] = (),
    ) -> None:
        self.config = config
        self.out = out
        self.splits = splits
        self.model = model
        self.console = console
        self.val_batches = list(join_graphs(model_graphs(splits.val, model)))
        self.replay = replay
        self.replayed = [one for one in replay if one.weight > 0]
        self.baseline = data["energy_baseline_ev"]
        energies = [self.baseline.get(element, float("nan")) for element in model.elements]
        self.trivial = concatenate(trivial_errors(batch, energies) for batch in self.val_batches)
        self.about = {"training_data": data, "check_structure": check_structure(splits.train)}
        self.summary = report.head(config, remarks=splits.remarks, data=data)
        self.summary["model"] = report.describe_model(
            model, reference_energies_from=reference_energies_from
        )
        self.device = pick_device(config.device)

    def go(self, *, resume: bool, epochs_done: int) -> dict[str, Any]:
        """Train, evaluate the best weights, and return the summary."""
        config = self.config
        graphs = model_graphs(self.splits.train, self.model)
        sets = [graphs, *(model_graphs(one.train, self.model) for one in self.replayed)]
        batches = MixedBatches(
            [len(one) for one in sets], batch_size=config.batch_size, seed=config.seed
        )
        # worker processes of a continued training fetch batches before its first epoch begins
        batches.set_epoch(epochs_done)
        self.training = ForceFieldTraining(
            self.model,
            config,
            batches=batches,
            about=self.about,
            weights=[1.0, *(one.weight for one in self.replayed)],
        )
        first = [sets[which][number] for which, number in next(iter(batches))]
        self.threads = choose_threads(
            self.model, collate(first), wanted=config.threads, device=self.device
        )
        self._announce(len(graphs))
        self._before()
        self.files = RunFiles(
            self.out,
            MetricsLog(self.out / METRICS, after_epoch=epochs_done),
            on_best=lambda: self._write("running"),
        )
        self._write("running")
        try:
            run_fit(
                self.training,
                DataLoader(
                    GraphSets(sets),
                    batch_sampler=batches,
                    collate_fn=collate_sets,
                    num_workers=config.num_workers,
                ),
                DataLoader(self._val_sets(), batch_size=None),
                epochs=config.epochs,
                device=self.device,
                clip_grad_norm=config.clip_grad_norm,
                callbacks=[Display(self.console, config.epochs), self.files],
                checkpoint=self.out / LAST if resume else None,
                directory=self.out,
            )
        except BaseException as error:
            interrupted = isinstance(error, Interrupted)
            self._write("interrupted" if interrupted else "failed", because=str(error))
            raise
        return self._finish()

    def _val_sets(self) -> list[list[tuple[int, Graph]]]:
        """Return the batches to validate on, each of one set."""
        batches = [[(0, batch)] for batch in self.val_batches]
        for which, one in enumerate(self.replayed, start=1):
            for batch in join_graphs(model_graphs(one.val, self.model)):
                batches.append([(which, batch)])
        return batches

    def _before(self) -> None:
        """Show what a fine-tuning starts from, and keep its errors in the record."""
        record = self.about["training_data"].get(FINE_TUNED)
        if record is None:
            return
        for line in describe_shifts(record):
            self.console.print(line, markup=False)
        if "before" not in record:
            record["before"] = errors_on(self.model, self.splits, self.replay, device=self.device)

    def _after(self) -> None:
        """Show the errors before and after, and write them into the best checkpoint."""
        record = self.about["training_data"].get(FINE_TUNED)
        if record is None:
            return
        best = load_model(self.out / BEST)
        record["after"] = errors_on(best, self.splits, self.replay, device=self.device)
        content = load_raw(self.out / BEST)
        content[KEY]["training_data"][FINE_TUNED] = record
        with atomic_path(self.out / BEST) as partial_file:
            torch.save(content, partial_file)
        self.console.print(comparison_table(record["before"], record["after"]))

    def _announce(self, n_frames: int) -> None:
        model = self.summary["model"]
        config = model["config"]
        self.console.print(
            f"{model['architecture']}, {model['n_parameters']} weights, {config['dtype']}; "
            f"elements {' '.join(config['elements'])}, r_max {config['r_max']:g} A, "
            f"{config['avg_num_neighbours']:.1f} neighbours per atom\n"
            f"{n_frames} training and {len(self.splits.val)} validation frames; "
            f"E0 from {model['reference_energies_from'].replace('_', ' ')}; "
            f"device {self.device}, {self.threads} thread(s)",
            markup=False,
        )

    def _finish(self) -> dict[str, Any]:
        best = open_model(self.out / BEST, device=self.device)
        evaluation = evaluate(best, self.splits.val)
        self.summary["validation"] = {
            name: entry | {"ci95": list(evaluation.interval.get(name, ())) or None}
            for name, entry in report.validation(
                evaluation.model, evaluation.trivial, evaluation.ratio
            ).items()
        }
        self._after()
        self._write("completed", because=self.files.stopped_because)
        n_frames = len(self.splits.val)
        self.console.print(
            evaluation_table(
                evaluation,
                title=f"{self.out / BEST}, epoch {self.training.best_epoch}: errors on "
                f"{n_frames} validation frames",
            )
        )
        return self.summary

    def _write(self, status: str, *, because: str | None = None) -> None:
        self.summary["status"] = status
        self.summary["training"] = report.progress(
            self.training, threads=self.threads, device=self.device, stopped_because=because
        )
        if status != "completed" and self.training.best_metrics:
            trivial = error_metrics(self.trivial)
            metrics = self.training.best_metrics
            self.summary["validation"] = report.validation(
                metrics, trivial, ratios(metrics, trivial)
            )
        write_json(self.out / SUMMARY, self.summary)


def _prepare(out: Path, *, resume: bool, overwrite: bool) -> dict[str, Any] | None:
    """Check the directory; return the checkpoint to continue from, if any."""
    if out.exists() and not out.is_dir():
        raise InputError("expected a directory, got a file", where=out, fix="choose another --out")
    if resume and started(out):
        return load_raw(out / LAST)
    # a training that was killed before its first checkpoint leaves a summary, and starts again
    results = (BEST,) if resume else (LAST, BEST, SUMMARY)
    existing = [name for name in results if (out / name).exists()]
    if existing and not overwrite:
        raise InputError(
            f"expected a new directory, found {', '.join(existing)} of an earlier training"
            + (f", and no {LAST} to continue from" if resume else ""),
            where=out,
            field="--out",
            fix="choose another --out, continue with --resume, or replace it with --overwrite",
        )
    return None
