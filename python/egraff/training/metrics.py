# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors of a model on labelled frames, beside those of a predictor that has learnt nothing.

The trivial predictor knows the energy per element (fitted by least squares, see
:func:`egraff.training.statistics.energy_baseline`) and says zero for forces and stress. An error
that is not far below its error means nothing, however small it looks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from egraff.graph import Graph
from egraff.statistics import statistical_inefficiency
from egraff.training.loss import check_shapes

#: Errors along a trajectory are resampled in at least so many blocks.
FEWEST_BLOCKS = 8
#: With fewer frames correlations cannot be told from chance, nor below this inefficiency.
_FEWEST_FRAMES, _CORRELATED = 30, 1.5


@dataclass(frozen=True)
class FrameErrors:
    """Sums of errors over each frame; NaN where the frame has no such label.

    Attributes:
        n_atoms: ``[n_frames]``.
        energy: ``[n_frames]`` predicted minus labelled total energy in eV.
        label: ``[n_frames]`` labelled total energy in eV.
        force_abs: ``[n_frames]`` sum of absolute errors of the 3 n_atoms components in eV/A.
        force_square: ``[n_frames]`` sum of their squares.
        stress_abs: ``[n_frames]`` sum of absolute errors of the 9 tensor elements in eV/A^3.
        stress_square: ``[n_frames]`` sum of their squares.
    """

    n_atoms: NDArray[np.int64]
    energy: NDArray[np.float64]
    label: NDArray[np.float64]
    force_abs: NDArray[np.float64]
    force_square: NDArray[np.float64]
    stress_abs: NDArray[np.float64]
    stress_square: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.n_atoms)


def frame_errors(batch: Graph, *, energy: Tensor, forces: Tensor, stress: Tensor) -> FrameErrors:
    """Compare predictions with the labels of their frames.

    Args:
        batch: labelled frames, NaN for what is not labelled.
        energy: ``[n_frames]`` predictions in eV.
        forces: ``[n_atoms, 3]`` predictions in eV/A.
        stress: ``[n_frames, 3, 3]`` predictions in eV/A^3.

    Raises:
        EgraffError: a prediction and its label differ in shape.
    """
    difference = _difference("energy", energy, batch.energy)
    force = _difference("forces", forces, batch.forces)
    tensor = _difference("stress", stress, batch.stress)

    def per_frame(atom_values: Tensor) -> Tensor:
        sums = torch.zeros_like(difference)
        return sums.index_add(0, batch.frame, atom_values.sum(dim=1))

    columns = (
        batch.n_atoms_per_frame,
        difference,
        torch.full_like(difference, torch.nan) if batch.energy is None else batch.energy,
        per_frame(force.abs()),
        per_frame(force.square()),
        tensor.abs().sum(dim=(1, 2)),
        tensor.square().sum(dim=(1, 2)),
    )
    return FrameErrors(*(column.cpu().numpy() for column in columns))


def _difference(name: str, predicted: Tensor, label: Tensor | None) -> Tensor:
    """Subtract the label: NaN without a label, infinite where the prediction is not a number."""
    label = check_shapes(name, predicted, label)
    difference = torch.nan_to_num((predicted - label).detach(), nan=torch.inf)
    return torch.where(torch.isnan(label), torch.nan, difference)


def trivial_errors(batch: Graph, baseline: Sequence[float]) -> FrameErrors:
    """Return the errors of the predictor that only counts atoms.

    Args:
        batch: labelled frames.
        baseline: energy in eV of each species; NaN for one without.
    """
    per_atom = torch.tensor(baseline, dtype=torch.float64)[batch.species.cpu()]
    energy = torch.zeros_like(batch.volume).index_add(
        0, batch.frame, per_atom.to(batch.volume.device)
    )
    return frame_errors(
        batch,
        energy=energy,
        forces=torch.zeros_like(batch.forces),
        stress=torch.zeros_like(batch.stress),
    )


def concatenate(parts: Iterable[FrameErrors]) -> FrameErrors:
    """Concatenate the errors of several batches."""
    parts = list(parts)
    return FrameErrors(
        *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(FrameErrors))
    )


def error_metrics(errors: FrameErrors) -> dict[str, float]:
    """Return mean absolute (MAE) and root-mean-square errors (RMSE) over all frames.

    Keys say quantity and unit: ``energy_*_ev_per_atom`` (each frame counts once; ``bias`` is the
    mean error, ``spread`` the standard deviation of what is left without it),
    ``energy_*_ev`` (total energy of a frame), ``force_*_ev_per_ang`` (each component counts
    once), ``stress_*_ev_per_ang3`` (each of the nine tensor elements counts once). Quantities
    without labels are left out.
    """
    ones = np.ones((1, len(errors)))
    return {name: float(value[0]) for name, value in _weighted(errors, ones).items()}


def bootstrap(
    errors: FrameErrors, *, n_samples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return confidence intervals of :func:`error_metrics` by resampling the frames.

    Percentile bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap (1993), ch. 13)
    over blocks of `block_length` successive frames, which are one frame long where errors are
    independent; along a trajectory they are not.

    Args:
        errors: errors of at least two frames; with fewer there is no interval.
        n_samples: resampled sets.
        confidence: share of them between the bounds.
        seed: seed of the resampling.
    """
    if len(errors) < 2:
        return {}
    rng = np.random.default_rng(seed)
    block = np.arange(len(errors)) // block_length(errors)
    n_blocks = int(block[-1]) + 1
    samples: dict[str, list[NDArray[np.float64]]] = {}
    # in portions: the matrix of counts for all samples of a large set would not fit in memory
    for size in _portions(n_samples, limit=max(1, 4_000_000 // len(errors))):
        counts = rng.multinomial(n_blocks, np.full(n_blocks, 1.0 / n_blocks), size=size)
        for name, values in _weighted(errors, counts[:, block].astype(np.float64)).items():
            samples.setdefault(name, []).append(values)
    bounds = [50.0 * (1.0 - confidence), 50.0 * (1.0 + confidence)]
    intervals = {}
    for name, parts in samples.items():
        low, high = np.nanpercentile(np.concatenate(parts), bounds)
        intervals[name] = (float(low), float(high))
    return intervals


def block_length(errors: FrameErrors) -> int:
    """How many successive frames make one independent sample of the errors.

    Twice the statistical inefficiency of the errors of energy and forces in the order of the file,
    whichever is larger; 1 where they are independent. There are at least `FEWEST_BLOCKS` blocks: of
    a trajectory with fewer independent frames the intervals are still too narrow.
    """
    longest = 1.0
    for numbers in (np.abs(errors.energy) / errors.n_atoms, errors.force_abs / errors.n_atoms):
        series = numbers[np.isfinite(numbers)]
        if len(series) >= _FEWEST_FRAMES:
            longest = max(longest, statistical_inefficiency(series))
    if longest < _CORRELATED:
        return 1
    return max(1, min(math.ceil(2.0 * longest), len(errors) // FEWEST_BLOCKS))


def energy_correlation(errors: FrameErrors) -> float | None:
    """Pearson correlation of predicted and labelled energies per atom; None where they are equal.

    It does not depend on an offset: 1 where only the zero of energy is wrong.
    """
    known = np.isfinite(errors.energy) & np.isfinite(errors.label)
    label = (errors.label / errors.n_atoms)[known]
    predicted = ((errors.label + errors.energy) / errors.n_atoms)[known]
    if len(label) < 3 or np.ptp(label) == 0.0 or np.ptp(predicted) == 0.0:
        return None
    return float(np.corrcoef(label, predicted)[0, 1])


def ratios(model: Mapping[str, float], trivial: Mapping[str, float]) -> dict[str, float]:
    """Return how many times smaller the model's errors are; metrics that are zero are left out."""
    return {
        name: trivial[name] / value
        for name, value in model.items()
        if "_bias_" not in name and value > 0 and trivial.get(name, 0.0) > 0
    }


def _portions(total: int, *, limit: int) -> list[int]:
    full, rest = divmod(total, limit)
    return [limit] * full + ([rest] if rest else [])


def _weighted(errors: FrameErrors, counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Evaluate every metric for sets in which frame k occurs ``counts[:, k]`` times."""
    per_atom = errors.energy / errors.n_atoms
    components = 3.0 * errors.n_atoms
    nine = np.full(len(errors), 9.0)
    one = np.ones(len(errors))
    sums = {
        "energy_mae_ev_per_atom": (np.abs(per_atom), one),
        "energy_rmse_ev_per_atom": (per_atom**2, one),
        "energy_bias_ev_per_atom": (per_atom, one),
        "energy_mae_ev": (np.abs(errors.energy), one),
        "energy_rmse_ev": (errors.energy**2, one),
        "force_mae_ev_per_ang": (errors.force_abs, components),
        "force_rmse_ev_per_ang": (errors.force_square, components),
        "stress_mae_ev_per_ang3": (errors.stress_abs, nine),
        "stress_rmse_ev_per_ang3": (errors.stress_square, nine),
    }
    values = {}
    for name, (numerator, denominator) in sums.items():
        labelled = ~np.isnan(numerator)
        if not labelled.any():
            continue
        weights = counts[:, labelled]
        # a resampled set may hold no labelled frame; an infinite error may be counted zero times
        with np.errstate(invalid="ignore"):
            mean = (weights @ numerator[labelled]) / (weights @ denominator[labelled])
        values[name] = np.sqrt(mean) if "_rmse_" in name else mean
    if "energy_bias_ev_per_atom" in values:
        bias, square = values["energy_bias_ev_per_atom"], values["energy_rmse_ev_per_atom"] ** 2
        with np.errstate(invalid="ignore"):
            values["energy_spread_ev_per_atom"] = np.sqrt(np.maximum(square - bias**2, 0.0))
    return values
