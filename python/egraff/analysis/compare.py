# SPDX-License-Identifier: GPL-2.0-or-later
"""Distances between a simulation and a reference: the EGraFFBench metrics and Wasserstein-1.

Formulas follow Bihani et al., Digital Discovery 3, 759 (2024), arXiv:2310.02428, which leaves
some choices open; those made here are stated in each docstring.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from egraff.errors import InputError


def _same_shape(a: np.ndarray, b: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        raise InputError(
            f"expected two arrays of one shape, got {a.shape} and {b.shape}", where=what
        )
    if a.size == 0:
        raise InputError("expected at least one value, got none", where=what)
    return a, b


def wright_factor(g: np.ndarray, g_ref: np.ndarray) -> float:
    """Wright factor, plain form: WF = sum (g - g_ref)^2 / sum g_ref^2 (dimensionless).

    This is what EGraFFBench's code computes. The factor of the glass literature (Wright, J.
    Non-Cryst. Solids 159, 264 (1993)), with its customary limit of about 9 %, is the square root:
    `wright_factor_sqrt`.

    Args:
        g: radial distribution function of the simulation, any shape; all bins count equally.
        g_ref: that of the reference, on the same bins.

    Returns:
        0 for equal curves, 1 for g = 0.

    Raises:
        InputError: the shapes differ, or ``g_ref`` is zero everywhere.
    """
    g, g_ref = _same_shape(g, g_ref, "wright_factor")
    norm = float(np.sum(g_ref**2))
    if norm == 0.0:
        raise InputError(
            "expected a reference that is not zero everywhere, got zeros",
            where="wright_factor",
        )
    return float(np.sum((g - g_ref) ** 2)) / norm


def wright_factor_sqrt(g: np.ndarray, g_ref: np.ndarray) -> float:
    """Wright factor, square-root form: sqrt(sum (g - g_ref)^2 / sum g_ref^2) (dimensionless)."""
    return float(np.sqrt(wright_factor(g, g_ref)))


def _check_values(values: np.ndarray, what: str) -> None:
    wrong = values[~(np.isfinite(values) & (values >= 0.0))]
    if len(wrong):
        raise InputError(f"expected finite values >= 0, got {wrong[0]:g}", where=what)


def _probability(p: np.ndarray, what: str) -> np.ndarray:
    _check_values(p, what)
    total = p.sum()
    if total <= 0.0:
        raise InputError("expected at least one value above 0, got none", where=what)
    return p / total


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """Jensen-Shannon divergence in nats: (KL(p|m) + KL(q|m)) / 2 with m = (p + q) / 2.

    Args:
        p: histogram, any shape; divided by its sum here. For structures, the histogram of pair
            distances (proportional to g r^2), not g itself, which is no probability.
        q: the other histogram, on the same bins.

    Returns:
        Between 0 (equal) and ln 2 (no bin in common), symmetric in p and q.

    Raises:
        InputError: the shapes differ, a value is negative or not finite, or a histogram is empty.
    """
    p, q = _same_shape(p, q, "jensen_shannon")
    p, q = _probability(p, "jensen_shannon"), _probability(q, "jensen_shannon")
    m = 0.5 * (p + q)
    total = 0.0
    for part in (p, q):
        occupied = part > 0.0
        total += 0.5 * float(np.sum(part[occupied] * np.log(part[occupied] / m[occupied])))
    return min(max(total, 0.0), float(np.log(2.0)))  # rounding only


def wasserstein(p: np.ndarray, q: np.ndarray, bin_width: float) -> float:
    """Wasserstein-1 distance between two histograms, in the unit of ``bin_width``.

    It is the area between the two cumulative distributions. Unlike overlap measures it keeps
    growing when a peak moves further away.

    Args:
        p: histogram, `[n_bins]`; divided by its sum here.
        q: the other histogram, on the same bins.
        bin_width: width of a bin.
    """
    p, q = _same_shape(p, q, "wasserstein")
    p, q = _probability(p, "wasserstein"), _probability(q, "wasserstein")
    return float(np.sum(np.abs(np.cumsum(p - q)))) * bin_width


def energy_violation(e: np.ndarray, e_ref: np.ndarray) -> np.ndarray:
    """Energy violation at each time, EV = (E - E_ref)^2 / (E^2 + E_ref^2) (dimensionless).

    Depends on the zero of energy: a set whose energies lie at -17000 eV has small EV whatever
    the model does. Compare sets by `energy_violation_offset_free`.

    Args:
        e: predicted energies, `[n_times]`.
        e_ref: reference energies, `[n_times]`, same unit.

    Returns:
        `[n_times]`, each in [0, 2]; 0 where both energies are zero.
    """
    e, e_ref = _same_shape(e, e_ref, "energy_violation")
    norm = e**2 + e_ref**2
    return np.divide((e - e_ref) ** 2, norm, out=np.zeros_like(norm), where=norm > 0.0)


def energy_violation_offset_free(e: np.ndarray, e_ref: np.ndarray) -> np.ndarray:
    """Energy violation that does not depend on the zero of energy (dimensionless).

    EV'(t) = (dE - dE_ref)^2 / (<dE^2> + <dE_ref^2>) with d = deviation from the own mean over
    the trajectory. Its mean over time is one minus the concordance correlation: 0 for equal
    fluctuations, 1 for uncorrelated ones.

    Args:
        e: predicted energies, `[n_times]`.
        e_ref: reference energies, `[n_times]`, same unit.

    Raises:
        InputError: both energies are constant.
    """
    e, e_ref = _same_shape(e, e_ref, "energy_violation_offset_free")
    de, de_ref = e - e.mean(), e_ref - e_ref.mean()
    norm = float(np.mean(de**2) + np.mean(de_ref**2))
    if norm == 0.0:
        raise InputError(
            "expected energies that vary, got constant ones", where="energy_violation_offset_free"
        )
    return (de - de_ref) ** 2 / norm


def force_violation(f: np.ndarray, f_ref: np.ndarray) -> np.ndarray:
    """Force violation at each time, FV = |F - F_ref| / (|F| + |F_ref|) (dimensionless).

    Norms run over all 3N components of a frame.

    Args:
        f: predicted forces, `[n_times, n_atoms, 3]`.
        f_ref: reference forces, `[n_times, n_atoms, 3]`, same unit.

    Returns:
        `[n_times]`, each in [0, 1]: 1 for F = 0, 0.707 for uncorrelated fields of equal norm,
        0 where both fields are zero.
    """
    f, f_ref = _same_shape(f, f_ref, "force_violation")
    if f.ndim != 3 or f.shape[-1] != 3:
        raise InputError(
            f"expected forces [n_times, n_atoms, 3], got shape {f.shape}", where="force_violation"
        )

    def norm(x):
        return np.sqrt(np.sum(x**2, axis=(1, 2)))

    total = norm(f) + norm(f_ref)
    return np.divide(norm(f - f_ref), total, out=np.zeros_like(total), where=total > 0.0)


@dataclass(frozen=True)
class GeometricMean:
    """Geometric mean over rollouts at each time, with a band of two logarithmic s.d.

    Attributes:
        value: exp(mean ln x), `[n_times]`.
        lower: value / exp(2 s), `[n_times]`.
        upper: value * exp(2 s), `[n_times]`.
    """

    value: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def geometric_mean(errors: np.ndarray) -> GeometricMean:
    """Geometric mean over the first axis (rollouts), with a band of two logarithmic s.d.

    Args:
        errors: violations, `[n_rollouts, n_times]`, all >= 0. A zero makes the mean zero.

    Raises:
        InputError: a value is negative or not finite, or the shape is not two-dimensional.
    """
    errors = np.asarray(errors, dtype=np.float64)
    if errors.ndim != 2 or errors.size == 0:
        raise InputError(
            f"expected errors [n_rollouts, n_times], got shape {errors.shape}",
            where="geometric_mean",
        )
    _check_values(errors, "geometric_mean")
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(errors)
        mean = logs.mean(axis=0)
        spread = logs.std(axis=0, ddof=1) if len(logs) > 1 else np.zeros_like(mean)
        # a zero among the errors: no logarithmic spread is defined
        spread = np.where(np.isfinite(mean), spread, 0.0)
        return GeometricMean(np.exp(mean), np.exp(mean - 2 * spread), np.exp(mean + 2 * spread))
