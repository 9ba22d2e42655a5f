# SPDX-License-Identifier: GPL-2.0-or-later
"""Mean square displacement and diffusion coefficients."""

from __future__ import annotations

import numpy as np
from MDAnalysis.analysis.base import AnalysisBase
from MDAnalysis.analysis.results import ResultsGroup
from MDAnalysis.core.groups import AtomGroup
from scipy.fft import next_fast_len

from egraff.analysis.fields import even_interval, frame_geometry, species_labels
from egraff.analysis.metric import Metric, not_enough_data
from egraff.analysis.statistics import standard_error
from egraff.errors import InputError
from egraff.units import BOLTZMANN_EV_PER_K

_ATOMS_AT_ONCE = 256
_BLOCKS = 5
_EXPONENT_TOLERANCE = 0.25
#: kappa of a cubic periodic lattice, Yeh and Hummer, J. Phys. Chem. B 108, 15873 (2004).
_XI = 2.837297
_JOULE_PER_EV = 1.602176634e-19


def mean_square_displacement(positions: np.ndarray) -> np.ndarray:
    """MSD of each atom at every lag, averaged over all starting times, by FFT.

    Args:
        positions: unwrapped, `[n_frames, n_atoms, 3]`, Angstrom.

    Returns:
        `[n_frames, n_atoms]`, Angstrom^2; row 0 is zero.
    """
    n_frames, n_atoms, _ = positions.shape
    result = np.empty((n_frames, n_atoms))
    counts = np.arange(n_frames, 0, -1)[:, None]
    padded = next_fast_len(2 * n_frames, real=True)
    for first in range(0, n_atoms, _ATOMS_AT_ONCE):
        part = slice(first, first + _ATOMS_AT_ONCE)
        # a constant shift changes no displacement and keeps the cancellation below small
        r = positions[:, part] - positions[:, part].mean(axis=0)
        square = np.sum(r**2, axis=2)
        spectrum = np.fft.rfft(r, n=padded, axis=0)
        overlap = np.fft.irfft(spectrum * spectrum.conj(), n=padded, axis=0)
        overlap = overlap[:n_frames].sum(axis=2)
        # sum over starts of r(t)^2 + r(t + lag)^2: all squares, minus those that drop out
        cumulative = np.cumsum(square, axis=0)
        total = cumulative[-1]
        lost_end = np.vstack([np.zeros(square.shape[1]), np.cumsum(square[::-1], axis=0)[:-1]])
        lost_start = np.vstack([np.zeros(square.shape[1]), cumulative[:-1]])
        result[:, part] = (2.0 * total - lost_end - lost_start - 2.0 * overlap) / counts
    return np.maximum(result, 0.0)


def followed(positions: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Unwrapped positions without the images' share in the changes of the cell.

    Adding image flags times box vectors moves an atom that is n cells away by n times the change
    of the cell, so where the cell fluctuates its displacement grows with the distance from home.
    The steps between frames are added up instead, each from the image that the atom is in
    (von Buelow, Bullerjahn and Hummer, J. Chem. Phys. 153, 021101 (2020), equation 5). In a cell
    that does not change nothing changes.

    Args:
        positions: unwrapped with image flags, `[n_frames, n_atoms, 3]`, Angstrom.
        cells: box vectors as rows, `[n_frames, 3, 3]`, Angstrom.

    Returns:
        `[n_frames, n_atoms, 3]`, Angstrom.
    """
    result = positions.copy()
    changed = np.flatnonzero(np.any(np.diff(cells, axis=0) != 0.0, axis=(1, 2)))
    offset = np.zeros(positions.shape[1:])
    last = 0
    for frame in changed:
        result[last + 1 : frame + 1] -= offset
        images = np.floor(positions[frame] @ np.linalg.inv(cells[frame]))
        offset = offset + images @ (cells[frame + 1] - cells[frame])
        last = frame
    result[last + 1 :] -= offset
    return result


def diffusion_coefficient(lag_ps: np.ndarray, msd: np.ndarray, window_ps: tuple[float, float]):
    """D = slope / 6 of a straight line through the MSD in a window of lags, Angstrom^2/ps.

    Raises:
        InputError: fewer than 2 lags in the window.
    """
    inside = (lag_ps >= window_ps[0] - 1e-9) & (lag_ps <= window_ps[1] + 1e-9)
    if inside.sum() < 2:
        raise InputError(
            f"expected at least 2 lags between {window_ps[0]:g} and {window_ps[1]:g} ps, got "
            f"{int(inside.sum())}",
            where="diffusion",
            fix="widen the window, or dump more often",
        )
    return float(np.polyfit(lag_ps[inside], msd[inside], 1)[0]) / 6.0


def finite_size_correction(temperature_K: float, viscosity_mPa_s: float, length: float) -> float:
    """What to add to D of a cubic periodic box to get that of an infinite system, Angstrom^2/ps.

    xi k T / (6 pi eta L), Yeh and Hummer, J. Phys. Chem. B 108, 15873 (2004), equation 12.

    Args:
        temperature_K: K.
        viscosity_mPa_s: shear viscosity of the model liquid, mPa s.
        length: edge of the box, Angstrom.
    """
    thermal = BOLTZMANN_EV_PER_K * _JOULE_PER_EV * temperature_K
    metres2_per_s = _XI * thermal / (6.0 * np.pi * viscosity_mPa_s * 1e-3 * length * 1e-10)
    return metres2_per_s * 1e8  # 1 m^2/s = 1e20 A^2 / 1e12 ps


def diffusive_exponent(
    lag_ps: np.ndarray, msd: np.ndarray, window_ps: tuple[float, float]
) -> float:
    """Power alpha of MSD ~ t^alpha in a window of lags: 1 diffusive, 2 free flight, 0 caged."""
    inside = (lag_ps >= window_ps[0] - 1e-9) & (lag_ps <= window_ps[1] + 1e-9)
    inside &= (lag_ps > 0.0) & (msd > 0.0)
    if inside.sum() < 2:
        return 0.0
    return float(np.polyfit(np.log(lag_ps[inside]), np.log(msd[inside]), 1)[0])


class MeanSquareDisplacement(AnalysisBase):
    """MSD of each species from an evenly spaced, unwrapped trajectory.

    Of dumps in a cell that changes, see `followed`.

    Args:
        atoms: atoms of a universe opened with ``unwrap=True``.
        remove_drift: subtract the motion of the centre of mass of ``atoms``.

    After `run`, in ``results``: ``lag_ps`` `[n_frames]`; ``species``; ``msd``
    `[n_species, n_frames]` in Angstrom^2; ``positions`` `[n_frames, n_atoms, 3]`.

    Raises:
        InputError: frames are fewer than 2 or not evenly spaced.
    """

    _analysis_algorithm_is_parallelizable = True

    @classmethod
    def get_supported_backends(cls):
        """Backends of `run`."""
        return ("serial", "multiprocessing", "dask")

    def __init__(
        self, atoms: AtomGroup, *, remove_drift: bool = True, verbose: bool = False
    ) -> None:
        super().__init__(atoms.universe.trajectory, verbose=verbose)
        self.atoms = atoms
        self.remove_drift = remove_drift
        self._labels = species_labels(atoms)
        self.species = sorted(set(self._labels))

    def _prepare(self) -> None:
        self.results.positions = []
        self.results.cells = []
        self.results.times_ps = []

    def _single_frame(self) -> None:
        positions, cell, _ = frame_geometry(self.atoms)
        self.results.positions.append(positions.copy())
        self.results.cells.append(np.array(cell))
        self.results.times_ps.append(self._ts.time)

    def _get_aggregator(self) -> ResultsGroup:
        flatten = ResultsGroup.flatten_sequence
        return ResultsGroup(lookup=dict.fromkeys(("positions", "cells", "times_ps"), flatten))

    def _conclude(self) -> None:
        results = self.results
        results.positions, results.cells = np.array(results.positions), np.array(results.cells)
        if self._trajectory.ts.data.get("unwrapped_by_cell"):
            results.positions = followed(results.positions, results.cells)
        if self.remove_drift:
            weights = self.atoms.masses / self.atoms.masses.sum()
            results.positions -= np.einsum("i,tik->tk", weights, results.positions)[:, None]
        interval = even_interval(np.array(results.times_ps), "mean square displacement")
        results.lag_ps = np.arange(len(results.positions)) * interval
        results.species = self.species
        results.msd = self._species_means(mean_square_displacement(results.positions))

    def _species_means(self, msd: np.ndarray) -> np.ndarray:
        return np.stack([msd[:, self._labels == name].mean(axis=1) for name in self.species])

    def diffusion(
        self, *, window_ps: tuple[float, float] | None = None, provenance: str
    ) -> list[Metric]:
        """Diffusion coefficient of each species, with errors from blocks of the trajectory.

        Args:
            window_ps: lags that are fitted; by default from 2 to 10 % of the trajectory, so that
                each of the blocks holds the window twice.
            provenance: for the metrics.
        """
        lag, positions = self.results.lag_ps, self.results.positions
        low, high = window_ps or (0.02 * lag[-1], 0.1 * lag[-1])
        blocks = np.array_split(positions, _BLOCKS)
        definition = (
            f"slope / 6 of the mean square displacement between lags {low:.4g} and {high:.4g} ps, "
            "centre-of-mass motion removed; of the periodic box, without finite-size correction"
            if self.remove_drift
            else f"slope / 6 of the mean square displacement between lags {low:.4g} and "
            f"{high:.4g} ps; of the periodic box, without finite-size correction"
        )
        curves = []
        if (min(len(block) for block in blocks) - 1) * (lag[1] - lag[0]) >= high:
            curves = [self._species_means(mean_square_displacement(block)) for block in blocks]
        metrics = []
        for index, name in enumerate(self.species):
            text = {
                "name": f"diffusion[{name}]",
                "unit": "A^2/ps",
                "definition": definition,
                "provenance": provenance,
            }
            try:
                value = diffusion_coefficient(lag, self.results.msd[index], (low, high))
            except InputError as error:
                metrics.append(not_enough_data(**text, note=error.problem))
                continue
            exponent = diffusive_exponent(lag, self.results.msd[index], (low, high))
            if abs(exponent - 1.0) > _EXPONENT_TOLERANCE:
                note = (
                    f"the displacement grows as t^{exponent:.2f} in the window, not as t: the "
                    "motion is not diffusive yet"
                )
                metrics.append(not_enough_data(**text, note=note))
                continue
            error = None
            if curves:
                of_blocks = [
                    diffusion_coefficient(lag[: curve.shape[1]], curve[index], (low, high))
                    for curve in curves
                ]
                error = float(standard_error(of_blocks))
            metrics.append(
                Metric(
                    value=value,
                    error=error,
                    n_eff=float(_BLOCKS) if error is not None else None,
                    note=None if error is not None else "too short for an error from blocks",
                    **text,
                )
            )
        return metrics
