# SPDX-License-Identifier: GPL-2.0-or-later
"""Read labelled structures from any file ASE can read into plain, light frames.

    frames = read_frames("train.xyz", keys=LabelKeys(energy_key="REF_energy"))
    validate_frames(frames, elements=["C", "H", "O"])

Reading fails on what cannot be understood (no such file, lines that belong to no frame, labels that
are not numbers, wrong shapes) and on positions and cells that are not usable numbers: whatever
computes with a frame can rely on them. Whether the content makes sense is judged by
`egraff.data.validation.validate_frames`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.formats import string2index
from ase.stress import full_3x3_to_voigt_6_stress

from egraff.data.labels import LabelKeys, read_labels
from egraff.data.structures import read_structures
from egraff.errors import InputError

LARGEST_LENGTH = 1e6
"""No coordinate or lattice vector in Angstrom is longer (0.1 mm): beyond it, distances between
atoms lose the digits that forces need, and larger numbers are not lengths."""


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
        stress_from: key of the file that the stress came from; empty where there is none.
        info: everything else the file says about the frame as a whole.
        label_keys: names of all per-frame and per-atom data found, for error messages.
        alternatives: by label (energy, forces, stress, virial), other keys that could hold it.
        keys: the names, units and sign with which the frame was read.
        source: file and number of the frame in it, counted from 0.
    """

    numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray
    pbc: np.ndarray
    energy: float | None = None
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None
    stress_from: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)
    label_keys: tuple[str, ...] = ()
    alternatives: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keys: LabelKeys = field(default_factory=LabelKeys)
    source: tuple[str, int] = ("", 0)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def symbols(self) -> list[str]:
        """Chemical symbol of each atom."""
        return Atoms(self.numbers).get_chemical_symbols()

    @property
    def stress_of_virial(self) -> bool:
        """Whether the stress is that of a virial, rather than a label of its own."""
        return bool(self.stress_from) and self.stress_from == self.keys.virial_key

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
    keys: LabelKeys | None = None,
    index: str | int | slice = ":",
) -> list[Frame]:
    """Read structures and labels from a file.

    Labels are looked for under the given names in the results that ASE attaches to a frame (its
    single-point calculator), then in ``atoms.info`` (energy, stress, virial) or ``atoms.arrays``
    (forces). A label that is not there is None; `egraff.data.validation.validate_frames` refuses it
    where it is needed. Codes that smear the occupations (VASP, for one) report two energies, and
    the forces belong to the free energy: use ``energy_key="free_energy"`` for those.

    Args:
        path: any file ASE reads (extended XYZ also with .gz).
        keys: names, units and sign of the labels; the defaults of `LabelKeys` when None.
        index: which frames, in ASE notation. The whole file is read whatever it says.

    Returns:
        The frames, in file order.

    Raises:
        InputError: the file is missing, unreadable or empty, a frame has no atoms, a position or
            lattice vector is not a usable number, or a label has the wrong type or shape.
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
    frames = [
        frame_from_atoms(atoms, keys=keys, source=(str(path), number)) for number, atoms in selected
    ]
    for frame in frames:
        if len(frame) == 0:
            refuse(frame, "atoms", "the frame has no atoms", "remove the frame")
    return frames


def read_images(
    path: str | PathLike[str], elements: Sequence[str] | None = None
) -> Sequence[Atoms]:
    """Read all structures of a file as ASE atoms, with everything the file says about them.

    Args:
        path: any file that `egraff.data.structures.read_structures` reads.
        elements: symbol of LAMMPS types 1, 2, ..., for files that do not tell.

    Raises:
        InputError: the file is missing, unreadable or empty, or not all of it belongs to a frame.
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
    atoms: Atoms, *, keys: LabelKeys | None = None, source: tuple[str, int] = ("", 0)
) -> Frame:
    """Turn ASE atoms into a `Frame`; see `read_frames` for where labels are looked for.

    Raises:
        InputError: a position or lattice vector is not a usable number, or a label has the wrong
            type or shape.
    """
    bare = Frame(
        numbers=atoms.numbers.copy(),
        positions=atoms.positions.astype(np.float64),
        cell=atoms.cell.array.astype(np.float64),
        pbc=atoms.pbc.copy(),
        info=dict(atoms.info),
        keys=keys or LabelKeys(),
        source=source,
    )
    check_lengths(bare)
    labels = read_labels(atoms, bare.keys, where=source[0] or None, number=source[1])
    return replace(
        bare,
        energy=labels.energy,
        forces=labels.forces,
        stress=labels.stress,
        stress_from=labels.stress_from,
        label_keys=labels.found,
        alternatives=labels.alternatives,
    )


def check_lengths(frame: Frame) -> None:
    """Refuse positions and lattice vectors that are not finite, or too long for atoms.

    Raises:
        InputError: naming frame, field and the first atom or vector.
    """
    for name in ("positions", "cell"):
        check_finite(frame, name, getattr(frame, name))
        size = np.abs(getattr(frame, name))
        if size.size and size.max() > LARGEST_LENGTH:
            first = int(np.argwhere(size > LARGEST_LENGTH)[0][0])
            refuse(
                frame,
                name,
                f"expected coordinates up to {LARGEST_LENGTH:g} A, got {size.max():.3g} (first at "
                f"{'atom' if name == 'positions' else 'vector'} {first})",
                "correct the number, or remove the frame",
            )


def check_finite(frame: Frame, name: str, values: np.ndarray | float) -> None:
    """Refuse NaN and infinity.

    Raises:
        InputError: naming frame, field and, for values by atom, the first atom.
    """
    bad = ~np.isfinite(np.atleast_1d(values))
    if bad.any():
        first = np.argwhere(bad)[0]
        place = f" (first at atom {first[0]})" if name in ("positions", "forces") else ""
        refuse(
            frame,
            name,
            f"{int(bad.sum())} value(s) are NaN or infinite{place}",
            "remove the frame: the calculation it comes from failed",
        )


def refuse(frame: Frame, name: str, problem: str, fix: str) -> None:
    """Raise an error about one field of a frame.

    Raises:
        InputError: always.
    """
    file, number = frame.source
    raise InputError(problem, where=file or None, field=f"frame {number}, {name}", fix=fix)
