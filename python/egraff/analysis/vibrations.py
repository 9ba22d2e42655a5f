# SPDX-License-Identifier: GPL-2.0-or-later
"""Velocity autocorrelation and vibrational density of states."""

from __future__ import annotations

import numpy as np
from MDAnalysis.analysis.results import ResultsGroup
from MDAnalysis.core.groups import AtomGroup
from scipy.fft import next_fast_len

from egraff.analysis.parallel import ParallelAnalysis
from egraff.analysis.trajectory.fields import even_interval, frame_velocities, species_labels

_ATOMS_AT_ONCE = 256


def velocity_autocorrelation(velocities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """sum_i w_i <v_i(0) v_i(t)> at every lag, averaged over all starting times, by FFT.

    Args:
        velocities: `[n_frames, n_atoms, 3]`, Angstrom/ps.
        weights: `[n_atoms]`, masses or ones.

    Returns:
        `[n_frames]`, in the unit of weight times Angstrom^2/ps^2. Nothing is subtracted: a
        constant velocity correlates for ever.
    """
    n_frames, n_atoms, _ = velocities.shape
    total = np.zeros(n_frames)
    padded = next_fast_len(2 * n_frames, real=True)
    for first in range(0, n_atoms, _ATOMS_AT_ONCE):
        part = slice(first, first + _ATOMS_AT_ONCE)
        spectrum = np.fft.rfft(velocities[:, part], n=padded, axis=0)
        power = np.sum(np.abs(spectrum) ** 2, axis=2) @ weights[part]
        total += np.fft.irfft(power, n=padded)[:n_frames]
    return total / np.arange(n_frames, 0, -1)


class VibrationalDensityOfStates(ParallelAnalysis):
    """Velocity autocorrelation and its spectrum, of each species and in total.

    The spectrum is the cosine transform of the mass-weighted autocorrelation under a Hann window
    that ends at ``longest_ps``: a sharp line is 1 / ``longest_ps`` wide at half height. It is
    scaled to integrate to 1 over positive frequencies (per species likewise).

    Args:
        atoms: atoms of a trajectory with velocities at even times.
        longest_ps: longest lag; a quarter of the trajectory when None.

    After `run`, in ``results``: ``lag_ps`` and ``vacf`` `[n_curves, n_lags]`, scaled to 1 at zero;
    ``frequency_THz`` and ``vdos`` `[n_curves, n_frequencies]` in 1/THz; ``species``, with
    ``total`` last.

    Raises:
        InputError: no velocities, or frames that are fewer than 2 or not evenly spaced.
    """

    def __init__(
        self, atoms: AtomGroup, *, longest_ps: float | None = None, verbose: bool = False
    ) -> None:
        super().__init__(atoms.universe.trajectory, verbose=verbose)
        self.atoms = atoms
        self.longest_ps = longest_ps
        self._labels = species_labels(atoms)
        self.species = sorted(set(self._labels))

    def _prepare(self) -> None:
        self.results.velocities = []
        self.results.times_ps = []

    def _single_frame(self) -> None:
        self.results.velocities.append(frame_velocities(self.atoms).copy())
        self.results.times_ps.append(self._ts.time)

    def _get_aggregator(self) -> ResultsGroup:
        flatten = ResultsGroup.flatten_sequence
        return ResultsGroup(lookup={"velocities": flatten, "times_ps": flatten})

    def _conclude(self) -> None:
        results = self.results
        velocities = np.array(results.velocities)
        results.velocities = velocities
        interval = even_interval(np.array(results.times_ps), "velocity autocorrelation")
        n_lags = len(velocities) // 4
        if self.longest_ps is not None:
            n_lags = round(self.longest_ps / interval)
        n_lags = min(max(2, n_lags), len(velocities))
        masses = self.atoms.masses
        curves = [
            velocity_autocorrelation(velocities[:, chosen], masses[chosen])[:n_lags]
            for chosen in (self._labels == name for name in self.species)
        ]
        curves = np.array([*curves, np.sum(curves, axis=0)])
        scale = np.where(curves[:, :1] > 0.0, curves[:, :1], 1.0)
        results.species = [*self.species, "total"]
        results.lag_ps = np.arange(n_lags) * interval
        results.vacf = curves / scale
        results.frequency_THz, results.vdos = _spectrum(results.vacf, interval)


def _spectrum(curves: np.ndarray, interval: float) -> tuple[np.ndarray, np.ndarray]:
    n_lags = curves.shape[1]
    window = 0.5 * (1.0 + np.cos(np.pi * np.arange(n_lags) / n_lags))
    # an even function of time: mirrored, its Fourier transform is the cosine transform
    padded = 4 * n_lags
    half = np.zeros((len(curves), padded // 2 + 1))
    half[:, :n_lags] = curves * window
    density = np.fft.irfft(half, n=padded, axis=1)[:, : padded // 2 + 1] * padded * interval
    frequency = np.arange(padded // 2 + 1) / (padded * interval)
    area = np.trapezoid(density, frequency, axis=1)[:, None]
    return frequency, density / np.where(area > 0.0, area, 1.0)
