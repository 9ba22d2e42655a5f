# SPDX-License-Identifier: GPL-2.0-or-later
"""Trajectories other than LAMMPS text dumps: extended XYZ, DCD and XTC, as runs to analyse.

DCD and XTC hold no elements, so these come from a structure file; neither DCD nor many extended XYZ
files hold times that can be trusted, so the time between frames is then asked for, never assumed.
All frames are held in memory in double precision: 60 bytes per atom and frame, and twice that for
a moment where atoms are followed through boundaries.

A last frame of DCD or XTC that was cut short is left out and reported (`trajectory_end`).
"""

from __future__ import annotations

import os
import warnings
from functools import lru_cache
from pathlib import Path

import MDAnalysis
import numpy as np
from ase import Atoms
from MDAnalysis.lib.mdamath import triclinic_vectors

from egraff.analysis.runs import RECORD, Run, read_run
from egraff.analysis.trajectory.end import end_problems
from egraff.analysis.trajectory.frames import frame_times_ps, frames_universe
from egraff.data.frames import read_frames, read_images
from egraff.errors import InputError
from egraff.files import make_folder, write_json
from egraff.units import PS_PER_FS

_XYZ = (".extxyz", ".xyz")
SUFFIXES = (*_XYZ, ".dcd", ".xtc")

#: A step of more than this fraction of the cell between frames may as well be one the other way.
_LONGEST_STEP = 0.4


def run_of_trajectory(
    path: str | os.PathLike[str],
    *,
    structure: str | os.PathLike[str] | None = None,
    interval_ps: float | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Run:
    """Make a trajectory a run: a directory of its name beside it, with a ``run.json``.

    The record says what is known: elements, periodicity and time between frames. Ensemble and
    thermodynamic output are not.

    Args:
        path: extended XYZ, DCD or XTC.
        structure: for DCD and XTC, the same atoms in the same order, in any file that
            `egraff.data.structures` reads.
        interval_ps: time between frames, where the file does not say it (DCD never does).
        out: another directory than that of its name.

    Raises:
        InputError: no such file, another format, or elements, times or the cell are missing.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"expected a LAMMPS text dump or a trajectory in {', '.join(SUFFIXES)}, got "
            f"{path.suffix or 'no suffix'}",
            where=path,
            fix="convert the trajectory",
        )
    frames = _load(path, structure, interval_ps)
    times = frame_times_ps(frames)
    interval = float(times[1] - times[0]) if len(times) > 1 else interval_ps or 1.0
    directory = path.with_suffix("") if out is None else Path(out)
    if (directory / RECORD).is_file() and not read_run(directory).of_other_program:
        raise InputError(
            "expected a free name for the results, got the directory of another run",
            where=directory,
            fix=f"give another directory with --out, or rename {path.name}",
        )
    make_folder(directory)
    record = {
        "status": "completed",
        "ensemble": "unknown",
        # a trajectory tells of its frames only: each counts as a step
        "timestep_fs": interval / PS_PER_FS,
        "steps": len(frames) - 1,
        "n_atoms": len(frames[0]),
        "elements": sorted(set(frames[0].get_chemical_symbols())),
        "pbc": [bool(periodic) for periodic in frames[0].pbc],
        "trajectory": os.path.relpath(path, directory),
        "structure": None if structure is None else os.path.relpath(structure, directory),
        "interval_ps": interval_ps,
    }
    write_json(directory / RECORD, record)
    return Run(directory, record)


def trajectory_universe(run: Run, *, unwrap: bool = False) -> MDAnalysis.Universe:
    """Universe of a run made by `run_of_trajectory`.

    Args:
        run: the run.
        unwrap: follow atoms through the periodic boundaries; see `unwrapped`.

    Raises:
        InputError: as `run_of_trajectory` and `unwrapped`.
    """
    frames = _load(run.dump, run.structure, run.interval_ps)
    if unwrap:
        frames = unwrapped(frames, where=str(run.dump))
    binary = run.dump.suffix.lower() not in _XYZ
    problems = end_problems(run.dump, len(frames)) if binary else []
    return frames_universe(frames, where=str(run.dump), problems=problems)


def unwrapped(frames: list[Atoms], *, where: str) -> list[Atoms]:
    """Frames whose atoms do not jump when they cross a periodic boundary.

    Every step from frame to frame is taken by its nearest image and these steps are added up, which
    keeps diffusion right also where the cell fluctuates (von Buelow, Bullerjahn and Hummer,
    J. Chem. Phys. 153, 021101, 2020, eq. 5).

    Raises:
        InputError: an atom moves so far between frames that its nearest image is a guess.
    """
    position = frames[0].positions.copy()
    followed = [frames[0]]
    for index in range(1, len(frames)):
        cell = np.array(frames[index].cell)
        step = frames[index].positions - frames[index - 1].positions
        if np.any(frames[index].pbc):
            fraction = np.linalg.solve(cell.T, step.T).T
            fraction -= np.where(frames[index].pbc, np.round(fraction), 0.0)
            longest = float(np.abs(fraction[:, frames[index].pbc]).max())
            if longest > _LONGEST_STEP:
                raise InputError(
                    f"expected atoms to move less than {_LONGEST_STEP:g} of the cell between "
                    f"frames, got {longest:.2f}",
                    where=where,
                    field=f"frame {index}",
                    fix="write frames more often, or a LAMMPS dump with image flags ix iy iz",
                )
            step = fraction @ cell
        position = position + step
        frame = frames[index].copy()
        frame.positions = position
        followed.append(frame)
    return followed


def _load(
    path: Path, structure: str | os.PathLike[str] | None, interval_ps: float | None
) -> list[Atoms]:
    if not path.is_file():
        raise InputError("no such file", where=path)
    if interval_ps is not None and not interval_ps > 0.0:
        raise InputError(f"expected a time above 0 ps, got {interval_ps}", where="interval")
    structure = None if structure is None else Path(structure)
    changed = [file.stat().st_mtime_ns for file in (path, structure) if file and file.is_file()]
    return _load_once(path, structure, interval_ps, tuple(changed))


@lru_cache(maxsize=1)  # the parts of an analysis each open the trajectory anew
def _load_once(
    path: Path, structure: Path | None, interval_ps: float | None, _changed: tuple[int, ...]
) -> list[Atoms]:
    if path.suffix.lower() in _XYZ:
        frames, times = _read_xyz(path)
    else:
        frames, times = _read_binary(path, structure)
    if interval_ps is not None:
        times = np.arange(len(frames)) * interval_ps
    if times is None:
        raise InputError(
            "expected the time between frames, got none: the file does not say it reliably",
            where=path,
            fix="give --interval with the time between frames in ps",
        )
    backwards = np.flatnonzero(np.diff(times) <= 0.0)
    if backwards.size:
        bad = int(backwards[0])
        raise InputError(
            f"expected times that grow from frame to frame, got {times[bad]:g} and then "
            f"{times[bad + 1]:g} ps",
            where=path,
            field=f"frame {bad + 1}",
            fix="leave out what a restart wrote again, or give --interval",
        )
    # how long a run was stable is counted from its first frame
    times = times - times[0]
    for index, (frame, time) in enumerate(zip(frames, times, strict=True)):
        frame.info["time_ps"] = float(time)
        if np.any(frame.pbc) and abs(np.linalg.det(np.array(frame.cell))) == 0.0:
            raise InputError(
                "expected a cell, as the atoms are periodic, got none",
                where=path,
                field=f"frame {index}",
                fix="write the cell with the trajectory, or give a structure that is not periodic",
            )
    return frames


def _read_xyz(path: Path) -> tuple[list[Atoms], np.ndarray | None]:
    # not as labelled frames: that a simulation broke is for the analysis to find, not to refuse
    frames = list(read_images(path))
    for atoms in frames:
        atoms.set_constraint()  # which would change what its forces are
    return frames, frame_times_ps(frames)


def _read_binary(path: Path, structure: Path | None) -> tuple[list[Atoms], np.ndarray | None]:
    """Frames and, of XTC, times in ps: the time unit of a DCD depends on what wrote it."""
    if structure is None:
        raise InputError(
            f"expected a structure file that names the elements, got none: {path.suffix} has none",
            where=path,
            fix="give --structure with the same atoms in the same order",
        )
    first = read_frames(structure, index=0)[0].to_atoms()
    frames, times = [], []
    try:
        universe = MDAnalysis.Universe.empty(len(first), trajectory=False)
        with warnings.catch_warnings():
            # that later versions will use one timestep for all frames: each is copied here
            warnings.filterwarnings("ignore", ".*independent timesteps", DeprecationWarning)
            universe.load_new(str(path))
        for ts in universe.trajectory:
            box = ts.dimensions
            cell = np.zeros((3, 3)) if box is None else triclinic_vectors(box, dtype=np.float64)
            positions = ts.positions.astype(np.float64)
            frames.append(Atoms(first.symbols, positions=positions, cell=cell, pbc=first.pbc))
            times.append(ts.time)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(
            f"cannot be read: {error}",
            where=path,
            fix=f"check that it is whole and has the {len(first)} atoms of {structure}",
        ) from None
    return frames, np.array(times) if path.suffix.lower() == ".xtc" else None
