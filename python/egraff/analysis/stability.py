# SPDX-License-Identifier: GPL-2.0-or-later
"""For how long a simulation stayed physical, by named criteria.

``guard`` is what ``egraff run`` stopped itself for. The first three of the others look at the log,
the rest at the trajectory:

- ``lammps-error``: LAMMPS stopped with an error.
- ``not-finite``: an energy, temperature or position is NaN or infinite.
- ``temperature``: above ``temperature_factor`` times the target (or the first value, in NVE).
- ``lost-atoms``: a frame has fewer atoms than the first.
- ``minimum-distance``: two atoms nearer than ``overlap_factor`` times the sum of their radii.
- ``bond-break``: a bond of the first frame is longer or shorter by more than ``bond_change`` (0.5
  Angstrom, after Fu et al., Trans. Mach. Learn. Res. 2023, arXiv:2210.07237); molecules only.
- ``rdf-drift``: the integral over r of |g - g_ref|, g averaged over ``rdf_window_ps``, above
  ``rdf_limit`` (the same source: 1 ps; 3.0 A for water, 1.0 A for LiPS) by more than three times
  the scatter of the reference itself, which a small box has more of; periodic systems with a
  reference only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from egraff.analysis.bonds import bond_lengths, find_bonds, radii_of
from egraff.analysis.logs.thermo_log import ThermoLog
from egraff.analysis.metric import Metric
from egraff.analysis.structure import Structure
from egraff.data.lammps.dump_file import DumpFile
from egraff.errors import InputError
from egraff.neighbours import find_edges

_POSITIONS = frozenset(f"{axis}{kind}" for axis in "xyz" for kind in ("", "s", "u", "su"))


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """Limits of the criteria; see the module for what they mean."""

    temperature_factor: float = 5.0
    overlap_factor: float = 0.5
    bond_change: float = 0.5
    rdf_window_ps: float = 1.0
    rdf_limit: float = 1.0


@dataclass(frozen=True)
class Violation:
    """The first time a criterion is not met.

    Attributes:
        criterion: its name.
        time_ps: when.
        message: what was found and what the limit is.
        frame: number of the offending dump frame, if it was found in one.
    """

    criterion: str
    time_ps: float
    message: str
    frame: int | None = None


def check_log(
    log: ThermoLog, times_ps: np.ndarray, target_K: float | None, criteria: Criteria
) -> list[Violation]:
    """Violations that show in the thermo output.

    Args:
        log: the output.
        times_ps: of its rows.
        target_K: temperature of the thermostat; None for the first row's.
        criteria: the limits.
    """
    found = []
    if not log.runs or not sum(len(run.rows) for run in log.runs):
        return [Violation("lammps-error", 0.0, log.errors[0])] if log.errors else []
    time = times_ps
    names = {name.lower(): name for name in log.column_names()}
    if log.errors:
        found.append(Violation("lammps-error", float(time[-1]), log.errors[0]))
    for name in ("temp", "poteng", "pe", "toteng", "etotal"):
        if name not in names:
            continue
        bad = np.flatnonzero(~np.isfinite(log.column(name)))
        if bad.size:
            found.append(
                Violation("not-finite", float(time[bad[0]]), f"{names[name]} is not finite")
            )
            break
    if "temp" in names:
        temperature = log.column("temp")
        start = target_K if target_K else float(temperature[0])
        limit = criteria.temperature_factor * start
        high = np.flatnonzero(temperature > limit)
        if start > 0.0 and high.size:
            value = float(temperature[high[0]])
            found.append(
                Violation(
                    "temperature", float(time[high[0]]), f"{value:.4g} K, limit {limit:.4g} K"
                )
            )
    return found


def check_dump(
    dump: DumpFile, elements: np.ndarray, times_ps: np.ndarray, criteria: Criteria
) -> list[Violation]:
    """`check_frames` on a dump, lost atoms included; reading stops at the first bad frame."""
    frames = (dump.read(index, columns=_POSITIONS) for index in range(len(dump)))
    geometry = ((frame.positions(), frame.header.cell, frame.header.pbc) for frame in frames)
    return check_frames(geometry, elements, times_ps, criteria)


def check_frames(
    frames: Iterable[tuple[np.ndarray, np.ndarray, Sequence[bool]]],
    elements: np.ndarray,
    times_ps: np.ndarray,
    criteria: Criteria,
) -> list[Violation]:
    """The first violation that shows in the frames of a trajectory.

    Args:
        frames: positions `[n, 3]` and cell `[3, 3]` in Angstrom, and periodicity, of each frame.
        elements: of the atoms in order of id, `[n_atoms]`.
        times_ps: of the frames, `[n_frames]`.
        criteria: the limits.
    """
    radii = radii_of(elements)
    bonds, lengths = None, None
    for index, (positions, cell, pbc) in enumerate(frames):
        if len(positions) != len(elements):
            text = f"{len(positions)} of {len(elements)} atoms are left"
            return [Violation("lost-atoms", float(times_ps[index]), text, index)]
        problem = _check_frame(positions, cell, pbc, radii, criteria)
        if problem is None and not any(pbc):
            if bonds is None:
                bonds = find_bonds(positions, cell, (False,) * 3, elements)
                lengths = bond_lengths(positions, cell, (False,) * 3, bonds)
            problem = _check_bonds(positions, bonds, lengths, elements, criteria)
        if problem is not None:
            return [Violation(problem[0], float(times_ps[index]), problem[1], index)]
    return []


def _check_frame(
    positions: np.ndarray,
    cell: np.ndarray,
    pbc: Sequence[bool],
    radii: np.ndarray,
    criteria: Criteria,
) -> tuple[str, str] | None:
    if not np.all(np.isfinite(positions)):
        return "not-finite", "a position is not finite"
    factor = criteria.overlap_factor
    edges = find_edges(positions, cell, pbc, r_max=2.0 * factor * float(radii.max()))
    first, second = edges.index
    distance = np.linalg.norm(edges.vector, axis=1)
    limits = factor * (radii[first] + radii[second])
    close = np.flatnonzero(distance < limits)
    if not close.size:
        return None
    worst = close[np.argmin(distance[close] / limits[close])]
    return (
        "minimum-distance",
        f"atoms {first[worst] + 1} and {second[worst] + 1} are {distance[worst]:.3f} A apart, "
        f"limit {limits[worst]:.3f} A",
    )


def _check_bonds(positions, bonds, lengths, elements, criteria: Criteria) -> tuple[str, str] | None:
    if not len(bonds):
        return None
    now = bond_lengths(positions, np.zeros((3, 3)), (False,) * 3, bonds)
    change = np.abs(now - lengths)
    worst = int(np.argmax(change))
    if change[worst] <= criteria.bond_change:
        return None
    a, b = bonds[worst]
    return (
        "bond-break",
        f"bond {elements[a]}{a + 1}-{elements[b]}{b + 1} went from {lengths[worst]:.3f} to "
        f"{now[worst]:.3f} A, limit {criteria.bond_change:g} A",
    )


def check_rdf(
    curves: np.ndarray, times_ps: np.ndarray, reference: Structure, criteria: Criteria
) -> list[Violation]:
    """The first window in which the RDF of some species pair has left the reference's.

    Args:
        curves: g(r) of each frame, `[n_frames, n_pairs, n_bins]`.
        times_ps: `[n_frames]`.
        reference: on the same pairs and bins.
        criteria: window and limit.
    """
    # g of a molecule is a set of spikes without a volume to normalise it: bonds tell more there
    if len(times_ps) < 2 or not reference.periodic:
        return []
    scatter = reference.g_blocks.std(axis=0).sum(axis=1) * reference.bin_width
    limit = criteria.rdf_limit + 3.0 * scatter
    elapsed = times_ps - times_ps[0]
    # a window that the trajectory does not fill would average too little
    n_windows = int(elapsed[-1] / criteria.rdf_window_ps + 1e-9)
    window = np.floor(elapsed / criteria.rdf_window_ps + 1e-9).astype(int)
    for number in range(n_windows):
        inside = np.flatnonzero(window == number)
        if not len(inside):
            continue
        error = np.abs(curves[inside].mean(axis=0) - reference.g)
        integral = error.sum(axis=1) * reference.bin_width
        worst = int(np.argmax(integral - limit))
        if integral[worst] > limit[worst]:
            return [
                Violation(
                    "rdf-drift",
                    float(times_ps[inside[0]]),
                    f"int |g - g_ref| dr of {reference.pairs[worst]} is {integral[worst]:.3g} A, "
                    f"limit {limit[worst]:.3g} A",
                )
            ]
    return []


def stability_metric(violations: list[Violation], length_ps: float, *, provenance: str) -> Metric:
    """Time of the first violation, or the length of the run as a lower bound.

    Raises:
        InputError: the length of the run is negative.
    """
    if length_ps < 0.0:
        raise InputError(f"expected a length of at least 0 ps, got {length_ps}", where=provenance)
    text = {
        "name": "stability_time",
        "unit": "ps",
        "definition": "simulated time until the first criterion of stability is violated",
        "provenance": provenance,
    }
    if not violations:
        note = "no criterion violated: a lower bound, the length of the run"
        return Metric(value=length_ps, note=note, **text)
    first = min(violations, key=lambda violation: violation.time_ps)
    return Metric(
        value=min(first.time_ps, length_ps), note=f"{first.criterion}: {first.message}", **text
    )
