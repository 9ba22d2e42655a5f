# SPDX-License-Identifier: GPL-2.0-or-later
"""Reference frames (ASE) as an MDAnalysis universe, and choices that need all frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import MDAnalysis
import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from MDAnalysis.coordinates.base import ReaderBase
from MDAnalysis.lib.mdamath import triclinic_box

from egraff.analysis.trajectory.reader import standard_cell
from egraff.data.lammps.dump_scan import Problem
from egraff.errors import InputError
from egraff.neighbours import completed_box
from egraff.units import PS_PER_FS


@dataclass(frozen=True)
class _Arrays:
    """What `FramesReader` reads: one entry per frame."""

    positions: np.ndarray
    cells: np.ndarray
    pbc: np.ndarray
    times_ps: np.ndarray
    problems: tuple[Problem, ...]


class FramesReader(ReaderBase):
    """Trajectory reader over arrays in memory that keeps float64 and per-frame periodicity.

    MDAnalysis's own `MemoryReader` has neither, and applies transformations once and for all.
    """

    format = "EGRAFFFRAMES"
    units: ClassVar[dict[str, str]] = {"time": "ps", "length": "Angstrom"}

    def __init__(self, filename: _Arrays, **kwargs) -> None:
        super().__init__("frames", **kwargs)
        self._arrays = filename
        #: of the file that the frames are from; see `EgraffDumpReader`
        self.problems = filename.problems
        self.n_atoms = filename.positions.shape[1]
        self.ts = self._Timestep(self.n_atoms, reader=self, **self._ts_kwargs)
        self._read_frame(0)

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self._arrays.positions)

    @property
    def times_ps(self) -> np.ndarray:
        """Time of each frame in ps, `[n_frames]`."""
        return self._arrays.times_ps

    def _get_dt(self) -> float:
        times = self._arrays.times_ps
        return float(times[1] - times[0]) if len(times) > 1 else 1.0

    def _reopen(self) -> None:
        self.ts.frame = -1

    def _read_next_timestep(self):
        if self.ts.frame + 1 >= self.n_frames:
            raise EOFError
        return self._read_frame(self.ts.frame + 1)

    def _read_frame(self, frame: int):
        ts, arrays = self.ts, self._arrays
        ts.frame = frame
        ts.positions = ts.data["positions"] = arrays.positions[frame]
        cell = ts.data["cell"] = arrays.cells[frame]
        ts.dimensions = triclinic_box(*cell) if np.any(cell) else None
        ts.data["pbc"] = tuple(arrays.pbc[frame])
        ts.data["time"] = arrays.times_ps[frame]
        return ts


def frame_times_ps(frames: Sequence[Atoms]) -> np.ndarray | None:
    """Times from ``info["time_ps"]`` or ``info["time_fs"]`` of every frame, or None."""
    for key, scale in (("time_ps", 1.0), ("time_fs", PS_PER_FS)):
        if all(key in frame.info for frame in frames):
            return np.array([float(frame.info[key]) for frame in frames]) * scale
    return None


def frames_universe(
    frames: Sequence[Atoms],
    *,
    dt_ps: float = 1.0,
    where: str = "reference",
    problems: Sequence[Problem] = (),
) -> MDAnalysis.Universe:
    """Frames of one composition as an in-memory universe.

    Cells of any orientation are turned into the lower-triangular one, positions with them.

    Args:
        frames: frames with the same atoms in the same order.
        dt_ps: time between frames in ps, where they do not say it themselves.
        where: name of the frames, for messages.
        problems: of the file that they are from.

    Raises:
        InputError: no frames, or the atoms are not the same in all.
    """
    if not frames:
        raise InputError("expected at least one frame, got none", where=where)
    numbers = frames[0].numbers
    positions, cells = [], []
    for index, frame in enumerate(frames):
        if not np.array_equal(frame.numbers, numbers):
            raise InputError(
                f"expected the atoms of frame 0 ({frames[0].get_chemical_formula()}) in the same "
                f"order, got {frame.get_chemical_formula()}",
                where=where,
                field=f"frame {index}",
                fix="give a reference trajectory of one system",
            )
        cell = np.array(frame.cell)
        if np.any(frame.pbc) and not np.all(frame.pbc):
            cell = completed_box(cell, frame.pbc)  # a slab may come without a third vector
        if abs(np.linalg.det(cell)) > 0.0:
            cell, rotation = standard_cell(cell)
            positions.append(frame.positions @ rotation)
        else:
            cell = np.zeros((3, 3))
            positions.append(frame.positions)
        cells.append(cell)
    pbc = np.array([frame.pbc for frame in frames])
    universe = MDAnalysis.Universe.empty(len(numbers), trajectory=False)
    symbols = np.array(frames[0].get_chemical_symbols(), dtype=object)
    universe.add_TopologyAttr("elements", symbols)
    universe.add_TopologyAttr("types", symbols)
    universe.add_TopologyAttr("masses", frames[0].get_masses())
    times = frame_times_ps(frames)
    if times is None:
        times = np.arange(len(frames)) * dt_ps
    arrays = _Arrays(np.array(positions), np.array(cells), pbc, times, tuple(problems))
    universe.load_new(arrays, format=FramesReader)
    return universe


def half_shortest_lattice_vector(
    cell: np.ndarray, pbc: Sequence[bool] = (True, True, True)
) -> float:
    """Half the length of the shortest lattice vector of a cell, Angstrom.

    The minimum image is unique within it. Taken after Minkowski reduction: in a tilted cell it is
    not half the shortest edge. Directions that are not periodic do not count.
    """
    reduced, _ = minkowski_reduce(cell, pbc)
    return 0.5 * float(np.linalg.norm(reduced, axis=1)[np.asarray(pbc, dtype=bool)].min())


def default_r_max(frames: Sequence[Atoms], bin_width: float) -> float:
    """Range over which structures are compared, Angstrom, a whole number of bins.

    Frames periodic in any direction: half the shortest lattice vector of the first frame, between
    5 and 10. There and beyond, curves of a small cell are right but are those of a crystal of such
    cells.
    Molecules: 1.25 times the largest distance in the frames, plus 1, so that what a simulation
    does to them stays in sight.
    """
    if any(frames[0].pbc):
        half = half_shortest_lattice_vector(np.array(frames[0].cell), frames[0].pbc)
        radius = min(10.0, max(5.0, half))
    else:
        largest = max(float(np.max(frame.get_all_distances())) for frame in frames)
        radius = 1.25 * largest + 1.0
    return bin_width * max(1, int(np.floor(radius / bin_width + 1e-9)))
