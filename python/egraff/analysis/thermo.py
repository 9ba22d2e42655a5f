# SPDX-License-Identifier: GPL-2.0-or-later
"""Metrics of thermodynamic output: energy drift, temperature, pressure."""

from __future__ import annotations

import numpy as np

from egraff.analysis.metric import Metric, not_enough_data
from egraff.analysis.series import TOO_FEW, mean_metric, remark
from egraff.errors import InputError
from egraff.statistics import mean_with_error, slope_error

_MINIMUM_ROWS = 10


def linear_drift(time_ps: np.ndarray, values: np.ndarray) -> tuple[float, float | None, float]:
    """Least-squares slope of a series whose residuals are correlated in time.

    Args:
        time_ps: `[n_times]`, ps.
        values: `[n_times]`.

    Returns:
        Slope in the unit of values per ps, its standard error (None where that of the residuals'
        mean has none), and the number of independent residuals.

    Raises:
        InputError: fewer than 3 times, or all times equal.
    """
    time_ps = np.asarray(time_ps, dtype=np.float64)
    values = np.asarray(values, dtype=np.float64)
    t = time_ps - time_ps.mean()
    spread = float(np.sum(t**2))
    if len(t) < 3 or spread == 0.0:
        raise InputError(
            f"expected at least 3 different times, got {len(set(time_ps))}", where="time_ps"
        )
    slope = float(np.sum(t * (values - values.mean())) / spread)
    residuals = values - values.mean() - slope * t
    return slope, *slope_error(time_ps, residuals)


def conserved_drift(
    time_ps: np.ndarray, conserved: np.ndarray, n_atoms: int, *, provenance: str
) -> Metric:
    """Drift of what a thermostat or barostat conserves (LAMMPS's ``econserve``), meV/atom/ps.

    Errors of single steps add up to a walk at random beneath bounded fluctuations, so that the
    error is that of the mean increment; where there is no walk it is an upper bound.

    Args:
        time_ps: `[n_times]`, ps.
        conserved: `[n_times]`, eV.
        n_atoms: number of atoms.
        provenance: file and rows, for the metric.
    """
    text = {
        "name": "conserved_drift",
        "unit": "meV/atom/ps",
        "definition": "slope of a least-squares line through the conserved quantity of thermostat "
        "and barostat, per atom",
        "provenance": provenance,
    }
    finite = np.isfinite(conserved)
    if finite.sum() < _MINIMUM_ROWS:
        note = f"{int(finite.sum())} finite rows, at least {_MINIMUM_ROWS} are needed"
        return not_enough_data(**text, note=note)
    slope, _, _ = linear_drift(time_ps[finite], conserved[finite])
    rate = mean_with_error(np.diff(conserved[finite]) / np.diff(time_ps[finite]))
    scale = 1000.0 / n_atoms
    return Metric(
        value=slope * scale,
        error=None if rate.error is None else rate.error * scale,
        n_eff=rate.n_eff,
        note=remark(rate),
        **text,
    )


def nve_drift(
    time_ps: np.ndarray,
    total_energy: np.ndarray,
    kinetic_energy: np.ndarray,
    n_atoms: int,
    *,
    provenance: str,
) -> list[Metric]:
    """Energy conservation of an NVE run.

    Args:
        time_ps: `[n_times]`, ps.
        total_energy: `[n_times]`, eV.
        kinetic_energy: `[n_times]`, eV.
        n_atoms: number of atoms.
        provenance: file and rows, for the metrics.

    Returns:
        ``nve_drift`` in meV/atom/ps, ``nve_drift_relative`` in 1/ps (the drift of the total
        energy over the standard deviation of the kinetic energy) and ``nve_fluctuation``
        (standard deviation of the total energy about its trend over that of the kinetic energy).
    """
    drift = {
        "name": "nve_drift",
        "unit": "meV/atom/ps",
        "definition": "slope of a least-squares line through the total energy, per atom",
    }
    relative = {
        "name": "nve_drift_relative",
        "unit": "1/ps",
        "definition": "slope of the total energy over the standard deviation of the kinetic energy",
    }
    fluctuation = {
        "name": "nve_fluctuation",
        "unit": "1",
        "definition": "standard deviation of the total energy about its trend over that of the "
        "kinetic energy",
    }
    finite = np.isfinite(total_energy) & np.isfinite(kinetic_energy)
    if finite.sum() < _MINIMUM_ROWS:
        note = f"{int(finite.sum())} rows of finite energy, at least {_MINIMUM_ROWS} are needed"
        return [
            not_enough_data(**text, provenance=provenance, note=note)
            for text in (drift, relative, fluctuation)
        ]
    time_ps, total_energy, kinetic_energy = (
        array[finite] for array in (time_ps, total_energy, kinetic_energy)
    )
    slope, error, n_eff = linear_drift(time_ps, total_energy)
    scale = 1000.0 / n_atoms
    note = None if error is not None else TOO_FEW
    common = {"provenance": provenance, "n_eff": n_eff, "note": note}
    metrics = [
        Metric(
            value=slope * scale, error=None if error is None else error * scale, **drift, **common
        )
    ]
    sigma = float(np.std(kinetic_energy))
    if sigma == 0.0:
        note = "the kinetic energy does not vary"
        return metrics + [
            not_enough_data(**text, provenance=provenance, note=note)
            for text in (relative, fluctuation)
        ]
    trend = slope * (time_ps - time_ps.mean())
    residual = float(np.std(total_energy - total_energy.mean() - trend))
    return [
        *metrics,
        Metric(
            value=slope / sigma,
            error=None if error is None else error / sigma,
            **relative,
            **common,
        ),
        Metric(value=residual / sigma, **fluctuation, **common),
    ]


def production_mean(
    name: str,
    values: np.ndarray,
    unit: str,
    definition: str,
    *,
    provenance: str,
    rows: slice,
    duration_ps: float | None = None,
) -> Metric:
    """Mean of a thermo column after equilibration, with its error.

    Args:
        name: of the metric.
        values: `[n_times]`; rows that are not finite are left out and counted in the note.
        unit: of the values.
        definition: what the column is.
        provenance: file and column.
        rows: those after equilibration.
        duration_ps: of these rows, for the note where they are too few for an error.
    """
    production = values[rows]
    finite = production[np.isfinite(production)]
    lost = len(production) - len(finite)
    definition = f"{definition}, mean after equilibration"
    if len(finite) < _MINIMUM_ROWS:
        note = f"{len(finite)} finite rows, at least {_MINIMUM_ROWS} are needed"
        return not_enough_data(name, unit, definition, provenance, note)
    return mean_metric(
        name,
        finite,
        unit,
        definition,
        f"{provenance}, rows {rows.start} to {rows.start + len(production) - 1}",
        note=f"{lost} rows are not finite" if lost else None,
        duration_ps=duration_ps,
    )
