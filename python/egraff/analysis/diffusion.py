# SPDX-License-Identifier: GPL-2.0-or-later
"""Mean square displacement and diffusion coefficients."""

from __future__ import annotations

import numpy as np
from MDAnalysis.analysis.results import ResultsGroup
from MDAnalysis.core.groups import AtomGroup
from scipy.fft import next_fast_len

from egraff.analysis.metric import Metric, not_enough_data
from egraff.analysis.parallel import ParallelAnalysis
from egraff.analysis.trajectory.fields import even_interval, frame_geometry, species_labels
from egraff.errors import InputError
from egraff.statistics import standard_error
from egraff.units import BOLTZMANN_EV_PER_K

_ATOMS_AT_ONCE = 256
_BLOCKS = 5
_EXPONENT_TOLERANCE = 0.25
#: Earlier than this atoms still remember their velocities, or rattle in their cages.
_FIRST_LAG_PS = 1.0
#: An atom that has not moved so far, A^2, has left no place: vibrations alone reach 0.1 to 0.5.
_SMALLEST_MSD = 1.0
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


class MeanSquareDisplacement(ParallelAnalysis):
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
        self,
        *,
        window_ps: tuple[float, float] | None = None,
        viscosity_mPa_s: float | None = None,
        temperature_K: float | None = None,
        provenance: str,
    ) -> list[Metric]:
        """Diffusion coefficient of each species, with errors from blocks of the trajectory.

        A species that does not diffuse within the trajectory gets no coefficient but an upper bound
        in the note: its displacement must reach 1 A^2 in the window, grow as its first power, and
        do so equally in both halves of the window.

        Args:
            window_ps: lags that are fitted; by default from 2 to 10 % of the trajectory, so that
                each of the blocks holds the window twice, but not below 1 ps.
            viscosity_mPa_s: of the liquid, for the correction to an infinite cell
                (`finite_size_correction`); needs ``temperature_K`` and a cell.
            temperature_K: K.
            provenance: for the metrics.
        """
        lag = self.results.lag_ps
        low, high = window_ps or (max(0.02 * lag[-1], _FIRST_LAG_PS), 0.1 * lag[-1])
        correction = 0.0
        size = "of the periodic box, without finite-size correction"
        if viscosity_mPa_s is not None and temperature_K is not None:
            length = float(np.mean(np.abs(np.linalg.det(self.results.cells))) ** (1.0 / 3.0))
            correction = finite_size_correction(temperature_K, viscosity_mPa_s, length)
            size = f"{correction:.4g} of it the correction of Yeh and Hummer to an infinite cell"
        drift = "centre-of-mass motion removed; " if self.remove_drift else ""
        text = {
            "unit": "A^2/ps",
            "definition": f"slope / 6 of the mean square displacement between lags {low:.4g} and "
            f"{high:.4g} ps, {drift}{size}",
            "provenance": provenance,
        }
        if low >= high:
            note = (
                f"not diffusive within the run: of {lag[-1]:.4g} ps lags up to {high:.4g} ps can "
                f"be told, and below {low:.4g} ps atoms do not diffuse yet; run at least "
                f"{20.0 * _FIRST_LAG_PS:.4g} ps"
            )
            return [
                not_enough_data(name=f"diffusion[{name}]", note=note, **text)
                for name in self.species
            ]
        blocks = self._block_curves(high)
        metrics = []
        for index, name in enumerate(self.species):
            text["name"] = f"diffusion[{name}]"
            msd = self.results.msd[index]
            try:
                value = diffusion_coefficient(lag, msd, (low, high))
                note = not_diffusive(lag, msd, [curve[index] for curve in blocks], (low, high))
            except InputError as error:
                note = error.problem
            if note is not None:
                metrics.append(not_enough_data(note=note, **text))
                continue
            error = None
            if blocks:
                error = float(standard_error(_slopes(lag, blocks, index, (low, high))))
            metrics.append(
                Metric(
                    value=value + correction,
                    error=error,
                    n_eff=float(_BLOCKS) if error is not None else None,
                    note=None if error is not None else "too short for an error from blocks",
                    **text,
                )
            )
        return metrics

    def _block_curves(self, longest_ps: float) -> list[np.ndarray]:
        """Return displacements within each block, none if a block does not hold the window."""
        lag = self.results.lag_ps
        blocks = np.array_split(self.results.positions, _BLOCKS)
        if (min(len(block) for block in blocks) - 1) * (lag[1] - lag[0]) < longest_ps:
            return []
        return [self._species_means(mean_square_displacement(block)) for block in blocks]


def _slopes(
    lag_ps: np.ndarray, curves: list[np.ndarray], index: int, window_ps: tuple[float, float]
) -> list[float]:
    return [
        diffusion_coefficient(lag_ps[: curve.shape[1]], curve[index], window_ps) for curve in curves
    ]


def not_diffusive(
    lag_ps: np.ndarray,
    msd: np.ndarray,
    blocks: list[np.ndarray],
    window_ps: tuple[float, float],
) -> str | None:
    """Why a displacement is not that of diffusion, with an upper bound for D; or None.

    Args:
        lag_ps: `[n_lags]`, ps.
        msd: `[n_lags]`, Angstrom^2.
        blocks: the same within blocks of the trajectory, `[n_lags of the block]`; may be empty.
        window_ps: lags that are fitted.
    """
    low, high = window_ps
    last = int(np.searchsorted(lag_ps, high + 1e-9)) - 1
    reached = float(msd[last])
    bound = f"D is below {reached / (6.0 * lag_ps[last]):.2g} A^2/ps"
    if reached < _SMALLEST_MSD:
        return (
            f"not diffusive within the run: atoms have moved by {reached:.2g} A^2 in {high:.4g} "
            f"ps, at least {_SMALLEST_MSD:g} is needed; {bound}"
        )
    exponent = diffusive_exponent(lag_ps, msd, window_ps)
    if abs(exponent - 1.0) > _EXPONENT_TOLERANCE:
        return (
            f"not diffusive within the run: the displacement grows as t^{exponent:.2f} in the "
            f"window, not as t; {bound}"
        )
    middle = 0.5 * (low + high)
    halves = ((low, middle), (middle, high))
    if blocks and all(np.sum((lag_ps >= a) & (lag_ps <= b)) >= 2 for a, b in halves):
        changes = [
            diffusion_coefficient(lag_ps[: len(curve)], curve, halves[1])
            - diffusion_coefficient(lag_ps[: len(curve)], curve, halves[0])
            for curve in blocks
        ]
        change, error = float(np.mean(changes)), float(standard_error(changes))
        # 2.8 standard errors from five blocks: one diffusive species in twenty
        if abs(change) > 2.8 * error and abs(change) > _EXPONENT_TOLERANCE * reached / (6.0 * high):
            return (
                "not diffusive within the run: the slope of the displacement changes by "
                f"{change:.2g} A^2/ps between the halves of the window; {bound}"
            )
    return None
