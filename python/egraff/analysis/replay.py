# SPDX-License-Identifier: GPL-2.0-or-later
"""Replay: a model evaluated along a labelled reference trajectory.

What energy and force violation mean along a model's own trajectory is undefined (there are no
labels there), so they are computed on the frames of a labelled one, at the same positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from egraff.analysis.compare import (
    energy_violation,
    energy_violation_offset_free,
    force_violation,
)
from egraff.analysis.metric import Metric, not_enough_data
from egraff.analysis.series import geometric_mean_metric, mean_metric
from egraff.analysis.trajectory.frames import frame_times_ps
from egraff.errors import InputError

#: Shifts that are not worth a remark, meV per atom: model errors are often as large.
_SMALL_OFFSET = 5.0


@dataclass(frozen=True)
class Replay:
    """Predictions and labels along a trajectory.

    Attributes:
        time_ps: time of each frame, or its number when times are not known, `[n_frames]`.
        time_known: whether ``time_ps`` is a time.
        energy: predicted energies, `[n_frames]`, eV.
        energy_ref: labels, `[n_frames]`, eV.
        forces: predicted forces, `[n_frames, n_atoms, 3]`, eV/Angstrom.
        forces_ref: labels, `[n_frames, n_atoms, 3]`, eV/Angstrom.
    """

    time_ps: np.ndarray
    time_known: bool
    energy: np.ndarray
    energy_ref: np.ndarray
    forces: np.ndarray
    forces_ref: np.ndarray

    @property
    def ev(self) -> np.ndarray:
        """Energy violation at each frame, `[n_frames]`."""
        return energy_violation(self.energy, self.energy_ref)

    @property
    def fv(self) -> np.ndarray:
        """Force violation at each frame, `[n_frames]`."""
        return force_violation(self.forces, self.forces_ref)


def replay(frames: Sequence[Atoms], calculator: Calculator, *, where: str = "reference") -> Replay:
    """Evaluate ``calculator`` at the positions of labelled frames.

    Args:
        frames: frames of one composition with energy and forces as labels.
        calculator: any ASE calculator, in eV and Angstrom.
        where: name of the reference, for messages.

    Raises:
        InputError: no frames, or a frame has no energy or forces.
    """
    if not frames:
        raise InputError("expected at least one frame, got none", where=where)
    rows = []
    for number, frame in enumerate(frames):
        labels = frame.calc.results if frame.calc is not None else {}
        for name in ("energy", "forces"):
            if name not in labels:
                raise InputError(
                    f"expected {name} as a label, got {', '.join(labels) or 'none'}",
                    where=where,
                    field=f"frame {number}",
                    fix="give a reference labelled with energies and forces",
                )
        probe = Atoms(frame.numbers, positions=frame.positions, cell=frame.cell, pbc=frame.pbc)
        probe.calc = calculator
        forces = probe.get_forces()
        rows.append((probe.get_potential_energy(), labels["energy"], forces, labels["forces"]))
    times = frame_times_ps(frames)
    energy, energy_ref, forces, forces_ref = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    return Replay(
        np.arange(len(frames), dtype=float) if times is None else times,
        times is not None,
        energy,
        energy_ref,
        forces,
        forces_ref,
    )


def replay_metrics(result: Replay, *, provenance: str, prefix: str = "replay") -> list[Metric]:
    """Violations and errors of predictions against labels, as metrics.

    Args:
        result: predictions and labels.
        provenance: for the metrics.
        prefix: of their names: ``replay`` along a reference, ``rollout`` along a relabelled run.

    Returns:
        ``replay_ev``, ``replay_fv`` (geometric means over time), ``replay_ev_offset_free`` (mean
        over time), ``replay_energy_offset`` (see the definition), ``replay_energy_mae`` in meV/atom
        and ``replay_force_mae`` in meV/Angstrom.
    """
    n_atoms = result.forces.shape[1]
    force_error = np.abs(result.forces - result.forces_ref).mean(axis=(1, 2)) * 1e3
    energy_error = np.abs(result.energy - result.energy_ref) * 1e3 / n_atoms
    metrics = [
        geometric_mean_metric(
            f"{prefix}_ev",
            result.ev,
            "1",
            "energy violation (E - E_ref)^2 / (E^2 + E_ref^2), geometric mean over time; depends "
            "on the zero of energy",
            provenance,
        ),
        geometric_mean_metric(
            f"{prefix}_fv",
            result.fv,
            "1",
            "force violation |F - F_ref| / (|F| + |F_ref|), geometric mean over time",
            provenance,
        ),
    ]
    name = f"{prefix}_ev_offset_free"
    definition = (
        "(dE - dE_ref)^2 / (<dE^2> + <dE_ref^2>) with d the deviation from the mean over time, "
        "mean over time; 0 perfect, 1 uncorrelated"
    )
    if len(result.energy) > 1 and np.ptp(result.energy_ref) > 0.0:
        violation = energy_violation_offset_free(result.energy, result.energy_ref)
        metrics.append(mean_metric(name, violation, "1", definition, provenance))
    else:
        note = "the reference energy does not vary over the frames"
        metrics.append(not_enough_data(name, "1", definition, provenance, note))
    return [
        *metrics,
        _energy_offset(result, f"{prefix}_energy_offset", provenance),
        mean_metric(
            f"{prefix}_energy_mae",
            energy_error,
            "meV/atom",
            "mean |E - E_ref| per atom",
            provenance,
        ),
        mean_metric(
            f"{prefix}_force_mae",
            force_error,
            "meV/A",
            "mean |F - F_ref| over components",
            provenance,
        ),
    ]


def _energy_offset(result: Replay, name: str, provenance: str) -> Metric:
    """How far energies are shifted against the labels, beside what is left without the shift."""
    difference = result.energy - result.energy_ref
    text = {
        "name": name,
        "unit": "1",
        "definition": "|<E - E_ref>| over the larger of the standard deviation of E - E_ref and "
        f"{_SMALL_OFFSET:g} meV per atom: large where energies are shifted as a whole",
        "provenance": provenance,
    }
    if len(difference) < 2:
        return not_enough_data(**text, note="one frame")
    small = 1e-3 * _SMALL_OFFSET * result.forces.shape[1]
    value = abs(difference.mean()) / max(float(difference.std(ddof=1)), small)
    return Metric(value=float(value), **text)
