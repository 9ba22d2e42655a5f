# SPDX-License-Identifier: GPL-2.0-or-later
"""Under which names, in which units and with which sign a file gives energy, forces and stress.

Inside egraff a stress is in eV/A^3 and positive under tension, as in ASE. Other conventions are
turned into it here and nowhere else:

    virial          GAP, QUIP, NEP, dpdata: -stress times volume, in eV
    stress_unit     kbar (VASP), GPa
    stress_sign     compression: positive under compression, as VASP prints it
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from egraff.errors import InputError
from egraff.units import EV_PER_ANG3_IN_GPA

_IN_EV_PER_ANG3 = {
    "eV/A^3": 1.0,
    "GPa": 1.0 / EV_PER_ANG3_IN_GPA,
    "kbar": 0.1 / EV_PER_ANG3_IN_GPA,
}
_UNIT_IN_NAME = re.compile(r"kbar|gpa", re.I)
# how other programs name what is asked for
_NAMES = {
    "energy": re.compile(r"energy|toten|etot|e_tot", re.I),
    "forces": re.compile(r"forc", re.I),
    "stress": re.compile(r"stress", re.I),
    "virial": re.compile(r"viria", re.I),
}
_GEOMETRY = ("numbers", "positions")
# largest difference between a stress and the virial beside it, of their size and in eV/A^3: files
# give both with six digits or more
_SAME_STRESS = 1e-3, 1e-5


class LabelKeys(BaseModel):
    """How a file names its labels, and what they mean; the same settings for every command.

    Attributes:
        energy_key: name of the total energy, eV.
        forces_key: name of the forces, eV/A.
        stress_key: name of the stress; 9 numbers or 6 in Voigt order (xx yy zz yz xz xy).
        virial_key: name of the virial in eV, from which the stress is -virial/volume; an empty
            name reads none.
        stress_unit: ``eV/A^3``, ``GPa`` or ``kbar``. None takes eV/A^3, unless a value above 100
            GPa raises the question.
        stress_sign: ``tension`` where a stretched crystal has a positive stress, as in ASE, or
            ``compression``, as VASP prints it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    energy_key: str = Field(default="energy", min_length=1)
    forces_key: str = Field(default="forces", min_length=1)
    stress_key: str = Field(default="stress", min_length=1)
    virial_key: str = "virial"
    stress_unit: Literal["eV/A^3", "GPa", "kbar"] | None = None
    stress_sign: Literal["tension", "compression"] = "tension"

    @model_validator(mode="after")
    def _a_name_that_says_something_else(self) -> LabelKeys:
        if _NAMES["virial"].search(self.stress_key):
            raise ValueError(
                f"stress_key: expected a stress, and {self.stress_key} is by its name a virial "
                f"(-stress times volume, in eV); give it as virial_key (--virial-key "
                f"{self.stress_key})"
            )
        named = _UNIT_IN_NAME.search(self.stress_key)
        if named and self.stress_unit is None:
            raise ValueError(
                f"stress_unit: expected the unit of {self.stress_key}, whose name says "
                f"{named[0]}; give stress_unit (--stress-unit), and stress_sign (--stress-sign "
                "compression) where it is positive under compression, as in VASP's output"
            )
        return self

    @property
    def stress_factor(self) -> float:
        """What turns a stress of the file into eV/A^3, positive under tension."""
        sign = -1.0 if self.stress_sign == "compression" else 1.0
        return sign * _IN_EV_PER_ANG3[self.stress_unit or "eV/A^3"]


def label_keys(given: Mapping[str, str | None]) -> LabelKeys:
    """Make :class:`LabelKeys` of the options of a command line; None stands for the default.

    Raises:
        InputError: a name says that its content is something else.
    """
    try:
        return LabelKeys(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        field = f"--{str(first['loc'][0]).replace('_', '-')}" if first["loc"] else None
        raise InputError(
            first["msg"].removeprefix("Value error, "),
            field=field,
            fix="correct the option",
        ) from None


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Labels of one frame in eV, Angstrom and ASE's sign.

    Attributes:
        energy: eV, or None.
        forces: [n_atoms, 3] in eV/A, or None.
        stress: [3, 3] in eV/A^3, or None.
        stress_from: key that the stress came from; empty without a stress.
        found: names of everything that the frame says, geometry aside.
        alternatives: for each label, other keys of the frame that could hold it.
    """

    energy: float | None
    forces: np.ndarray | None
    stress: np.ndarray | None
    stress_from: str
    found: tuple[str, ...]
    alternatives: Mapping[str, tuple[str, ...]]


def read_labels(atoms: Atoms, keys: LabelKeys, *, where: str | None, number: int) -> Labels:
    """Find the labels of a frame in its calculator's results, ``info`` and ``arrays``.

    Args:
        atoms: the frame as ASE read it.
        keys: names, units and sign.
        where: the file, for messages.
        number: the frame's number in it.

    Raises:
        InputError: a label has the wrong type or shape, or stress and virial contradict each other.
    """
    results = dict(atoms.calc.results) if atoms.calc is not None else {}
    per_frame = {**atoms.info, **results}
    per_atom = {**{k: v for k, v in atoms.arrays.items() if k not in _GEOMETRY}, **results}
    n_atoms = len(atoms)

    def label(values: Mapping[str, Any], key: str, shapes: list[tuple[int, ...]]):
        if key not in values or values[key] is None:
            return None
        array = _as_numbers(values[key])
        if array is None or array.shape not in shapes:
            got = f"{values[key]!r:.60}" if array is None else f"shape {array.shape}"
            expected = " or ".join("one number" if s == () else f"shape {s}" for s in shapes)
            raise InputError(
                f"expected {expected}, got {got}",
                where=where,
                field=f"frame {number}, {key}",
                fix="correct the file, or name the right key",
            )
        return array

    energy = label(per_frame, keys.energy_key, [()])
    forces = label(per_atom, keys.forces_key, [(n_atoms, 3)])
    tensors = [(3, 3), (9,), (6,)]
    stress = label(per_frame, keys.stress_key, tensors)
    if stress is not None:
        stress = _tensor(stress) * keys.stress_factor
    virial = label(per_frame, keys.virial_key, tensors) if keys.virial_key else None
    stress_from = keys.stress_key if stress is not None else ""
    # without a volume a virial gives no stress; such frames have none to learn either
    volume = abs(float(np.linalg.det(atoms.cell.array))) if atoms.pbc.all() else 0.0
    if virial is not None and volume > 0.0:
        of_virial = -_tensor(virial) / volume
        if stress is None:
            stress, stress_from = of_virial, keys.virial_key
        else:
            _check_same(stress, of_virial, keys, where=where, number=number)
    found = tuple(dict.fromkeys([*results, *atoms.info, *per_atom]))
    return Labels(
        energy=None if energy is None else float(energy),
        forces=forces,
        stress=stress,
        stress_from=stress_from,
        found=found,
        alternatives=_alternatives(per_frame, per_atom, keys, n_atoms),
    )


def options_for(label: str, alternatives: Iterable[str]) -> str:
    """Return the command-line options that would choose each of some keys for a label."""
    return " or ".join(f"--{label}-key {name}" for name in alternatives)


def _as_numbers(value: Any) -> np.ndarray | None:
    # a key without a value is read as true, which is not an energy of 1 eV
    if np.asarray(value).dtype.kind == "b":
        return None
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return None


def _tensor(values: np.ndarray) -> np.ndarray:
    # nine numbers in a row are the full tensor: it is symmetric, so their order does not matter
    return voigt_6_to_full_3x3_stress(values) if values.size == 6 else values.reshape(3, 3)


def _check_same(
    stress: np.ndarray, of_virial: np.ndarray, keys: LabelKeys, *, where: str | None, number: int
) -> None:
    relative, absolute = _SAME_STRESS
    size = max(np.abs(stress).max(), np.abs(of_virial).max())
    if not np.abs(stress - of_virial).max() <= relative * size + absolute:
        raise InputError(
            f"expected {keys.stress_key} to be -{keys.virial_key}/volume, got xx "
            f"{stress[0, 0]:.4g} and {of_virial[0, 0]:.4g} eV/A^3",
            where=where,
            field=f"frame {number}, {keys.stress_key} and {keys.virial_key}",
            fix="give the unit and sign of the stress (--stress-unit, --stress-sign), or leave "
            "the virial unread (--virial-key '')",
        )


def _alternatives(
    per_frame: Mapping[str, Any], per_atom: Mapping[str, Any], keys: LabelKeys, n_atoms: int
) -> dict[str, tuple[str, ...]]:
    places = {
        "energy": (per_frame, keys.energy_key, ((),)),
        "forces": (per_atom, keys.forces_key, ((n_atoms, 3),)),
        "stress": (per_frame, keys.stress_key, ((3, 3), (9,), (6,))),
        "virial": (per_frame, keys.virial_key, ((3, 3), (9,), (6,))),
    }
    return {
        label: tuple(
            name
            for name, value in values.items()
            # an empty key says that none is wanted
            if key not in ("", name)
            and _NAMES[label].search(name)
            and _could_be(value, shapes)
            # the same numbers under a second name are no choice
            and not np.array_equal(value, values.get(key))
        )
        for label, (values, key, shapes) in places.items()
    }


def _could_be(value: Any, shapes: tuple[tuple[int, ...], ...]) -> bool:
    if isinstance(value, str):
        return False
    array = _as_numbers(value)
    return array is not None and array.shape in shapes
