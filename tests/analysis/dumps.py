# SPDX-License-Identifier: GPL-2.0-or-later
"""Dumps, logs and run directories written by hand, so that tests know what is in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

COLUMNS = ("id", "type", "element", "x", "y", "z")


def box_lines(cell: np.ndarray, origin: np.ndarray, boundary: str = "pp pp pp") -> str:
    """BOX BOUNDS section of an orthogonal or lower-triangular cell."""
    lx, ly, lz = np.diag(cell)
    xy, xz, yz = cell[1, 0], cell[2, 0], cell[2, 1]
    if not np.any([xy, xz, yz]):
        rows = [f"{o!r} {o + length!r}" for o, length in zip(origin, (lx, ly, lz), strict=True)]
        return f"ITEM: BOX BOUNDS {boundary}\n" + "\n".join(rows).replace("np.float64", "") + "\n"
    x0, y0, z0 = origin
    low_x, high_x = x0 + min(0, xy, xz, xy + xz), x0 + lx + max(0, xy, xz, xy + xz)
    low_y, high_y = y0 + min(0, yz), y0 + ly + max(0, yz)
    return (
        f"ITEM: BOX BOUNDS xy xz yz {boundary}\n"
        f"{low_x:.17g} {high_x:.17g} {xy:.17g}\n{low_y:.17g} {high_y:.17g} {xz:.17g}\n"
        f"{z0:.17g} {z0 + lz:.17g} {yz:.17g}\n"
    )


def frame_text(
    step: int,
    positions: np.ndarray,
    cell: np.ndarray,
    *,
    elements: Sequence[str] | None = None,
    origin: Sequence[float] = (0.0, 0.0, 0.0),
    boundary: str = "pp pp pp",
    extra: dict[str, np.ndarray] | None = None,
    prefix: str = "",
    coordinates: str = "x y z",
    box: str | None = None,
    ids: Sequence[int] | None = None,
) -> str:
    """One frame as LAMMPS writes it, one blank after every value."""
    n_atoms = len(positions)
    elements = ["Ar"] * n_atoms if elements is None else elements
    order = sorted(set(elements))
    extra = extra or {}
    box = box if box is not None else box_lines(np.asarray(cell, float), np.asarray(origin, float))
    box = box.replace("(", "").replace(")", "")
    if boundary != "pp pp pp":
        box = box.replace("pp pp pp", boundary)
    lines = [
        f"{prefix}ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{n_atoms}\n{box}"
        f"ITEM: ATOMS id type element {coordinates} {' '.join(extra)}".rstrip()
        + "\n"
    ]
    for i in range(n_atoms):
        values = [f"{x:.17g}" for x in (*positions[i], *(extra[name][i] for name in extra))]
        number = i + 1 if ids is None else ids[i]
        head = [str(number), str(order.index(elements[i]) + 1), elements[i]]
        lines.append(" ".join(head + values) + " \n")
    return "".join(lines)


def write_run(
    directory: Path,
    frames: Sequence[str],
    *,
    log: str | None = None,
    **record: object,
) -> Path:
    """A run directory with the given dump frames and log."""
    directory.mkdir(parents=True, exist_ok=True)
    if frames:
        (directory / "dump.lammpstrj").write_text("".join(frames))
    if log is not None:
        (directory / "log.lammps").write_text(log)
    content = {
        "egraff": "0.1.0",
        "status": "completed",
        "error": None,
        "model": "model.egraff.pt",
        "model_sha256": "0" * 64,
        "elements": ["Ar"],
        "ensemble": "nve",
        "temperature_K": 60.0,
        "timestep_fs": 2.0,
        "steps": 100,
        "dump_every": 10,
        "ranks": 1,
        "seed": 1,
        "n_atoms": 4,
        "pbc": [True, True, True],
        "ns_per_day": 1.5,
        "versions": {"lammps": "2025.7.22"},
    }
    (directory / "run.json").write_text(json.dumps({**content, **record}))
    return directory


def log_text(
    columns: Sequence[str], rows: Sequence[Sequence[float]], *, finished: bool = True
) -> str:
    """A log of one run in thermo style custom."""
    lines = ["LAMMPS (22 Jul 2025)", "Per MPI rank memory allocation (min/avg/max) = 3 | 3 | 3"]
    lines.append("   " + "  ".join(columns))
    lines += ["  ".join(f"{value:.10g}" for value in row) for row in rows]
    if finished:
        lines += ["Loop time of 1.25 on 2 procs for 100 steps with 4 atoms", ""]
    return "\n".join(lines) + "\n"
