# SPDX-License-Identifier: GPL-2.0-or-later
"""Trajectories of atoms on springs, whose energies and forces fit together exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from egraff.data.importers.units import ENERGIES

WATER = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
_SPRING = 30.0  # eV/A^2
_ENERGY = -2080.0  # eV, about that of water with all electrons


def molecule(n_frames: int = 30, seed: int = 0) -> dict[str, np.ndarray]:
    """Return arrays of a slow trajectory of water, in eV and Angstrom."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 2 * np.pi, (3, 3))
    time = np.arange(n_frames)[:, None, None]
    away = 0.05 * np.sin(0.3 * time + phase)
    return {
        "atomic_numbers": np.array([8, 1, 1]),
        "pos": WATER + away,
        "energy": _ENERGY + 0.5 * _SPRING * (away**2).sum((1, 2)),
        "forces": -_SPRING * away,
    }


def crystal(n_frames: int = 30, seed: int = 0) -> dict[str, np.ndarray]:
    """Return arrays of a slow trajectory of eight argon-like atoms in a cubic cell."""
    rng = np.random.default_rng(seed)
    corners = np.stack(np.meshgrid(*[[0.0, 3.0]] * 3), -1).reshape(-1, 3)
    phase = rng.uniform(0, 2 * np.pi, (8, 3))
    away = 0.05 * np.sin(0.3 * np.arange(n_frames)[:, None, None] + phase)
    return {
        "atomic_numbers": np.array([3] * 4 + [16] * 4),
        "pos": corners + 0.1 + away,
        "energy": -100.0 + 0.5 * _SPRING * (away**2).sum((1, 2)),
        "forces": -_SPRING * away,
        "cell": 6.0 * np.eye(3),
        "pbc": np.array([True] * 3),
    }


def save_npz(
    path: Path, arrays: dict[str, np.ndarray], *, energy: str = "eV", force: str | None = None
) -> Path:
    """Write arrays as npz, energies and forces (per Angstrom) in other units."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        **{
            **arrays,
            "energy": arrays["energy"] / ENERGIES[energy],
            "forces": arrays["forces"] / ENERGIES[force or energy],
        },
    )
    return path
