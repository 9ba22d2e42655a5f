# SPDX-License-Identifier: GPL-2.0-or-later
"""The LAMMPS fixes of an ensemble, and the degrees of freedom that its temperature counts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from egraff.lammps.run_settings import RunSettings

Stage = Literal["equilibrate", "production"]


@dataclass(frozen=True)
class System:
    """What a script needs to know about the structure.

    Attributes:
        n_atoms: number of atoms.
        elements: element of each atom type.
        pbc: periodic or not, along each box vector.
        triclinic: whether the box has tilt factors.
        rigid_dof: degrees of freedom without thermal energy if the structure does not rotate.
        rotates: whether the structure's own velocities carry angular momentum (molecules).
    """

    n_atoms: int
    elements: tuple[str, ...]
    pbc: tuple[bool, bool, bool]
    triclinic: bool
    rigid_dof: int
    rotates: bool

    @property
    def molecule(self) -> bool:
        """Whether no direction is periodic."""
        return not any(self.pbc)


@dataclass(frozen=True)
class Start:
    """Where a script starts.

    Attributes:
        restart: restart file relative to the run directory; None for the data file.
        stage: the stage that the restart belongs to.
        step: the step that it holds.
    """

    restart: str | None = None
    stage: Stage = "equilibrate"
    step: int = 0


def ensemble_of(settings: RunSettings, stage: Stage) -> str:
    """Return the ensemble of a stage; what is equilibrated for nve needs a thermostat."""
    if stage == "equilibrate" and settings.ensemble == "nve":
        return "nvt"
    return settings.ensemble


def conserved_column(settings: RunSettings) -> str:
    """Return the column of the log that a faithful integration of the production conserves.

    ``Econserve`` is the total energy less what thermostat and barostat have put in.
    """
    return "TotEng" if settings.ensemble == "nve" else "Econserve"


def integrator_lines(
    settings: RunSettings, system: System, stage: Stage, start: Start
) -> list[str]:
    """Return the fixes that move the atoms."""
    ensemble = ensemble_of(settings, stage)
    target = f"{settings.temperature:.12g}"
    temperature = f"{target} {target} {settings.damp_ps:.12g}"
    pressure = ""
    if settings.target_pressure_bar is not None:
        target = f"{settings.target_pressure_bar:.12g}"
        pressure = f"{settings.barostat} {target} {target} {settings.barostat_damp_ps:.12g}"
    nose_hoover = settings.thermostat == "nose-hoover"
    if ensemble == "nve":
        return [f"fix             {stage} all nve"]
    if nose_hoover and ensemble == "nvt":
        lines = [f"fix             {stage} all nvt temp {temperature}"]
    elif nose_hoover:
        lines = [f"fix             {stage} all npt temp {temperature} {pressure}"]
    elif ensemble == "nvt":
        lines = [f"fix             {stage} all nve"]
    else:
        lines = [f"fix             {stage} all nph {pressure}"]
    seed = stage_seed(settings.seed, stage, start)
    bath = stage
    if settings.thermostat == "csvr":
        bath = f"{stage}_bath"
        lines.append(f"fix             {bath} all temp/csvr {temperature} {seed}")
    if settings.thermostat == "langevin":
        # zero yes: the random forces add up to nothing, so the whole does not start to drift
        # tally yes: econserve counts what it gives and takes
        lines.append(
            f"fix             {stage}_bath all langevin {temperature} {seed} zero yes tally yes"
        )
        return lines
    if system.molecule:
        lines.append(f"fix_modify      {bath} temp thermo_temp")
    angular = " angular" if system.molecule else ""
    lines += [
        "# rounding errors must not turn thermal energy into drift of the whole",
        f"fix             {stage}_drift all momentum 100 linear 1 1 1{angular} rescale",
    ]
    return lines


def fix_names(settings: RunSettings, stage: Stage) -> list[str]:
    """Return the names of the fixes of :func:`integrator_lines`, last first."""
    if ensemble_of(settings, stage) == "nve":
        return [stage]
    names = [stage]
    if settings.thermostat != "nose-hoover":
        names.insert(0, f"{stage}_bath")
    if settings.thermostat != "langevin":
        names.insert(0, f"{stage}_drift")
    return names


def dof_line(settings: RunSettings, system: System, stage: Stage) -> str:
    """Tell the thermometer how many degrees of freedom hold no thermal energy.

    A molecule in vacuum that does not rotate lacks its rotations too. Langevin noise makes it
    rotate; velocities from a file may already do so, unless a thermostatted stage stops them.
    """
    rotates = False
    if ensemble_of(settings, stage) != "nve":
        rotates = settings.thermostat == "langevin"
    elif settings.velocities == "structure" and not settings.equilibrate_steps:
        rotates = system.rotates
    fixed = 3 if rotates or not system.molecule else system.rigid_dof
    return f"compute_modify  thermo_temp extra/dof {fixed}"


def stage_seed(seed: int, stage: Stage, start: Start) -> int:
    """Return a seed that differs between stages and between resumed parts.

    A thermostat that starts again with its old seed repeats its old noise.
    """
    text = f"{seed} {stage} {start.stage} {start.step}"
    digest = hashlib.sha256(text.encode()).digest()
    return 1 + int.from_bytes(digest[:4], "big") % 900_000_000
