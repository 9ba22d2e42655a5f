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
from ase.data import covalent_radii

from egraff.data.consistency import energy_force_slope
from egraff.data.distances import nearest_neighbours
from egraff.data.frames import Frame
from egraff.errors import InputError

_CONVERT = "convert the file to eV and Angstrom"
# Total energies of neutral atoms are close to -20.9 Z^(7/3) eV (the Thomas-Fermi limit), whatever
# the method; half as much again leaves room for relativity. Fewer electrons only make it smaller.
_THOMAS_FERMI_EV = 20.92
_ENERGY_MARGIN = 1.5
_MAX_FORCE_RMS = 1e3  # eV/A over one frame
_MAX_STRESS = 10.0  # eV/A^3 = 1600 GPa
_MAX_SPREAD = 20.0  # eV per atom, between frames of one composition
_MIN_DISTANCE = 0.3  # A; the shortest bond there is, H-H, has 0.74
_STRETCHED = 1.55  # nearest neighbours over the sum of covalent radii; a length in Bohr is 1.89
_NOBLE_GASES = (2, 10, 18, 36, 54, 86)
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
    consecutive frames are close enough, forces that are the derivative of the energies.

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
        raise InputError("there are no frames to work on", fix="give a file with structures")
    stretch = []
    for frame in frames:
        _check_structure(frame, elements)
        _check_labels(frame, require)
        _check_sizes(frame)
        stretch.append(_check_distances(frame))
    _check_energy_spread(frames)
    slope = energy_force_slope(frames)
    if slope is not None and (mistake := slope.unit_mistake()):
        raise InputError(
            f"energies change {slope.slope:.4g} times as much as the forces say, over "
            f"{slope.n_pairs} consecutive frames; this looks like {mistake}",
            where=frames[0].source[0] or None,
            field="energy and forces",
            fix=_CONVERT,
        )
    return _remarks(frames, np.array(stretch))


def _refuse(frame: Frame, name: str, problem: str, fix: str) -> None:
    file, number = frame.source
    raise InputError(problem, where=file or None, field=f"frame {number}, {name}", fix=fix)


def _check_structure(frame: Frame, elements: Sequence[str] | None) -> None:
    if len(frame) == 0:
        _refuse(frame, "atoms", "the frame has no atoms", "remove the frame")
    if frame.numbers.min() < 1 or frame.numbers.max() > 118:
        _refuse(
            frame,
            "elements",
            f"atomic number {int(frame.numbers.min())} is not an element",
            "give every atom a chemical symbol (LAMMPS types have to be mapped first)",
        )
    if elements is not None:
        unknown = sorted(set(frame.symbols) - set(elements))
        if unknown:
            _refuse(
                frame,
                "elements",
                f"{', '.join(unknown)} not among the elements of the model ({' '.join(elements)})",
                "remove these frames, or train a model that knows the element",
            )
    for name in ("positions", "cell"):
        _check_finite(frame, name, getattr(frame, name))
    periodic = frame.cell[frame.pbc]
    if len(periodic):
        lengths = np.linalg.norm(periodic, axis=1)
        # smallest over largest edge of the volume spanned, so that the unit does not matter
        flat = lengths.min() < 1e-3 or np.linalg.matrix_rank(periodic, tol=1e-3) < len(periodic)
        if flat:
            _refuse(
                frame,
                "cell",
                "the frame is periodic, but its periodic lattice vectors span no volume",
                "write the lattice, or set pbc to F for a molecule",
            )


def _check_finite(frame: Frame, name: str, values: np.ndarray | float) -> None:
    bad = ~np.isfinite(np.atleast_1d(values))
    if bad.any():
        first = np.argwhere(bad)[0]
        place = f" (first at atom {first[0]})" if name in ("positions", "forces") else ""
        _refuse(
            frame,
            name,
            f"{int(bad.sum())} value(s) are NaN or infinite{place}",
            "remove the frame: the calculation it comes from failed",
        )


def _check_labels(frame: Frame, require: Sequence[str]) -> None:
    for name in ("energy", "forces", "stress"):
        value = getattr(frame, name)
        if value is not None:
            _check_finite(frame, name, value)
        elif name in require:
            found = ", ".join(frame.label_keys) or "nothing"
            _refuse(
                frame,
                name,
                f"missing; the frame has: {found}",
                f"name the right key ({name}_key), or label the frame",
            )


def _check_sizes(frame: Frame) -> None:
    for key, value in frame.info.items():
        if "unit" in key.lower() and _FOREIGN_UNITS.search(str(value)):
            _refuse(frame, key, f"the file says {key}={value}; expected eV and Angstrom", _CONVERT)
    if frame.energy is not None:
        bound = _ENERGY_MARGIN * _THOMAS_FERMI_EV * float(np.sum(frame.numbers ** (7.0 / 3.0)))
        if abs(frame.energy) > bound:
            _refuse(
                frame,
                "energy",
                f"{frame.energy:.6g} eV is more than all electrons of these {len(frame)} atoms "
                f"can bind ({-bound:.3g} eV); this looks like kcal/mol or kJ/mol",
                _CONVERT,
            )
    if frame.forces is not None:
        rms = float(np.sqrt(np.mean(frame.forces**2)))
        if rms > _MAX_FORCE_RMS:
            _refuse(
                frame,
                "forces",
                f"root mean square {rms:.3g} eV/A, expected less than {_MAX_FORCE_RMS:g}",
                "convert the file to eV/A, or remove the frame if atoms overlap",
            )
    if frame.stress is not None:
        largest = float(np.abs(frame.stress).max())
        if largest > _MAX_STRESS:
            _refuse(
                frame,
                "stress",
                f"{largest:.3g} eV/A^3, expected less than {_MAX_STRESS:g}; this looks like kbar, "
                "GPa or a virial in eV",
                "convert the file to eV/A^3 (1 eV/A^3 = 160.2 GPa; stress = -virial/volume)",
            )
        if np.abs(frame.stress - frame.stress.T).max() > 1e-3 * largest + 1e-6:
            _refuse(
                frame,
                "stress",
                "the tensor is not symmetric",
                "check the order of its components (9 numbers, or xx yy zz yz xz xy)",
            )


def _check_distances(frame: Frame) -> float:
    """Refuse overlapping atoms; return the smallest distance over sum of covalent radii."""
    distance, neighbour = nearest_neighbours(frame)
    atom = int(distance.argmin())
    if distance[atom] < _MIN_DISTANCE:
        _refuse(
            frame,
            "positions",
            f"atoms {atom} and {int(neighbour[atom])} are {distance[atom]:.3f} A apart, expected "
            f"at least {_MIN_DISTANCE} A; this looks like nm, fractional coordinates or overlap",
            "convert positions and cell to Angstrom, or remove the frame",
        )
    bonded = ~np.isin(frame.numbers, _NOBLE_GASES) & np.isfinite(distance)
    if not bonded.any():
        return float("nan")
    radii = covalent_radii[frame.numbers] + covalent_radii[frame.numbers[neighbour]]
    return float((distance[bonded] / radii[bonded]).min())


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
            _refuse(
                group[worst],
                "energy",
                f"{away[worst]:.3g} eV per atom away from the median of the {len(group)} frames of "
                f"the same composition, expected less than {_MAX_SPREAD:g}",
                "check this frame's calculation, and that all frames use one unit and method",
            )


def _remarks(frames: Sequence[Frame], stretch: np.ndarray) -> list[str]:
    remarks = []
    file = frames[0].source[0] or "frames"
    known = stretch[np.isfinite(stretch)]
    if len(known) and np.median(known) > _STRETCHED:
        remarks.append(
            f"{file}: nearest neighbours are {np.median(known):.2f} times the sum of their "
            "covalent radii apart; are the positions in Bohr?"
        )
    net = [
        np.linalg.norm(frame.forces.sum(axis=0)) / len(frame)
        for frame in frames
        if frame.forces is not None and len(frame) > 1
    ]
    if net and max(net) > 0.01:
        remarks.append(
            f"{file}: forces do not sum to zero (up to {max(net):.3g} eV/A per atom), which no "
            "energy of the atoms alone can give; were atoms held fixed, or an external field used?"
        )
    still = sum(
        frame.forces is not None and len(frame) > 1 and not frame.forces.any() for frame in frames
    )
    if still:
        remarks.append(
            f"{file}: {still} frame(s) have forces of exactly zero; are they labelled at all?"
        )
    return remarks
