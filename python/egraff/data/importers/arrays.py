# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames from arrays over all frames, which is how npz and deepmd files hold them."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import numpy as np

from egraff.data.frames import Frame, check_lengths
from egraff.errors import InputError


def frames_of_arrays(
    source: Path,
    *,
    numbers: np.ndarray,
    positions: np.ndarray,
    cell: np.ndarray | None = None,
    pbc: np.ndarray | None = None,
    energy: np.ndarray | None = None,
    forces: np.ndarray | None = None,
    stress: np.ndarray | None = None,
    rows: np.ndarray | None = None,
) -> list[Frame]:
    """Make frames of rows.

    Args:
        source: the file, for messages.
        numbers: [n_atoms] or [n_frames, n_atoms] atomic numbers.
        positions: [n_frames, n_atoms, 3].
        cell: [3, 3] or [n_frames, 3, 3].
        pbc: [3] or [n_frames, 3].
        energy: [n_frames] or [n_frames, 1].
        forces: [n_frames, n_atoms, 3].
        stress: [n_frames, 3, 3].
        rows: numbers of the frames wanted; None for all.

    Raises:
        InputError: an array has another shape, or numbers that are none.
    """
    if positions.ndim != 3 or positions.shape[2] != 3:
        _refuse(source, "positions", "(n_frames, n_atoms, 3)", positions.shape)
    n_frames, n_atoms, _ = positions.shape
    if energy is not None and energy.shape == (n_frames, 1):
        energy = energy[:, 0]
    everyone = {
        "numbers": (numbers, (n_atoms,)),
        "cell": (np.zeros((3, 3)) if cell is None else cell, (3, 3)),
        "pbc": (np.zeros(3, dtype=bool) if pbc is None else pbc, (3,)),
    }
    each = {}
    for name, (values, shape) in everyone.items():
        if values.shape == shape:
            values = np.broadcast_to(values, (n_frames, *shape))
        elif values.shape != (n_frames, *shape):
            _refuse(source, name, f"{shape} or {(n_frames, *shape)}", values.shape)
        each[name] = values
    for name, values, shape in (
        ("energy", energy, (n_frames,)),
        ("forces", forces, (n_frames, n_atoms, 3)),
        ("stress", stress, (n_frames, 3, 3)),
    ):
        if values is not None and values.shape != shape:
            _refuse(source, name, str(shape), values.shape)
    whole = np.rint(numbers) if np.issubdtype(numbers.dtype, np.number) else None
    if whole is None or not np.array_equal(whole, numbers):
        raise InputError(
            f"expected atomic numbers, got {numbers.ravel()[:3].tolist()}...",
            where=source,
            field="numbers",
            fix="check that the file is of this layout",
        )
    frames = [
        Frame(
            numbers=each["numbers"][i].astype(np.int64),
            positions=positions[i].astype(np.float64),
            cell=each["cell"][i].astype(np.float64),
            pbc=each["pbc"][i].astype(bool),
            energy=None if energy is None else float(energy[i]),
            forces=None if forces is None else forces[i].astype(np.float64),
            stress=None if stress is None else stress[i].astype(np.float64),
            stress_from="" if stress is None else "stress",
            source=(str(source), i),
        )
        for i in (range(n_frames) if rows is None else rows.tolist())
    ]
    for frame in frames:
        check_lengths(frame)
    return frames


def _refuse(source: Path, name: str, expected: str, got: tuple[int, ...]) -> NoReturn:
    raise InputError(
        f"expected shape {expected}, got {got}",
        where=source,
        field=name,
        fix="check that the file is whole, and of this layout",
    )
