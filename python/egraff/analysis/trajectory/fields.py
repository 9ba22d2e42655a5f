# SPDX-License-Identifier: GPL-2.0-or-later
"""What the current frame of a universe holds, in double precision where its reader has it."""

from __future__ import annotations

import numpy as np
from MDAnalysis.core.groups import AtomGroup
from MDAnalysis.lib.mdamath import triclinic_vectors

from egraff.errors import InputError


def frame_geometry(
    atoms: AtomGroup, *, finite: bool = True
) -> tuple[np.ndarray, np.ndarray, tuple[bool, bool, bool]]:
    """Positions, cell and periodicity of the current frame.

    Args:
        atoms: the atoms.
        finite: refuse positions that are not finite.

    Returns:
        positions `[n_atoms, 3]` and cell `[3, 3]` in Angstrom (zeros without one), pbc.

    Raises:
        InputError: a position is NaN or infinite.
    """
    ts = atoms.universe.trajectory.ts
    positions = ts.data.get("positions")
    positions = atoms.positions.astype(np.float64) if positions is None else positions[atoms.ix]
    cell = ts.data.get("cell")
    if cell is None:
        box = ts.dimensions
        cell = np.zeros((3, 3)) if box is None else triclinic_vectors(box).astype(np.float64)
    pbc = ts.data.get("pbc", (bool(np.any(cell)),) * 3)
    if finite:
        _check_finite(positions, "positions", atoms)
    return positions, cell, tuple(pbc)


def frame_velocities(atoms: AtomGroup) -> np.ndarray:
    """Velocities of the current frame, `[n_atoms, 3]`, Angstrom/ps.

    Raises:
        InputError: the trajectory has no velocities, or one is not finite.
    """
    return _frame_vectors(atoms, "velocities", "vx vy vz")


def frame_forces(atoms: AtomGroup) -> np.ndarray:
    """Forces of the current frame, `[n_atoms, 3]`, eV/Angstrom.

    Raises:
        InputError: the trajectory has no forces, or one is not finite.
    """
    return _frame_vectors(atoms, "forces", "fx fy fz")


def _frame_vectors(atoms: AtomGroup, name: str, columns: str) -> np.ndarray:
    ts = atoms.universe.trajectory.ts
    if not getattr(ts, f"has_{name}"):
        raise InputError(
            f"expected {name} in the trajectory, got none",
            where=atoms.universe.trajectory.filename,
            fix=f"dump {columns}",
        )
    stored = ts.data.get(name)
    found = getattr(atoms, name).astype(np.float64) if stored is None else stored[atoms.ix]
    return _check_finite(found, name, atoms)


def _check_finite(values: np.ndarray, what: str, atoms: AtomGroup) -> np.ndarray:
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        bad = int(np.argmin(finite))
        trajectory = atoms.universe.trajectory
        raise InputError(
            f"expected finite {what}, got {', '.join(f'{x:g}' for x in values[bad])} of atom "
            f"{bad + 1}",
            where=trajectory.filename,
            field=f"frame {trajectory.ts.frame}",
            fix="analyse the part of the trajectory before the simulation broke",
        )
    return values


def species_labels(atoms: AtomGroup) -> np.ndarray:
    """Element of each atom, or its type where elements are not known, `[n_atoms]`."""
    return atoms.elements if hasattr(atoms, "elements") else atoms.types


def even_interval(times_ps: np.ndarray, what: str) -> float:
    """The time between frames, ps.

    Raises:
        InputError: fewer than 2 frames, or frames that are not evenly spaced.
    """
    times_ps = np.asarray(times_ps, dtype=np.float64)
    if len(times_ps) < 2:
        raise InputError(f"expected at least 2 frames, got {len(times_ps)}", where=what)
    steps = np.diff(times_ps)
    if not np.allclose(steps, steps[0], rtol=1e-4) or steps[0] <= 0.0:
        raise InputError(
            f"expected frames at even times, got intervals from {steps.min():g} to "
            f"{steps.max():g} ps",
            where=what,
            fix="select a part of the trajectory that was dumped at one interval",
        )
    return float(steps.mean())
