# SPDX-License-Identifier: GPL-2.0-or-later
"""Read labelled structures from any file ASE can read into plain, light frames.

    frames = read_frames("train.xyz")
    validate_frames(frames, elements=["C", "H", "O"])

Reading fails on what cannot be understood (no such file, labels that are not numbers, wrong
shapes). Whether the content makes sense is judged by `egraff.data.validation.validate_frames`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.formats import string2index
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress

from egraff.data.structures import read_structures
from egraff.errors import InputError


@dataclass(frozen=True, eq=False, kw_only=True)
class Frame:
    """One structure with its labels.

    Attributes:
        numbers: [n_atoms] atomic numbers.
        positions: [n_atoms, 3] in Angstrom, as in the file (not wrapped).
        cell: [3, 3] lattice vectors in rows, Angstrom; zeros where there is none.
        pbc: [3] whether each lattice vector is periodic.
        energy: total energy in eV, or None when the file has none.
        forces: [n_atoms, 3] in eV/A, or None.
        stress: [3, 3] in eV/A^3, tension positive, or None.
        info: everything else the file says about the frame as a whole.
        label_keys: names of all per-frame and per-atom data found, for error messages.
        source: file and number of the frame in it, counted from 0.
    """

    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    pbc: np.ndarray
    energy: float | None = None
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    label_keys: tuple[str, ...] = ()
    source: tuple[str, int] = ("", 0)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def symbols(self) -> list[str]:
        """Chemical symbol of each atom."""
        return Atoms(self.numbers).get_chemical_symbols()

    def to_atoms(self) -> Atoms:
        """Return the frame as ASE atoms, labels in a single-point calculator."""
        atoms = Atoms(self.numbers, positions=self.positions, cell=self.cell, pbc=self.pbc)
        atoms.info.update(self.info)
        labels: dict[str, Any] = {}
        if self.energy is not None:
            labels["energy"] = self.energy
        if self.forces is not None:
            labels["forces"] = self.forces
        if self.stress is not None:
            labels["stress"] = full_3x3_to_voigt_6_stress(self.stress)
        if labels:
            atoms.calc = SinglePointCalculator(atoms, **labels)
        return atoms


def read_frames(
    path: str | PathLike[str],
    *,
    energy_key: str = "energy",
    forces_key: str = "forces",
    stress_key: str = "stress",
    index: str | int | slice = ":",
) -> list[Frame]:
    """Read structures and labels from a file.

    Labels are looked for under the given names in the results that ASE attaches to a frame (its
    single-point calculator), then in ``atoms.info`` (energy, stress) or ``atoms.arrays`` (forces).
    A label that is not there is None; `egraff.data.validation.validate_frames` refuses it where it
    is needed. Codes that smear the occupations (VASP, for one) report two energies, and the forces
    belong to the free energy: use ``energy_key="free_energy"`` for those.

    Args:
        path: any file ASE reads (extended XYZ also with .gz).
        energy_key: name of the total energy, eV.
        forces_key: name of the forces, eV/A.
        stress_key: name of the stress, eV/A^3, tension positive; 9 numbers or 6 in Voigt order.
        index: which frames, in ASE notation.

    Returns:
        The frames, in file order.

    Raises:
        InputError: the file is missing, unreadable or empty, or a label has the wrong type or
            shape.
    """
    images = read_images(path)
    wanted = string2index(index) if isinstance(index, str) else index
    numbered = list(enumerate(images))
    if isinstance(wanted, slice):
        selected = numbered[wanted]
    else:
        if not -len(numbered) <= wanted < len(numbered):
            raise InputError(
                f"frame {wanted} was asked for, the file has {len(numbered)}",
                where=path,
                fix=f"choose an index from 0 to {len(numbered) - 1}",
            )
        selected = [numbered[wanted]]
    return [
        frame_from_atoms(
            atoms,
            energy_key=energy_key,
            forces_key=forces_key,
            stress_key=stress_key,
            source=(str(path), number),
        )
        for number, atoms in selected
    ]


def read_images(
    path: str | PathLike[str], elements: Sequence[str] | None = None
) -> Sequence[Atoms]:
    """Read all structures of a file as ASE atoms, with everything the file says about them.

    Args:
        path: any file that `egraff.data.structures.read_structures` reads.
        elements: symbol of LAMMPS types 1, 2, ..., for files that do not tell.

    Raises:
        InputError: the file is missing, unreadable or empty.
    """
    file = Path(path)
    if not file.is_file():
        found = "a folder" if file.is_dir() else "nothing"
        raise InputError(
            f"expected a file with structures, found {found}",
            where=path,
            fix="check the path",
        )
    if file.stat().st_size == 0:
        raise InputError("the file is empty (0 bytes)", where=path, fix="write it again")
    try:
        images = read_structures(file, elements)
    except InputError:
        raise
    except Exception as error:  # every ASE reader fails in its own way
        raise InputError(
            f"ASE cannot read this file ({type(error).__name__}: {error})",
            where=path,
            fix="give a complete file in a format that ase.io.read knows, such as extended XYZ",
        ) from error
    if not images:
        raise InputError("the file holds no frames", where=path, fix="write it again")
    return images


def frame_from_atoms(
    atoms: Atoms,
    *,
    energy_key: str = "energy",
    forces_key: str = "forces",
    stress_key: str = "stress",
    source: tuple[str, int] = ("", 0),
) -> Frame:
    """Turn ASE atoms into a `Frame`; see `read_frames` for where labels are looked for.

    Raises:
        InputError: a label has the wrong type or shape.
    """
    results = dict(atoms.calc.results) if atoms.calc is not None else {}
    geometry = ("numbers", "positions")
    found = [*results, *atoms.info, *(key for key in atoms.arrays if key not in geometry)]
    energy = results.get(energy_key, atoms.info.get(energy_key))
    forces = results.get(forces_key, atoms.arrays.get(forces_key))
    stress = results.get(stress_key, atoms.info.get(stress_key))
    where, number = source

    def numbers_of(value: Any, name: str, shapes: list[tuple[int, ...]]) -> np.ndarray | None:
        if value is None:
            return None
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            array = None
        if array is None or array.shape not in shapes:
            got = f"{value!r:.60}" if array is None else f"shape {array.shape}"
            expected = " or ".join("one number" if s == () else f"shape {s}" for s in shapes)
            raise InputError(
                f"expected {expected}, got {got}",
                where=where or None,
                field=f"frame {number}, {name}",
                fix="correct the file, or name the right key",
            )
        return array

    n_atoms = len(atoms)
    energy = numbers_of(energy, energy_key, [()])
    forces = numbers_of(forces, forces_key, [(n_atoms, 3)])
    stress = numbers_of(stress, stress_key, [(3, 3), (9,), (6,)])
    if stress is not None:
        # nine numbers in a row are the full tensor: it is symmetric, so their order does not matter
        stress = voigt_6_to_full_3x3_stress(stress) if stress.size == 6 else stress.reshape(3, 3)
    return Frame(
        numbers=atoms.numbers.copy(),
        positions=atoms.positions.astype(np.float64),
        cell=atoms.cell.array.astype(np.float64),
        pbc=atoms.pbc.copy(),
        energy=None if energy is None else float(energy),
        forces=forces,
        stress=stress,
        info=dict(atoms.info),
        label_keys=tuple(dict.fromkeys(found)),
        source=source,
    )
