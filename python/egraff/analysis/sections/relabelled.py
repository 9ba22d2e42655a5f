# SPDX-License-Identifier: GPL-2.0-or-later
"""Violations along the run's own trajectory, from frames of it labelled by another method.

The dump holds the model's forces and the log its energies, so the model is not evaluated again.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.geometry import find_mic

from egraff.analysis.context import AnalysisContext
from egraff.analysis.reference import Reference
from egraff.analysis.replay import Replay, replay_metrics
from egraff.analysis.section import Section
from egraff.analysis.trajectory.fields import frame_forces
from egraff.analysis.trajectory.reader import standard_cell
from egraff.errors import InputError

#: A labelled frame may differ from the dumped one by this much in any atom, Angstrom: quantum
#: codes write as few as four decimals.
POSITION_TOLERANCE = 2e-3
_STEP_KEYS = ("step", "timestep", "Timestep")


def relabelled(context: AnalysisContext) -> Section:
    """EV and FV of the run's model on the frames it visited.

    Frames are found by their step (``info["step"]`` or ``info["timestep"]``), otherwise in order,
    one label for each dumped frame; either way positions and cell must be the dumped ones, up to
    periodic images and one shift of all atoms.

    Raises:
        InputError: a fix added to the forces; labels are missing; a frame is not in the dump, or
            is another structure; the dump has no forces.
    """
    run, labels = context.run, context.labels
    if run.added_forces:
        raise InputError(
            f"expected forces of the model alone, got forces that include {run.added_forces}",
            where=run.dump,
            fix="dump forces without that fix (LAMMPS: rerun), or use another thermostat (csvr)",
        )
    universe = context.universe()
    trajectory = universe.trajectory
    section = Section()
    energies = _energies(context)
    rows, steps, times = [], [], []
    for number, index in enumerate(_matches(labels, trajectory.steps)):
        frame, field = labels.frames[number], f"frame {number}"
        known = frame.calc.results if frame.calc is not None else {}
        for label in ("energy", "forces"):
            if label not in known:
                raise InputError(
                    f"expected {label} as a label, got {', '.join(known) or 'none'}",
                    where=labels.path,
                    field=field,
                    fix="give frames labelled with energies and forces",
                )
        ts = trajectory[index]
        rotation = _same_structure(frame, universe.atoms.elements, ts, labels.path, field)
        step = int(trajectory.steps[index])
        steps.append(step)
        times.append(ts.time)
        rows.append(
            (
                energies.get(step, np.nan),
                known["energy"],
                frame_forces(universe.atoms).copy(),
                known["forces"] @ rotation,
            )
        )
    energy, energy_ref, forces, forces_ref = (np.array(part) for part in zip(*rows, strict=True))
    result = Replay(np.array(times), True, energy, energy_ref, forces, forces_ref)
    has_energy = bool(np.all(np.isfinite(energy)))
    if not has_energy:
        lost = [step for step, value in zip(steps, energy, strict=True) if not np.isfinite(value)]
        section.problems.append(
            f"{run.log.name}: no potential energy of {len(lost)} labelled steps, the first is "
            f"{lost[0]}; energy violations left out (print thermo output whenever you dump)"
        )
        result = Replay(result.time_ps, True, energy_ref, energy_ref, forces, forces_ref)
    provenance = (
        f"forces of {run.dump.name}, energies of {run.log.name}; "
        f"{len(rows)} frames of {labels.name}"
    )
    section.metrics = [
        metric
        for metric in replay_metrics(result, provenance=provenance, prefix="rollout")
        if has_energy or "fv" in metric.name or "force" in metric.name
    ]
    section.curves = {"rollout/time": result.time_ps, "rollout/fv": result.fv}
    if has_energy:
        section.curves["rollout/ev"] = result.ev
    return section


def _energies(context: AnalysisContext) -> dict[int, float]:
    """Potential energy at each step of the log, eV."""
    if not context.run.log.is_file():
        return {}
    energies, steps = context.column("poteng", "pe"), context.column("step")
    if energies is None or steps is None:
        return {}
    return dict(zip(steps.astype(np.int64).tolist(), energies.tolist(), strict=True))


def _matches(labels: Reference, steps: np.ndarray) -> list[int]:
    """Index in the dump of every labelled frame."""
    key = next((k for k in _STEP_KEYS if all(k in f.info for f in labels.frames)), None)
    if key is None:
        if len(labels.frames) != len(steps):
            raise InputError(
                f"expected one label for each of the {len(steps)} dumped frames, got "
                f"{len(labels.frames)}",
                where=labels.path,
                fix="write the LAMMPS step of each frame as step=... to label only some",
            )
        return list(range(len(steps)))
    place = {int(step): index for index, step in enumerate(steps)}
    found = []
    for number, frame in enumerate(labels.frames):
        step = int(frame.info[key])
        if step not in place:
            raise InputError(
                f"expected a dumped step from {steps[0]} to {steps[-1]}, got {step}",
                where=labels.path,
                field=f"frame {number}: {key}",
            )
        found.append(place[step])
    return found


def _same_structure(frame: Atoms, elements: np.ndarray, ts, where: str, field: str) -> np.ndarray:
    """Rotation from the labelled frame to the dumped one, `[3, 3]`, when they are the same."""
    if frame.get_chemical_symbols() != list(elements):
        raise InputError(
            f"expected the {len(elements)} atoms of the dump in order of id, got "
            f"{frame.get_chemical_formula()} or a different order",
            where=where,
            field=field,
        )
    positions, cell, rotation = frame.positions, np.array(ts.data["cell"]), np.eye(3)
    pbc = ts.data["pbc"]
    if all(pbc):
        own, rotation = standard_cell(np.array(frame.cell))
        if np.abs(own - cell).max() > POSITION_TOLERANCE:
            raise InputError(
                f"expected the cell of the dumped frame within {POSITION_TOLERANCE:g} A, got a "
                f"difference of {np.abs(own - cell).max():.3g} A",
                where=where,
                field=field,
            )
        positions = positions @ rotation
    difference = positions - ts.data["positions"]
    difference = difference - difference[0]
    if any(pbc):
        difference = find_mic(difference, cell, pbc)[0]
    worst = float(np.abs(difference - difference.mean(axis=0)).max())
    if not worst <= POSITION_TOLERANCE:
        raise InputError(
            f"expected the positions of step {ts.data['step']} within {POSITION_TOLERANCE:g} A, "
            f"got a difference of {worst:.3g} A",
            where=where,
            field=field,
            fix="give the frames in their order, or the step of each as step=...",
        )
    return rotation
