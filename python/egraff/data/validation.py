# SPDX-License-Identifier: GPL-2.0-or-later
"""Judge labelled structures before any work starts on them.

What cannot be right is refused with the file, the frame and the field; what is merely odd is
returned as a remark for the user to read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from egraff.data.consistency import energy_force_slope, energy_stress_slope
from egraff.data.distances import nearest_neighbours
from egraff.data.frames import Frame, check_finite, check_lengths, refuse
from egraff.data.labels import options_for
from egraff.data.remarks import remarks_on
from egraff.errors import InputError
from egraff.units import EV_PER_ANG3_IN_GPA

_CONVERT = "convert the file to eV and Angstrom"
# Total energies of neutral atoms are close to -20.9 Z^(7/3) eV (the Thomas-Fermi limit), whatever
# the method; half as much again leaves room for relativity. Fewer electrons only make it smaller.
_THOMAS_FERMI_EV = 20.92
_ENERGY_MARGIN = 1.5
_MAX_FORCE_RMS = 1e3  # eV/A over one frame
_MAX_STRESS = 10.0  # eV/A^3 = 1600 GPa
# In GPa. No solid holds such a tension, and such a pressure is that of the deep Earth: beyond it,
# a unit that nobody has stated is asked for.
_DOUBTFUL_STRESS_GPA = 100.0
_STRESS_SLOPE = 1.5  # and its inverse; vibrations and plane-wave basis sets bias it by a fifth
_MAX_SPREAD = 20.0  # eV per atom, between frames of one composition
_MIN_DISTANCE = 0.3  # A; the shortest bond there is, H-H, has 0.74
_FOREIGN_UNITS = re.compile(r"\b(hartree|ha|bohr|rydberg|ry|au|a\.u|kcal|kj|gpa|kbar|nm)\b", re.I)


def validate_frames(
    frames: Sequence[Frame],
    *,
    elements: Sequence[str] | None = None,
    require: Sequence[str] = ("energy", "forces"),
) -> list[str]:
    """Check structures and labels; raise on the first thing that cannot be right.

    Checked, frame by frame: atoms, elements, finite numbers, the cell, the labels that are
    required, shortest distance (0.3 A at least), size of energy, forces and stress; then, over all
    frames: energies of one composition within 20 eV per atom of their median, and, where
    consecutive frames are close enough, forces and stress that are derivatives of the energies.

    Args:
        frames: what `egraff.data.frames.read_frames` returned.
        elements: chemical symbols a model knows; any element is allowed when None.
        require: labels that each frame must have, among ``energy``, ``forces``, ``stress``.

    Returns:
        Remarks: things that may be right but are worth a look. Empty when there are none.

    Raises:
        InputError: naming file, frame and field, and what to do.
    """
    if not frames:
        raise InputError("expected at least one frame, got none", fix="give a file with structures")
    neighbours = []
    for frame in frames:
        _check_structure(frame, elements)
        _check_labels(frame, require)
        _check_sizes(frame)
        _check_stress(frame)
        neighbours.append(_check_distances(frame))
    _check_energy_spread(frames)
    _check_forces_slope(frames)
    _check_stress_slope(frames)
    return remarks_on(frames, neighbours)


def _check_structure(frame: Frame, elements: Sequence[str] | None) -> None:
    if len(frame) == 0:
        refuse(frame, "atoms", "the frame has no atoms", "remove the frame")
    if frame.numbers.min() < 1 or frame.numbers.max() > 118:
        refuse(
            frame,
            "elements",
            f"atomic number {int(frame.numbers.min())} is not an element",
            "give every atom a chemical symbol (LAMMPS types have to be mapped first)",
        )
    if elements is not None:
        unknown = sorted(set(frame.symbols) - set(elements))
        if unknown:
            refuse(
                frame,
                "elements",
                f"{', '.join(unknown)} not among the elements of the model ({' '.join(elements)})",
                "remove these frames, or train a model that knows the element",
            )
    check_lengths(frame)
    periodic = frame.cell[frame.pbc]
    if len(periodic):
        lengths = np.linalg.norm(periodic, axis=1)
        # smallest over largest edge of the volume spanned, so that the unit does not matter
        flat = lengths.min() < 1e-3 or np.linalg.matrix_rank(periodic, tol=1e-3) < len(periodic)
        if flat:
            refuse(
                frame,
                "cell",
                "the frame is periodic, but its periodic lattice vectors span no volume",
                "write the lattice, or set pbc to F for a molecule",
            )


def _check_labels(frame: Frame, require: Sequence[str]) -> None:
    for name in ("energy", "forces", "stress"):
        value = getattr(frame, name)
        if value is not None:
            check_finite(frame, name, value)
        elif name in require:
            found = ", ".join(frame.label_keys) or "nothing"
            choice = options_for(name, frame.alternatives.get(name, ()))
            refuse(
                frame,
                name,
                f"missing; the frame has: {found}",
                f"name the right key: {choice or f'--{name}-key NAME'}; or label the frame",
            )


def _check_sizes(frame: Frame) -> None:
    stated = (frame.keys.stress_unit or "").lower()
    for key, value in frame.info.items():
        if "unit" not in key.lower() or ("stress" in key.lower() and str(value).lower() == stated):
            continue
        if _FOREIGN_UNITS.search(str(value)):
            fix = "give it as --stress-unit" if "stress" in key.lower() else _CONVERT
            refuse(frame, key, f"the file says {key}={value}; expected eV and Angstrom", fix)
    if frame.energy is not None:
        bound = _ENERGY_MARGIN * _THOMAS_FERMI_EV * float(np.sum(frame.numbers ** (7.0 / 3.0)))
        if abs(frame.energy) > bound:
            refuse(
                frame,
                "energy",
                f"{frame.energy:.6g} eV is more than all electrons of these {len(frame)} atoms "
                f"can bind ({-bound:.3g} eV); this looks like kcal/mol or kJ/mol",
                _CONVERT,
            )
    if frame.forces is not None:
        rms = float(np.sqrt(np.mean(frame.forces**2)))
        if rms > _MAX_FORCE_RMS:
            refuse(
                frame,
                "forces",
                f"root mean square {rms:.3g} eV/A, expected less than {_MAX_FORCE_RMS:g}",
                "convert the file to eV/A, or remove the frame if atoms overlap",
            )


def _check_stress(frame: Frame) -> None:
    if frame.stress is None:
        return
    largest = float(np.abs(frame.stress).max())
    if largest > _MAX_STRESS:
        refuse(
            frame,
            "stress",
            f"{largest:.3g} eV/A^3, expected less than {_MAX_STRESS:g}; this looks like kbar, "
            "GPa or a virial in eV",
            "correct the virial (eV), or leave it unread with --virial-key ''"
            if frame.stress_of_virial
            else "give its unit with --stress-unit, or the key of a virial with --virial-key "
            "(stress = -virial/volume)",
        )
    in_gpa = largest * EV_PER_ANG3_IN_GPA
    stated = frame.keys.stress_unit is not None or frame.stress_of_virial
    if in_gpa > _DOUBTFUL_STRESS_GPA and not stated:
        refuse(
            frame,
            "stress",
            f"{largest:.3g}, read as eV/A^3, is {in_gpa:.0f} GPa; expected less than "
            f"{_DOUBTFUL_STRESS_GPA:.0f} GPa unless the unit is stated",
            "state it (--stress-unit eV/A^3, GPa or kbar); if it is a virial in eV, give its key "
            "with --virial-key",
        )
    if np.abs(frame.stress - frame.stress.T).max() > 1e-3 * largest + 1e-6:
        refuse(
            frame,
            "stress",
            "the tensor is not symmetric",
            "check the order of its components (9 numbers, or xx yy zz yz xz xy)",
        )


def _check_distances(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Refuse overlapping atoms; return distance and index of each atom's nearest neighbour."""
    distance, neighbour = nearest_neighbours(frame)
    atom = int(distance.argmin())
    if distance[atom] < _MIN_DISTANCE:
        refuse(
            frame,
            "positions",
            f"atoms {atom} and {int(neighbour[atom])} are {distance[atom]:.3f} A apart, expected "
            f"at least {_MIN_DISTANCE} A; this looks like nm, fractional coordinates or overlap",
            "convert positions and cell to Angstrom, or remove the frame",
        )
    return distance, neighbour


def _check_energy_spread(frames: Sequence[Frame]) -> None:
    groups: dict[bytes, list[Frame]] = defaultdict(list)
    for frame in frames:
        if frame.energy is not None:
            groups[np.sort(frame.numbers).tobytes()].append(frame)
    for group in groups.values():
        per_atom = np.array([frame.energy for frame in group]) / len(group[0])
        away = np.abs(per_atom - np.median(per_atom))
        worst = int(away.argmax())
        if away[worst] > _MAX_SPREAD:
            refuse(
                group[worst],
                "energy",
                f"{away[worst]:.3g} eV per atom away from the median of the {len(group)} frames of "
                f"the same composition, expected less than {_MAX_SPREAD:g}",
                "check this frame's calculation, and that all frames use one unit and method",
            )


def _check_forces_slope(frames: Sequence[Frame]) -> None:
    slope = energy_force_slope(frames)
    if slope is not None and (mistake := slope.unit_mistake()):
        raise InputError(
            f"energies change {slope.slope:.4g} times as much as the forces say, over "
            f"{slope.n_pairs} consecutive frames; this looks like {mistake}",
            where=frames[0].source[0] or None,
            field="energy and forces",
            fix=_CONVERT,
        )


def _check_stress_slope(frames: Sequence[Frame]) -> None:
    slope = energy_stress_slope(frames)
    if slope is None or not slope.judged or 1 / _STRESS_SLOPE < slope.slope < _STRESS_SLOPE:
        return
    key = next(frame.stress_from for frame in frames if frame.stress is not None)
    mistake = slope.stress_mistake()
    raise InputError(
        f"energies change {slope.slope:.4g} times as much as the stress says, over "
        f"{slope.n_pairs} strained frames; expected 1"
        + (f"; this looks like {mistake}" if mistake else ""),
        where=frames[0].source[0] or None,
        field=f"energy and {key or 'stress'}",
        fix="give unit and sign of the stress, or leave it out with another --stress-key",
    )
