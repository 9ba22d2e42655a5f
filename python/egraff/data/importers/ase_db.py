# SPDX-License-Identifier: GPL-2.0-or-later
"""ASE databases, also those of SchNetPack: labels in ``data``, units in the metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ase.db
import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from egraff.data.frames import Frame, check_lengths
from egraff.data.importers.registry import (
    Found,
    ImportOptions,
    Part,
    Stated,
    importer,
    source_files,
    stem,
)
from egraff.data.selection import select
from egraff.errors import InputError


def frame_of_row(
    atoms: Atoms, labels: Mapping[str, Any], source: tuple[str, int], periodic: bool | None
) -> Frame:
    """Make a frame of atoms and labels as a database has them.

    Args:
        atoms: the structure.
        labels: energy (one number, perhaps in a list), forces and stress, as far as there are any.
        source: file and number of the frame.
        periodic: instead of what the database says.

    Raises:
        InputError: a label has another shape.
    """
    n_atoms = len(atoms)
    shapes = {"energy": [(), (1,)], "forces": [(n_atoms, 3)], "stress": [(6,), (9,), (3, 3)]}
    found: dict[str, np.ndarray] = {}
    for name, allowed in shapes.items():
        if labels.get(name) is None:
            continue
        try:
            values = np.asarray(labels[name], dtype=np.float64)
        except (TypeError, ValueError):
            values = np.full((0,), np.nan)
        if values.shape not in allowed:
            raise InputError(
                f"expected shape {' or '.join(map(str, allowed))}, got {values.shape}",
                where=source[0],
                field=f"frame {source[1]}, {name}",
                fix="check that the database holds these labels",
            )
        found[name] = values
    stress = found.get("stress")
    if stress is not None:
        full = voigt_6_to_full_3x3_stress(stress) if stress.size == 6 else stress.reshape(3, 3)
        stress = full
    frame = Frame(
        numbers=atoms.numbers.copy(),
        positions=atoms.positions.astype(np.float64),
        cell=atoms.cell.array.astype(np.float64),
        pbc=atoms.pbc.copy() if periodic is None else np.full(3, periodic),
        energy=float(found["energy"].ravel()[0]) if "energy" in found else None,
        forces=found.get("forces"),
        stress=stress,
        stress_from="" if stress is None else "stress",
        source=source,
    )
    check_lengths(frame)
    return frame


@importer("ase-db", "ASE databases, SchNetPack's among them", takes=("frames", "periodic"))
def read_databases(source: Path, options: ImportOptions) -> Found:
    """Read the rows of databases in the order of their numbers."""
    parts = []
    for path in source_files(source, (".db",), what="ASE databases"):
        frames, stated = read_database(path, options.periodic)
        parts.append(
            Part(
                name=stem(path, source),
                frames=[frames[i] for i in select(options.frames, len(frames), where="--frames")],
                stated=stated,
                source=path,
            )
        )
    return Found(parts)


def read_database(path: Path, periodic: bool | None) -> tuple[list[Frame], Stated]:
    """Read all rows, and the units that the metadata state.

    Energies of ASE's own calculators are in eV by ASE's convention; what else a row holds has the
    units of ``_property_unit_dict`` and ``_distance_unit``, or none that is known.
    """
    frames, own = [], []
    try:
        with ase.db.connect(str(path), append=True) as database:
            metadata = dict(database.metadata or {})
            for row in database.select(sort="id"):
                labels = {**row.key_value_pairs, **row.data}
                ours = {n: row.get(n) for n in ("energy", "forces", "stress") if n in row}
                own.append("energy" in ours)
                frames.append(
                    frame_of_row(
                        row.toatoms(), {**labels, **ours}, (str(path), len(frames)), periodic
                    )
                )
    except InputError:
        raise
    except Exception as error:  # every database fails in its own way
        raise InputError(
            f"expected an ASE database, got {type(error).__name__}: {error}",
            where=path,
            fix="copy the file again; it may be cut short, or stand for one in Git LFS",
        ) from error
    if not frames:
        raise InputError("the database holds no rows", where=path, fix="copy the file again")
    return frames, _stated(metadata, own)


def stated_by_ase(own: Iterable[bool]) -> Stated:
    """Return the units of rows, if the energy of each is of ASE's own kind."""
    if all(own):
        return Stated(energy="eV", length="A", by="ASE's calculators are in it")
    return Stated()


def _stated(metadata: Mapping[str, Any], own: Iterable[bool]) -> Stated:
    units = metadata.get("_property_unit_dict") or {}
    if "energy" in units:
        return Stated(
            energy=units["energy"],
            force=units.get("forces"),
            length=metadata.get("_distance_unit", "A"),
            by="the file",
            in_file=True,
        )
    return stated_by_ase(own)
