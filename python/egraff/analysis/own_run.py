# SPDX-License-Identifier: GPL-2.0-or-later
"""A dump and a log of LAMMPS that ``egraff run`` did not write, as a run to analyse.

The log tells units, time step, ensemble, model and elements. It may hold several runs: the last
frame of the dump belongs to one of them, and with it those before that went on under the same
conditions; other stages (a minimisation, another ensemble) are left out and named.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from egraff.analysis.logs.commands import Stage, read_stages
from egraff.analysis.logs.part import Part, part_of
from egraff.analysis.logs.thermo_log import ThermoLog, read_log
from egraff.analysis.own_run_times import times_of
from egraff.analysis.runs import RECORD, Run, read_run
from egraff.data.lammps.dump_file import DumpFile
from egraff.data.lammps.elements import GIVE_ELEMENTS, elements_of_frame
from egraff.data.lammps.unit_styles import UnitStyle, unit_style
from egraff.errors import InputError
from egraff.files import make_folder, write_json
from egraff.lammps.inputs import LOG_FILE


def run_of_dump(
    path: str | os.PathLike[str],
    *,
    log: str | os.PathLike[str] | None = None,
    elements: Sequence[str] | None = None,
    interval_ps: float | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Run:
    """Make a dump and its log a run: a directory with a ``run.json`` that says what is known.

    Args:
        path: LAMMPS text dump.
        log: its log; None for ``log.lammps`` beside it, if there is one.
        elements: symbol of types 1, 2, ..., where neither dump nor log tells.
        interval_ps: time between frames, for a dump without log and TIME.
        out: the directory; None for one beside the dump, named after it.

    Raises:
        InputError: elements, units or times are not known or contradict each other; the log is
            that of another run; the dump holds a part of the atoms.
    """
    path = Path(path)
    dump = DumpFile(path, save_index=True)
    beside = path.parent / LOG_FILE
    log = Path(log) if log is not None else beside if beside.is_file() else None
    if log is None:
        part, stage, thermo = None, Stage(), None
    else:
        thermo = read_log(log)
        part = part_of(dump, thermo, read_stages(log), log)
        stage = part.stage
        dump = DumpFile(path, first_step=part.first_step)
    units = _units(dump, stage, log)
    symbols, types = _elements(dump, stage, elements, log)
    _check_atoms(dump, thermo, part, log)
    times = times_of(dump, thermo, part, units, log, interval_ps)
    problems = [part.left_out] if part and part.left_out else []
    if dump.units is None and stage.units is None:
        problems.append("velocities and forces taken for those of units metal: nothing states them")
    if len(stage.models) > 1:
        problems.append(
            f"a committee of {len(stage.models)} models, whose mean drives: replay and checks of "
            "the model left out"
        )
    directory = _directory(path, out)
    record = {
        "status": _status(thermo),
        "error": thermo.errors[0] if thermo and thermo.errors else None,
        "ensemble": stage.ensemble if part else "unknown",
        "temperature_K": part.target_K if part else None,
        "units": units.name,
        "steps": int(dump.steps[-1]) - (part.first_step if part else int(dump.steps[0])),
        "n_atoms": dump.first.n_atoms,
        "elements": sorted(set(symbols.tolist())),
        "type_elements": types,
        "pbc": list(dump.first.pbc),
        "dump": os.path.relpath(path, directory),
        "log": None if log is None else os.path.relpath(log, directory),
        "interval_ps": interval_ps,
        "problems": problems,
        "added_forces": stage.added_forces if part else None,
        **times,
        **_model(stage, log, directory),
    }
    if part:
        record |= {"first_run": part.first, "last_run": part.last, "first_step": part.first_step}
    make_folder(directory)
    write_json(directory / RECORD, record)
    return Run(directory, record)


def made_again(run: Run) -> Run:
    """Look at dump and log of a run of `run_of_dump` once more: they may have grown."""
    return run_of_dump(
        run.dump,
        log=run.log if run.record["log"] else None,
        elements=run.record["type_elements"],
        interval_ps=run.record["interval_ps"],
        out=run.directory,
    )


def _directory(path: Path, out: str | os.PathLike[str] | None) -> Path:
    """Where results go; never where another run's are."""
    directory = Path(out) if out is not None else path.with_name(path.name.split(".")[0] or "dump")
    if out is None and directory.is_file():
        directory = path.with_name(path.name + ".analysis")
    if (directory / RECORD).is_file() and not read_run(directory).of_own_input:
        raise InputError(
            "expected a free name for the results, got the directory of another run",
            where=directory,
            fix="give another directory with --out",
        )
    return directory


def _units(dump: DumpFile, stage: Stage, log: Path | None) -> UnitStyle:
    """Units that dump or log state; both, if they agree."""
    if dump.units and stage.units and dump.units != stage.units:
        raise InputError(
            f"expected the units of {log}, {stage.units}, got {dump.units}",
            where=dump.path,
            field="UNITS",
            fix="give the log of the same simulation with --log",
        )
    stated = dump.units or stage.units
    if stated is None and log is not None:
        raise InputError(
            "expected a units command, got none: the log starts from a restart file, or does not "
            "echo its input",
            where=log,
            fix="let the dump state its units (dump_modify ID units yes)",
        )
    return unit_style(stated or "metal", where=log or dump.path)


def _elements(
    dump: DumpFile, stage: Stage, given: Sequence[str] | None, log: Path | None
) -> tuple[np.ndarray, list[str] | None]:
    """Symbol of every atom, and of every type where somebody named them."""
    of_log = stage.elements if stage.elements and "NULL" not in stage.elements else None
    if given and of_log and list(given) != list(of_log):
        raise InputError(
            f"expected the elements of pair_coeff, {' '.join(of_log)}, got {' '.join(given)}",
            where=log,
            field="--elements",
            fix="drop the option, or give the log of the same simulation",
        )
    types = list(given or of_log or ()) or None
    symbols = elements_of_frame(dump.read(0), types)
    if symbols is None:
        raise InputError(
            f"expected a column element, got {' '.join(dump.first.columns)}",
            where=dump.path,
            fix=GIVE_ELEMENTS,
        )
    return symbols, types


def _check_atoms(
    dump: DumpFile, log: ThermoLog | None, part: Part | None, where: Path | None
) -> None:
    """Refuse a dump of some of the atoms: energies and volumes are those of all."""
    n_atoms = log.runs[part.last].n_atoms if log and part else None
    if n_atoms is not None and dump.first.n_atoms < n_atoms:
        raise InputError(
            f"expected all {n_atoms} atoms of {where}, got {dump.first.n_atoms}",
            where=dump.path,
            fix="dump the group all",
        )


def _status(log: ThermoLog | None) -> str:
    if log is None:
        return "completed"
    return "failed" if log.errors else "completed" if log.finished else "interrupted"


def _model(stage: Stage, log: Path | None, directory: Path) -> dict[str, Any]:
    """The model that drove the run, if it was one and its file is still there."""
    if log is None or not stage.models:
        return {}
    files = [Path(name) if os.path.isabs(name) else log.parent / name for name in stage.models]
    if len(files) > 1:  # their mean drove, which none of them can be asked for
        written = log.parent / stage.deviations
        return {
            "model": None,
            "committee": list(stage.models),
            "deviations": os.path.relpath(written, directory) if written.is_file() else None,
        }
    return {"model": os.path.relpath(files[0], directory) if files[0].is_file() else None}
