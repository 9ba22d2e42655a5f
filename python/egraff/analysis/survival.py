# SPDX-License-Identifier: GPL-2.0-or-later
"""How far a run went, and where log and trajectory say that it came apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from egraff.analysis.logs.thermo_log import ThermoLog
from egraff.analysis.runs import Run
from egraff.analysis.stability import Criteria, Violation, check_dump, check_frames, check_log
from egraff.analysis.trajectory.fields import frame_geometry
from egraff.data.lammps.dump_file import DumpFile
from egraff.data.lammps.unit_styles import unit_style
from egraff.units import PS_PER_FS


@dataclass(frozen=True)
class Survival:
    """What one source says.

    Attributes:
        length_ps: time of its last row or frame.
        violations: the first of every criterion that it shows.
        source: name of the file.
    """

    length_ps: float
    violations: list[Violation]
    source: str


def of_log(run: Run, log: ThermoLog, times_ps: np.ndarray, criteria: Criteria) -> Survival:
    """What the thermo output shows."""
    length = float(times_ps[-1]) if len(times_ps) else 0.0
    return Survival(length, check_log(log, times_ps, run.temperature_K, criteria), run.log.name)


def of_frames(run: Run, universe, criteria: Criteria) -> Survival:
    """What the trajectory shows, up to its first bad frame."""
    elements = universe.atoms.elements
    if run.of_other_program:
        times = universe.trajectory.times_ps
        geometry = (frame_geometry(universe.atoms, finite=False) for _ in universe.trajectory)
        violations = check_frames(geometry, elements, times, criteria)
    else:
        dump = universe.trajectory.dump
        times = dump_times_ps(dump, run)
        violations = check_dump(dump, elements, times, criteria)
    return Survival(float(times[-1]), violations, run.dump.name)


def frame_atoms(run: Run, universe, index: int) -> Atoms:
    """Atoms of a frame, of whatever kind: some may be lost, positions may not be finite."""
    elements = universe.atoms.elements
    if run.of_other_program:
        universe.trajectory[index]
        positions, cell, pbc = frame_geometry(universe.atoms, finite=False)
        return Atoms(list(elements), positions=positions, cell=cell, pbc=pbc)
    frame = universe.trajectory.dump.read(index)
    symbols = frame.words.get("element")
    if symbols is None:
        symbols = elements[: frame.header.n_atoms]
    return Atoms(
        list(symbols),
        positions=frame.positions() - frame.header.origin,
        cell=frame.header.cell if any(frame.header.pbc) else None,
        pbc=frame.header.pbc,
        info={"step": frame.header.step},
    )


def dump_times_ps(dump: DumpFile, run: Run) -> np.ndarray:
    """Time of each frame since the run began, ps: as the dump states it, or by its step."""
    conditions = run.conditions
    stated = dump.times * unit_style(conditions.units, where=dump.path).time
    if conditions.timestep_fs is None or np.all(np.isfinite(stated)):
        return stated - conditions.start_ps
    return dump.steps * conditions.timestep_fs * PS_PER_FS - conditions.start_ps
