# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames for the rotatable view: the last of each run, and the first bad one."""

from __future__ import annotations

from itertools import product
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from egraff.analysis.sections.stability import BAD_FRAME, FINAL_FRAME
from egraff.report.collect import Study
from egraff.report.sticks import sticks

#: More atoms than this are slow to draw and make the page heavy.
MOST_ATOMS = 5000
MOST_FRAMES = 24


def cell_edges(cell: np.ndarray) -> list[list[list[float]]]:
    """The twelve edges of a cell as pairs of points, Angstrom."""
    corners = {bits: np.array(bits) @ cell for bits in product((0, 1), repeat=3)}
    return [
        [corners[a].round(4).tolist(), corners[b].round(4).tolist()]
        for a in corners
        for b in corners
        if sum(b) - sum(a) == 1 and sum(x != y for x, y in zip(a, b, strict=True)) == 1
    ]


def _xyz(atoms: Atoms) -> str:
    lines = [
        f"{symbol} {x:.4f} {y:.4f} {z:.4f}"
        for symbol, (x, y, z) in zip(atoms.get_chemical_symbols(), atoms.positions, strict=True)
    ]
    return "\n".join([str(len(atoms)), "", *lines])


def frames_of(study: Study) -> tuple[list[dict[str, Any]], list[str]]:
    """The frames that the viewer shows, and what was left out.

    Returns:
        Frames as JSON-able dictionaries (``label``, ``xyz``, ``edges``, ``sticks``), those that are
        bad first, and sentences about frames that are too large or too many.
    """
    found: list[tuple[bool, dict[str, Any]]] = []
    left_out = []
    for one in study.simulations:
        for name, what in ((BAD_FRAME, "first bad frame"), (FINAL_FRAME, "final frame")):
            path = one.run.directory / "analysis" / name
            if not path.is_file():
                continue
            atoms = ase.io.read(path)
            label = f"{one.name}: {what}"
            if len(atoms) > MOST_ATOMS:
                left_out.append(f"{label} has {len(atoms)} atoms, more than {MOST_ATOMS}.")
                continue
            # a position that is not a number cannot be drawn: that atom is left out
            atoms = atoms[np.all(np.isfinite(atoms.positions), axis=1)]
            edges = cell_edges(np.array(atoms.cell)) if any(atoms.pbc) else []
            frame = {"label": label, "xyz": _xyz(atoms), "edges": edges, "sticks": sticks(atoms)}
            found.append((name == BAD_FRAME, frame))
    found.sort(key=lambda entry: not entry[0])
    if len(found) > MOST_FRAMES:
        left_out.append(f"Not shown: {len(found) - MOST_FRAMES} more, of {len(found)} frames.")
    return [frame for _, frame in found[:MOST_FRAMES]], left_out
