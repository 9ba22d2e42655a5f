# SPDX-License-Identifier: GPL-2.0-or-later
"""What follows from g(r): coordination numbers and the structure factor."""

from __future__ import annotations

import numpy as np

from egraff.analysis.metric import Metric
from egraff.analysis.rdf import RadialDistribution
from egraff.analysis.series import mean_metric
from egraff.errors import InputError

#: Bins over which g is smoothed, and standard errors that make a rise or a fall.
_SMOOTHED, _RESOLVED = 5, 3.0


def structure_factor(
    q: np.ndarray, r: np.ndarray, g: np.ndarray, number_density: float, *, window: bool = False
) -> np.ndarray:
    """Structure factor S(q) = 1 + 4 pi rho int r^2 (g(r) - 1) sin(q r) / (q r) dr.

    The integral is exact for a g(r) that is constant within each bin; beyond the last bin g is
    taken to be 1.

    Args:
        q: wave vectors, `[n_q]`, 1/Angstrom, above 0.
        r: centres of even bins that begin at zero, `[n_bins]`, Angstrom.
        g: `[n_bins]`.
        number_density: atoms per Angstrom^3.
        window: multiply g - 1 by Lorch's sin(pi r / R) / (pi r / R), which removes the ripples of
            a cut at R (Lorch, J. Phys. C 2, 229 (1969)) at the price of broader peaks.

    Returns:
        `[n_q]`, dimensionless.

    Raises:
        InputError: a wave vector is not above 0.
    """
    q = np.asarray(q, dtype=np.float64)
    if np.any(q <= 0.0):
        raise InputError(f"expected wave vectors above 0, got {q.min()}", where="q")
    width = r[1] - r[0]
    edges = np.append(r - 0.5 * width, r[-1] + 0.5 * width)
    h = np.asarray(g, dtype=np.float64) - 1.0
    if window:
        h = h * np.sinc(r / edges[-1])
    # int r sin(q r) dr = (sin(q r) - q r cos(q r)) / q^2
    x = q[:, None] * edges[None, :]
    primitive = (np.sin(x) - x * np.cos(x)) / q[:, None] ** 3
    return 1.0 + 4.0 * np.pi * number_density * np.diff(primitive, axis=1) @ h


def first_minimum(r: np.ndarray, g: np.ndarray, error: np.ndarray | None = None) -> float | None:
    """Distance of the first minimum of g after its first peak above 1, or None.

    g is smoothed over five bins first. With its errors, ups and downs of less than three of them
    are no peaks and no minima, so that two samples of one structure have the same minimum.

    Args:
        r: bin centres, `[n_bins]`.
        g: `[n_bins]`.
        error: standard error of g, `[n_bins]`; None for none.
    """
    window = np.ones(_SMOOTHED) / _SMOOTHED
    smooth = np.convolve(g, window, mode="same")
    noise = np.zeros(len(g))
    if error is not None:
        noise = _RESOLVED * np.sqrt(np.convolve(error**2, window, mode="same") / _SMOOTHED)
    above = np.flatnonzero(smooth > 1.0 + noise)
    if not above.size:
        return None
    peak = int(above[0])
    for bin_ in range(peak, len(g)):
        if smooth[bin_] >= smooth[peak]:
            peak = bin_
        elif smooth[bin_] < smooth[peak] - noise[bin_]:
            break
    bottom = peak
    for bin_ in range(peak, len(g)):
        if smooth[bin_] < smooth[bottom]:
            bottom = bin_
        elif smooth[bin_] > smooth[bottom] + noise[bin_]:
            break
    else:
        return None  # it does not rise again within the range: the minimum is not in sight
    return None if bottom >= len(g) - 3 else float(r[bottom])


def coordination_numbers(
    analysis: RadialDistribution, cutoff: float, *, provenance: str
) -> list[Metric]:
    """Mean number of neighbours b of an atom a nearer than ``cutoff``, for every ordered pair.

    Args:
        analysis: finished.
        cutoff: Angstrom; rounded to the edge of a bin, from the middle of one up.
        provenance: for the metrics.

    Returns:
        ``coordination[a-b]``, "b around a", dimensionless.

    Raises:
        InputError: the cutoff is beyond the range of the analysis.
    """
    # round() goes to even numbers: from the middles of bins, up at one and down at the next
    last = int(np.floor(cutoff / analysis.bin_width + 0.5 + 1e-9))
    if not 1 <= last <= analysis.n_bins:
        raise InputError(
            f"expected a cutoff up to {analysis.r_max:g} A, got {cutoff:g}",
            where="cutoff",
            fix="run the analysis with a larger r_max",
        )
    reach = last * analysis.bin_width
    labels = np.array(analysis.species)[analysis._index]
    metrics = []
    for pair_index, pair in enumerate(analysis.pairs):
        within = analysis.results.counts[:, pair_index, :last].sum(axis=1)
        first, second = pair.split("-")
        ordered = {(first, second), (second, first)}
        for centre, other in sorted(ordered):
            factor = 2.0 if centre == other else 1.0
            series = factor * within / np.sum(labels == centre)
            metrics.append(
                mean_metric(
                    f"coordination[{centre}-{other}]",
                    series,
                    "1",
                    f"mean number of {other} nearer than {reach:g} A to {centre}",
                    provenance,
                )
            )
    return metrics
