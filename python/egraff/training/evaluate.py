# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors of a finished model, checkpoint or exported file, on labelled frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from egraff import __version__
from egraff.data import (
    Frame,
    LabelKeys,
    fit_reference_energies,
    read_frames,
    separate_isolated_atoms,
    validate_frames,
)
from egraff.data.labels import options_for
from egraff.errors import EgraffError, InputError, ModelFileError
from egraff.files import sha256, write_json
from egraff.forces import edge_forces, edge_virial, predict
from egraff.graph import Graph
from egraff.metadata import is_exported
from egraff.models import ForceField
from egraff.training.checkpoint import load_info, load_model
from egraff.training.dataset import elements_of, frame_graph, join_graphs
from egraff.training.metrics import (
    block_length,
    bootstrap,
    concatenate,
    energy_correlation,
    error_metrics,
    frame_errors,
    ratios,
    trivial_errors,
)


@dataclass(frozen=True)
class Evaluation:
    """Errors of a model and of the trivial predictor.

    Isolated atoms are reported apart: a model gives them E0 whatever it has learnt, so that they
    would say nothing about it, and spoil the errors of both predictors.

    Attributes:
        n_frames: number of frames, without isolated atoms.
        n_atoms: number of atoms in these frames.
        model: errors, as :func:`egraff.training.metrics.error_metrics` names them.
        trivial: the same of the trivial predictor.
        ratio: trivial over model.
        interval: 95 % confidence intervals of the model's errors.
        block_frames: successive frames that make one independent sample of the errors.
        energy_correlation: of predicted and labelled energies per atom, or None.
        baseline_source: ``training set`` or ``evaluated frames``: where the energies per element
            of the trivial predictor come from.
        isolated: by element, model minus label of isolated atoms in eV (the largest difference).
        remarks: oddities of the data that a user should read.
        about: model file, data file, hashes and versions.
    """

    n_frames: int
    n_atoms: int
    model: dict[str, float]
    trivial: dict[str, float]
    ratio: dict[str, float]
    interval: dict[str, tuple[float, float]]
    baseline_source: str
    block_frames: int = 1
    energy_correlation: float | None = None
    isolated: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)

    def flat(self) -> dict[str, Any]:
        """Return everything under flat names, as ``egraff eval --json`` writes it."""
        flat: dict[str, Any] = {"n_frames": self.n_frames, "n_atoms": self.n_atoms}
        for name, value in self.model.items():
            flat[name] = value
            flat[f"trivial_{name}"] = self.trivial[name]
            flat[f"ratio_{name}"] = self.ratio.get(name)
            if name in self.interval:
                flat[f"ci95_low_{name}"], flat[f"ci95_high_{name}"] = self.interval[name]
        for element, difference in self.isolated.items():
            flat[f"isolated_atom_error_ev_{element}"] = difference
        return {
            **flat,
            "energy_correlation": self.energy_correlation,
            "interval_block_frames": self.block_frames,
            "trivial_energy_from": self.baseline_source,
            **self.about,
        }


@dataclass(frozen=True)
class LoadedModel:
    """A model to be evaluated, whatever file it came from.

    Attributes:
        elements: chemical symbols in the order of the species.
        r_max: cutoff in Angstrom.
        pair_cutoffs: cutoffs of pairs in Angstrom, or None.
        predict: graph to energies [n_frames], forces [n_atoms, 3] and stress [n_frames, 3, 3].
        baseline: energy per element of the trivial predictor, from the training set, or None.
        trained_on: name of each file it was trained or validated on, by its SHA-256.
    """

    elements: list[str]
    r_max: float
    pair_cutoffs: Sequence[Sequence[float]] | None
    predict: Callable[[Graph], tuple[Tensor, Tensor, Tensor]]
    baseline: dict[str, float] | None
    trained_on: dict[str, str] = field(default_factory=dict)


def evaluate_file(
    model_path: str | PathLike[str],
    data_path: str | PathLike[str],
    *,
    keys: LabelKeys | None = None,
    dtype: str | None = None,
    device: str = "cpu",
) -> Evaluation:
    """Compare a model with labelled frames; any label that a frame lacks is left out.

    Args:
        model_path: a checkpoint, or an exported model (``NAME.egraff.pt`` or ``.pt2``).
        data_path: any file that ASE reads.
        keys: names, unit and sign of the labels in the file.
        dtype: type a checkpoint is evaluated in; default: as trained.
        device: ``cpu`` or ``cuda``.

    Raises:
        InputError: unusable frames, an element that the model does not know, or no labels.
        ModelFileError: the model cannot be loaded.
    """
    model = open_model(model_path, dtype=dtype, device=device)
    frames, isolated = separate_isolated_atoms(
        read_frames(data_path, keys=keys), cutoff=model.r_max
    )
    remarks = [
        remark
        for part in (frames, isolated)
        if part
        for remark in validate_frames(part, elements=model.elements, require=())
    ]
    about = {
        "model": str(model_path),
        "model_sha256": sha256(model_path),
        "data": str(data_path),
        "data_sha256": sha256(data_path),
        "egraff": __version__,
    }
    if name := model.trained_on.get(about["data_sha256"]):
        remarks.append(
            f"the model was trained or validated on this file ({name}): its errors on frames that "
            "it has not seen are larger"
        )
    return replace(
        evaluate(model, frames) if frames else _NOTHING,
        isolated=_isolated_errors(model, isolated),
        remarks=remarks,
        about=about,
    )


def evaluate(model: LoadedModel, frames: Sequence[Frame]) -> Evaluation:
    """Compare a model with labelled frames.

    Raises:
        InputError: no frame has any label.
        EgraffError: the model's predictions are not finite numbers.
    """
    if not any(f.energy is not None or f.forces is not None for f in frames):
        found = ", ".join(frames[0].label_keys) or "nothing"
        choices = [
            options_for(name, frames[0].alternatives.get(name, ())) or f"--{name}-key NAME"
            for name in ("energy", "forces")
        ]
        raise InputError(
            f"no frame has an energy or forces; the first frame has: {found}",
            where=frames[0].source[0] or None,
            fix=f"name the right keys: {' and '.join(choices)}",
        )
    baseline, source = _baseline(model, frames)
    own, trivial = [], []
    for batch in join_graphs(_graphs(model, frames)):
        energy, forces, stress = model.predict(batch)
        own.append(frame_errors(batch, energy=energy, forces=forces, stress=stress))
        trivial.append(trivial_errors(batch, baseline))
    errors = concatenate(own)
    model_metrics = error_metrics(errors)
    broken = np.flatnonzero(np.isinf(errors.energy) | np.isinf(errors.force_abs))
    if len(broken):
        raise EgraffError(
            f"expected finite energies and forces, got none for {len(broken)} of {len(errors)} "
            f"frames, the first is frame {frames[broken[0]].source[1]}\n"
            "  fix: train again with a smaller lr, or look at that frame"
        )
    trivial_metrics = error_metrics(concatenate(trivial))
    return Evaluation(
        n_frames=len(errors),
        n_atoms=int(errors.n_atoms.sum()),
        model=model_metrics,
        trivial=trivial_metrics,
        ratio=ratios(model_metrics, trivial_metrics),
        interval=bootstrap(errors),
        block_frames=block_length(errors),
        energy_correlation=energy_correlation(errors),
        baseline_source=source,
    )


_NOTHING = Evaluation(
    n_frames=0, n_atoms=0, model={}, trivial={}, ratio={}, interval={}, baseline_source=""
)


def _isolated_errors(model: LoadedModel, isolated: Sequence[Frame]) -> dict[str, float]:
    """Return, by element, the largest difference between model and label of isolated atoms."""
    labelled = [frame for frame in isolated if frame.energy is not None]
    errors: dict[str, float] = {}
    for frame, graph in zip(labelled, _graphs(model, labelled), strict=True):
        difference = float(model.predict(graph)[0]) - frame.energy
        symbol = frame.symbols[0]
        if abs(difference) >= abs(errors.get(symbol, 0.0)):
            errors[symbol] = difference
    return errors


def _graphs(model: LoadedModel, frames: Sequence[Frame]) -> Iterator[Graph]:
    for frame in frames:
        yield frame_graph(
            frame, elements=model.elements, r_max=model.r_max, pair_cutoffs=model.pair_cutoffs
        )


def open_model(
    path: str | PathLike[str], *, dtype: str | None = None, device: str = "cpu"
) -> LoadedModel:
    """Load a checkpoint or an exported model.

    Raises:
        ModelFileError: neither of the two, or damaged.
        InputError: ``dtype`` asked of an exported model, whose type is fixed.
    """
    if not Path(path).is_file():
        found = "a folder" if Path(path).is_dir() else "no such file"
        raise ModelFileError(
            f"expected a checkpoint or an exported model, found {found}",
            where=path,
            fix="check the path",
        )
    if _looks_exported(path):
        if dtype is not None:
            raise InputError(
                f"expected no dtype with an exported model, whose type is fixed, got {dtype}",
                field="--dtype",
                fix="leave it out, or evaluate the checkpoint",
            )
        return _open_exported(path, device=device)
    info = load_info(path)
    model = load_model(path, dtype=dtype).to(device)
    training_data = info["training_data"]
    loaded = from_eager(model, baseline=training_data.get("energy_baseline_ev"))
    return replace(loaded, trained_on=_trained_on(training_data))


def _trained_on(training_data: Mapping[str, Any]) -> dict[str, str]:
    return {file["sha256"]: file["name"] for file in training_data.get("files", ())}


def from_eager(model: ForceField, *, baseline: dict[str, float] | None = None) -> LoadedModel:
    """Wrap an eager model."""
    device = next(model.parameters()).device

    def run(batch: Graph) -> tuple[Tensor, Tensor, Tensor]:
        prediction = predict(model, batch.to(device))
        return prediction.energy.cpu(), prediction.forces.cpu(), prediction.stress.cpu()

    return LoadedModel(model.elements, model.r_max, model.pair_cutoffs, run, baseline)


def _open_exported(path: str | PathLike[str], *, device: str) -> LoadedModel:
    from egraff.calculator import EgraffCalculator

    loaded = EgraffCalculator(path, device=device)

    def run(batch: Graph) -> tuple[Tensor, Tensor, Tensor]:
        out = loaded.model.evaluate(batch.species, batch.edge_index, batch.edge_vec, batch.n_atoms)
        # the program knows one system; energies and gradients by atom and edge tell frames apart
        energy = torch.zeros_like(batch.volume).index_add(0, batch.frame, out["atomic_energy"])
        virial = edge_virial(batch, out["edge_gradient"])
        forces = edge_forces(batch, out["edge_gradient"])
        return energy, forces, -virial / batch.volume[:, None, None]

    metadata = loaded.metadata
    return LoadedModel(
        metadata["elements"],
        metadata["r_max"],
        metadata["pair_cutoffs"],
        run,
        metadata["training_data"].get("energy_baseline_ev"),
        _trained_on(metadata["training_data"]),
    )


def _looks_exported(path: str | PathLike[str]) -> bool:
    """Tell an exported model from a checkpoint by its content."""
    try:
        return is_exported(path)
    except ModelFileError:
        # of a file that is neither, the reader of checkpoints says what is wrong with it, unless
        # its name promises an exported model
        return str(path).endswith((".egraff.pt", ".egraff.pt2"))


def _baseline(model: LoadedModel, frames: Sequence[Frame]) -> tuple[list[float], str]:
    """Return the trivial predictor's energy of each species, NaN if unknown, and its source."""
    present = elements_of(frames)
    known = model.baseline
    source = "training set"
    if known is None or not set(present) <= set(known):
        labelled = [frame for frame in frames if frame.energy is not None]
        known = fit_reference_energies(labelled, elements_of(labelled)) if labelled else {}
        source = "evaluated frames"
    return [known.get(element, np.nan) for element in model.elements], source


def write_evaluation(path: str | PathLike[str], evaluation: Evaluation) -> None:
    """Write :meth:`Evaluation.flat` as JSON."""
    write_json(path, evaluation.flat())
