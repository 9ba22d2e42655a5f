# SPDX-License-Identifier: GPL-2.0-or-later
"""From settings to a structure that LAMMPS can start from, or a reason why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from egraff.errors import InputError
from egraff.files import sha256
from egraff.lammps.inputs_ensemble import System
from egraff.lammps.run_record import RunRecord
from egraff.lammps.run_settings import CHANGEABLE_ON_RESUME, RunSettings
from egraff.lammps.structure import (
    LammpsStructure,
    read_structure,
    removed_dof,
    to_lammps,
)


def prepare_structure(settings: RunSettings, elements: list[str]) -> LammpsStructure:
    """Read, check, replicate and convert the structure of a run."""
    atoms = read_structure(settings.structure, frame=settings.frame, elements=settings.elements)
    for axis, times in enumerate(settings.replicate):
        if times > 1 and not atoms.pbc[axis]:
            raise InputError(
                f"expected 1 along {'abc'[axis]}, which is not periodic, got {times}",
                where=settings.structure,
                field="--replicate",
                fix="replicate along periodic directions only, or set pbc in the structure file",
            )
    if settings.replicate != (1, 1, 1):
        atoms = atoms.repeat(settings.replicate)
    return to_lammps(atoms, elements, where=settings.structure)


def system_from(structure: LammpsStructure) -> System:
    """Return what the input script needs to know about a structure."""
    rotates = False
    if structure.velocities is not None and not any(structure.box.pbc):
        mass = structure.masses[structure.types - 1][:, None]
        arm = structure.positions - (mass * structure.positions).sum(axis=0) / mass.sum()
        moment = np.cross(arm, mass * structure.velocities)
        rotates = bool(np.linalg.norm(moment.sum(axis=0)) > 1e-6 * np.linalg.norm(moment))
    return System(
        n_atoms=structure.n_atoms,
        elements=tuple(structure.elements),
        pbc=structure.box.pbc,
        triclinic=structure.box.triclinic,
        rigid_dof=removed_dof(structure, rotation_free=True),
        rotates=rotates,
    )


def check_physics(settings: RunSettings, structure: LammpsStructure, system: System) -> None:
    """Check the settings against the structure."""
    if settings.ensemble == "npt" and not all(system.pbc):
        raise InputError(
            f"expected a structure that is periodic in all directions for npt, "
            f"got pbc {list(system.pbc)}",
            where=settings.structure,
            field="pbc",
            fix="use nvt or nve, or give the structure a cell and pbc",
        )
    if system.n_atoms == 1 and settings.sets_temperature:
        raise InputError(
            "expected at least two atoms for a temperature, got one, which rests without its drift",
            where=settings.structure,
            fix="use nve with --velocities zero, or --replicate",
        )
    if settings.velocities == "structure" and structure.velocities is None:
        raise InputError(
            "expected velocities in the structure file, found none",
            where=settings.structure,
            field="velocities",
            fix="draw them (--velocities draw), or write momenta with the structure",
        )


def same_files(settings: RunSettings, old: RunSettings, record: RunRecord) -> RunSettings:
    """Accept the same model and structure under other paths, refuse other files."""
    _same_file(
        settings.model,
        record.model_sha256,
        what="model",
        fix="restore the file or give its new place with --model, or start another run",
    )
    if settings.structure.resolve() != old.structure:
        _same_file(
            settings.structure,
            record.structure_sha256,
            what="structure",
            fix="drop --structure, which is not needed to resume, or start another run",
        )
    return settings.model_copy(
        update={"model": settings.model.resolve(), "structure": settings.structure.resolve()}
    )


def _same_file(path: Path, expected: str, *, what: str, fix: str) -> None:
    """Refuse a file of another content than the run was started with."""
    found = sha256(path) if path.is_file() else ""
    if found != expected:
        raise InputError(
            f"expected the {what} that the run was started with (SHA-256 {expected[:12]}...), "
            f"got {f'one with {found[:12]}...' if found else 'no file'}",
            where=path,
            fix=fix,
        )


def check_unchanged(settings: RunSettings, old: RunSettings) -> None:
    """Refuse to change what makes one trajectory one trajectory."""
    for name in RunSettings.model_fields:
        if name in (*CHANGEABLE_ON_RESUME, "model", "structure"):
            continue
        before, now = getattr(old, name), getattr(settings, name)
        if before != now:
            raise InputError(
                f"expected {before}, as the run was started, got {now}",
                field="--" + name.replace("_", "-"),
                fix="drop the option, or start another run with another --out",
            )
