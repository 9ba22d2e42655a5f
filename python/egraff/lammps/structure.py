# SPDX-License-Identifier: GPL-2.0-or-later
"""A structure file, checked, as a LAMMPS data file.

Positions, velocities and masses are written with every digit of their float64 values. Atom types
are the elements that occur, in the order in which the model lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from egraff.errors import InputError
from egraff.files import atomic_path
from egraff.lammps.box import Box, lammps_box
from egraff.metadata import check_elements

if TYPE_CHECKING:
    from ase import Atoms

CLOSEST_ANG = 0.3
"""Two atoms nearer than this are taken for one atom listed twice, or for wrong units."""


@dataclass(frozen=True)
class LammpsStructure:
    """Everything of a structure that a run needs, in LAMMPS's frame and metal units.

    Attributes:
        elements: element of each atom type; type t is ``elements[t - 1]``.
        types: ``[n_atoms]`` int64, from 1.
        masses: ``[n_types]`` in amu.
        positions: ``[n_atoms, 3]`` in Angstrom, rotated into the box's frame, not wrapped.
        velocities: ``[n_atoms, 3]`` in Angstrom/ps, rotated, or None where the file has none.
        box: the LAMMPS box.
        warnings: what the file says and LAMMPS will not do.
    """

    elements: list[str]
    types: NDArray[np.int64]
    masses: NDArray[np.float64]
    positions: NDArray[np.float64]
    velocities: NDArray[np.float64] | None
    box: Box
    warnings: tuple[str, ...] = ()

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.types)


def read_structure(
    path: str | PathLike[str], *, frame: int = 0, elements: Sequence[str] | None = None
) -> Atoms:
    """Read one frame of a file that holds structures, and check it.

    Args:
        path: the structure file; see :func:`egraff.data.structures.read_structures`.
        frame: index of the frame, from 0; negative values count from the end.
        elements: symbol of LAMMPS types 1, 2, ..., for files that do not tell.

    Raises:
        InputError: the file is missing or unreadable, has no such frame, or its content cannot
            be simulated (see :func:`check_structure`).
    """
    from egraff.data.frames import read_images

    images = read_images(path, elements)
    if not -len(images) <= frame < len(images):
        raise InputError(
            f"expected a frame from 0 to {len(images) - 1}, got {frame}",
            where=path,
            field="frame",
            fix="choose another --frame; negative values count from the end",
        )
    atoms = images[frame]
    check_structure(atoms, where=path)
    return atoms


def check_structure(atoms: Atoms, *, where: str | PathLike[str] | None = None) -> None:
    """Refuse a structure that no force field can make sense of.

    Raises:
        InputError: no atoms; placeholders instead of elements; positions or velocities that are
            not finite; a periodic direction without a lattice vector; atoms closer than
            :data:`CLOSEST_ANG`.
    """
    if len(atoms) == 0:
        raise InputError(
            "expected at least one atom, got none", where=where, fix="choose another frame"
        )
    if (atoms.numbers == 0).any():
        bad = int(np.flatnonzero(atoms.numbers == 0)[0])
        raise InputError(
            f"expected chemical elements, got the placeholder X for atom {bad}",
            where=where,
            field="species",
            fix="write element symbols into the structure file",
        )
    for field, values in (("positions", atoms.positions), ("velocities", velocities_of(atoms))):
        if values is not None and not np.isfinite(values).all():
            bad = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            raise InputError(
                f"expected finite numbers, got {values[bad].tolist()} for atom {bad}",
                where=where,
                field=field,
                fix="choose another frame, or repair the file that it came from",
            )
    try:
        lammps_box(atoms.cell.array, atoms.pbc, atoms.positions)
    except InputError as error:
        raise InputError(error.problem, where=where, field=error.field, fix=error.fix) from None
    _check_overlaps(atoms, where)


def to_lammps(
    atoms: Atoms, elements: Sequence[str], *, where: str | PathLike[str] | None = None
) -> LammpsStructure:
    """Turn a checked structure into LAMMPS's frame, units and types.

    Args:
        atoms: the structure; see :func:`check_structure`.
        elements: the model's elements, in the model's order.
        where: the structure file, for messages.

    Raises:
        InputError: an element that the model does not know, or atoms of one element with
            different masses.
    """
    symbols = atoms.get_chemical_symbols()
    present = check_elements(symbols, elements, where=where)
    box = lammps_box(atoms.cell.array, atoms.pbc, atoms.positions)
    type_of = {element: number for number, element in enumerate(present, start=1)}
    types = np.fromiter((type_of[symbol] for symbol in symbols), np.int64, len(symbols))
    velocities = velocities_of(atoms)
    return LammpsStructure(
        elements=present,
        types=types,
        masses=_masses(atoms, types, present, where),
        positions=atoms.positions @ box.rotation,
        velocities=None if velocities is None else velocities @ box.rotation,
        box=box,
        warnings=_ignored(atoms),
    )


def write_data(path: str | PathLike[str], structure: LammpsStructure, *, title: str) -> None:
    """Write a LAMMPS data file (``atom_style atomic``, ``units metal``).

    Args:
        path: where to write.
        structure: what to write; velocities are written where it has them.
        title: the file's first line.
    """
    lines = [title.replace("\n", " "), ""]
    lines += [f"{structure.n_atoms} atoms", f"{len(structure.elements)} atom types", ""]
    lines += structure.box.data_lines()
    lines += ["", "Masses", ""]
    for number, (element, mass) in enumerate(
        zip(structure.elements, structure.masses.tolist(), strict=True), start=1
    ):
        lines.append(f"{number} {mass!r}  # {element}")
    lines += ["", "Atoms # atomic", ""]
    rows = zip(structure.types.tolist(), structure.positions.tolist(), strict=True)
    lines += [f"{i} {t} {x!r} {y!r} {z!r}" for i, (t, (x, y, z)) in enumerate(rows, start=1)]
    if structure.velocities is not None:
        lines += ["", "Velocities", ""]
        rows = structure.velocities.tolist()
        lines += [f"{i} {x!r} {y!r} {z!r}" for i, (x, y, z) in enumerate(rows, start=1)]
    with atomic_path(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def velocities_of(atoms: Atoms) -> NDArray[np.float64] | None:
    """Return ``[n_atoms, 3]`` velocities in Angstrom/ps, or None where the structure has none."""
    if not atoms.has("momenta"):
        return None
    from ase.units import fs  # in ASE's own unit of time

    return atoms.get_velocities() * fs * 1000.0


def removed_dof(structure: LammpsStructure, *, rotation_free: bool) -> int:
    """Count the degrees of freedom that hold no thermal energy.

    Three belong to the centre of mass. A molecule or cluster that does not rotate and cannot start
    to, having no walls and no periodic images to push against, lacks its rotations as well: three,
    or two if it is linear. With 3N - 3 in their place, a thermostat would heat an ethanol molecule
    to 343 K instead of 300 K.

    Args:
        structure: the structure.
        rotation_free: whether the angular momentum is zero and stays so.
    """
    if any(structure.box.pbc) or not rotation_free or structure.n_atoms == 1:
        return 3
    centred = structure.positions - structure.positions.mean(axis=0)
    extents = np.linalg.svd(centred, compute_uv=False)
    linear = structure.n_atoms == 2 or extents[1] < 1e-3 * extents[0]
    return 5 if linear else 6


def _ignored(atoms: Atoms) -> tuple[str, ...]:
    """Say what of the structure is left out."""
    found = []
    if atoms.constraints:
        found.append("the structure file fixes atoms; the run moves all of them")
    if not atoms.pbc.any() and atoms.cell.rank:
        found.append("the structure file gives a cell but no periodic directions: no cell is used")
    return tuple(found)


def _masses(
    atoms: Atoms,
    types: NDArray[np.int64],
    elements: Sequence[str],
    where: str | PathLike[str] | None,
) -> NDArray[np.float64]:
    """Return one mass per type; LAMMPS's ``atomic`` style has no masses per atom."""
    masses = atoms.get_masses()
    found = np.empty(len(elements))
    for number, element in enumerate(elements, start=1):
        values = masses[types == number]
        if np.ptp(values) > 1e-9 * values[0] or not values[0] > 0:
            raise InputError(
                f"expected one positive mass for all {element} atoms, "
                f"got {values.min():g} to {values.max():g} amu",
                where=where,
                field="masses",
                fix="give all atoms of an element the same mass (LAMMPS keeps one per type)",
            )
        found[number - 1] = values[0]
    return found


def _check_overlaps(atoms: Atoms, where: str | PathLike[str] | None) -> None:
    """Refuse atoms on top of each other, images included."""
    from egraff.neighbours import find_edges

    edges = find_edges(atoms.positions, atoms.cell.array, atoms.pbc, r_max=CLOSEST_ANG)
    if len(edges):
        distances = np.linalg.norm(edges.vector, axis=1)
        worst = int(distances.argmin())
        i, j = sorted(edges.index[:, worst].tolist())
        raise InputError(
            f"expected atoms at least {CLOSEST_ANG} A apart, "
            f"got atoms {i} and {j} at {distances[worst]:.3f} A",
            where=where,
            field="positions",
            fix="remove atoms that are listed twice; check the cell and that lengths are in A",
        )
