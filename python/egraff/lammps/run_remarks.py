# SPDX-License-Identifier: GPL-2.0-or-later
"""What is allowed but probably not wanted: told before a run starts, and kept in ``run.json``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from egraff.lammps.inputs_ensemble import System
from egraff.lammps.run_settings import RunSettings
from egraff.metadata import VISITED

USUAL_TIMESTEP_FS = {True: 1.0, False: 5.0}
"""Longest time step that is usual with hydrogen, and without."""

FEW_DOF = 150
"""Degrees of freedom below which a Nose-Hoover chain is not trusted to be ergodic: 50 atoms."""


def remarks_on(settings: RunSettings, system: System, metadata: Mapping[str, Any]) -> list[str]:
    """Return what the user should know about a run, in words.

    Args:
        settings: the settings of the run.
        system: what the structure is like.
        metadata: what the model says about itself.
    """
    found = [
        _crowded(settings),
        _long_step(settings, system),
        _not_equilibrated(settings),
        _not_ergodic(settings, system),
        _without_stress(settings, metadata),
    ]
    return [remark for remark in found if remark]


def _crowded(settings: RunSettings) -> str:
    cores = len(os.sched_getaffinity(0))
    if settings.mpirun is not None or settings.ranks * settings.threads <= cores:
        return ""
    return (
        f"{settings.ranks} ranks x {settings.threads} threads on {cores} cores: "
        "ranks will wait for each other; use at most one thread per core"
    )


def _long_step(settings: RunSettings, system: System) -> str:
    hydrogen = "H" in system.elements
    limit = USUAL_TIMESTEP_FS[hydrogen]
    if settings.timestep_fs <= limit:
        return ""
    return (
        f"a time step of {settings.timestep_fs:g} fs is long for "
        f"{'hydrogen' if hydrogen else 'atoms'} (usual: up to {limit:g} fs); "
        "see how well the energy is conserved"
    )


def _not_equilibrated(settings: RunSettings) -> str:
    if settings.is_thermostatted or settings.velocities != "draw" or not settings.steps:
        return ""
    return (
        f"nve without equilibration: velocities drawn at {settings.temperature:g} K share their "
        "energy with the potential, and about half of the temperature is left where the structure "
        "is relaxed; --equilibrate-steps brings the run to its temperature first"
    )


def _not_ergodic(settings: RunSettings, system: System) -> str:
    dof = 3 * system.n_atoms - system.rigid_dof
    if not settings.is_thermostatted or settings.thermostat != "nose-hoover" or dof >= FEW_DOF:
        return ""
    return (
        f"the thermostat nose-hoover samples few degrees of freedom ({dof}) poorly: heat stays in "
        "some of the vibrations; use --thermostat csvr"
    )


def _without_stress(settings: RunSettings, metadata: Mapping[str, Any]) -> str:
    if settings.ensemble != "npt":
        return ""
    seen = (metadata.get("training_data") or {}).get(VISITED)
    if seen is not None and seen["n_stress_frames"] > 0:
        return ""
    origin = (
        "the model's file does not tell whether it learnt stress"
        if seen is None
        else "the model was trained without stress"
    )
    return (
        f"npt, but {origin}: nothing has tested the pressure that moves the cell; compare the "
        "model's stress with the reference's (egraff eval) before the density is believed"
    )
