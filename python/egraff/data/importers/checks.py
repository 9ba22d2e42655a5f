# SPDX-License-Identifier: GPL-2.0-or-later
"""What imported frames are checked for, beyond being whole: units, copies, leakage, consistency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from egraff.data.consistency import Slope, energy_force_slope
from egraff.data.frames import Frame
from egraff.data.importers.units import Units
from egraff.data.isolated_atoms import isolated_energies, separate_isolated_atoms
from egraff.data.overlap import find_overlap, find_repeats
from egraff.data.validation import validate_frames
from egraff.errors import InputError

Findings = dict[str, Any]

_QUIET = 0.5  # A; half of the atoms move less, so the frames follow one another
_LEAP = 4.0  # A; no atom gets there meanwhile, and cells of crystals are seldom narrower


def check_part(frames: Sequence[Frame], units: Units, source: Path) -> tuple[Findings, list[str]]:
    """Refuse frames that cannot be right; return what was measured, and remarks.

    Args:
        frames: in eV and Angstrom.
        units: what they were converted from.
        source: where they come from, for messages.

    Returns:
        Findings for the manifest: repeated geometries, and the slope of energies against the work
        of the forces where frames follow one another; and remarks for the user.

    Raises:
        InputError: energies and forces are not in the units stated, or the frames are not sound.
    """
    molecules, isolated = separate_isolated_atoms(frames)
    findings: Findings = {}
    remarks = []
    if isolated:
        remarks += validate_frames(isolated, require=())
        isolated_energies([atom for atom in isolated if atom.energy is not None])
    if not molecules:
        return findings, remarks
    slope = energy_force_slope(molecules)
    _refuse_mixed_units(slope, units, source)
    remarks += validate_frames(molecules, require=())
    findings["repeated_geometries"] = len(find_repeats(molecules))
    findings["energy_over_work_of_forces"] = _told(slope)
    return findings, remarks


def refuse_lost_cell(frames: Sequence[Frame], source: Path) -> None:
    """Refuse molecules whose atoms leap while all others hardly move: wrapped, without their cell.

    Raises:
        InputError: that happens in more than one pair of consecutive frames.
    """
    leaps = []
    for first, second in pairwise(frames):
        if first.pbc.any() or second.pbc.any() or not np.array_equal(first.numbers, second.numbers):
            continue
        step = np.abs(second.positions - first.positions).max(axis=1, initial=0.0)
        if len(step) > 1 and np.median(step) < _QUIET and step.max() > _LEAP:
            leaps.append(float(step.max()))
    if len(leaps) > 1:
        raise InputError(
            f"expected molecules, as there is no periodic cell, got atoms that leap by "
            f"{min(leaps):.1f} A and more between consecutive frames in which the others move less "
            f"than {_QUIET} A ({len(leaps)} pairs); this looks like a crystal or liquid whose cell "
            "was lost",
            where=source,
            fix="import another file of the set that has the cell, or say --no-periodic",
        )


def _refuse_mixed_units(slope: Slope | None, units: Units, source: Path) -> None:
    mistake = slope.unit_mistake() if slope is not None else None
    if mistake:
        raise InputError(
            f"taken as {units.energy} and {units.force} ({units.said_by}), energies change "
            f"{slope.slope:.4g} times as much as the forces say over {slope.n_pairs} consecutive "
            f"frames, expected 1; this looks like {mistake}, after conversion",
            where=source,
            field="energy and forces",
            fix="state both units: --energy-unit and --force-unit",
        )


def _told(slope: Slope | None) -> Findings:
    if slope is None:
        return {"judged": False, "why": "no two frames follow one another"}
    return {
        "judged": slope.judged,
        "slope": round(slope.slope, 6),
        "correlation": round(slope.correlation, 6),
        "pairs": slope.n_pairs,
    }


def find_overlaps(parts: Mapping[str, Sequence[Frame]]) -> dict[tuple[str, str], int]:
    """Count the frames of each part whose geometry another part has, too.

    Args:
        parts: frames by name.

    Returns:
        For pairs of parts, in their order, the number of frames of the second that are in the
        first; pairs without any are left out.
    """
    atoms = {name: {frame.numbers.tobytes() for frame in part} for name, part in parts.items()}
    found = {}
    for first, second in combinations(parts, 2):
        if atoms[first].isdisjoint(atoms[second]):
            continue
        if number := len(find_overlap(parts[first], parts[second])):
            found[first, second] = number
    return found
