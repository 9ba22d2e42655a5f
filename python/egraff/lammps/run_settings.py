# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that defines a run: names, defaults, limits, and the checks before any work starts.

The fields are the flags of ``egraff run`` (``timestep_fs`` is ``--timestep-fs``) and the keys of
its YAML file.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from egraff.data.lammps.elements import parse_elements
from egraff.errors import InputError

DEFAULT_DAMP_PS = {"nose-hoover": 0.1, "csvr": 0.1, "langevin": 1.0}
"""Relaxation time of each thermostat in ps when none is given.

Langevin friction disturbs the dynamics most, so it is the weakest: 1/ps.
"""

LARGEST_TIMESTEP_FS = 10.0
"""No atomistic force field integrates stably beyond this; larger values are unit mistakes."""

CHANGEABLE_ON_RESUME = ("steps", "ranks", "threads", "device", "restart_every", "lmp", "mpirun")
"""Settings that a resumed run may change; all others describe the trajectory itself."""


class RunSettings(BaseModel):
    """The settings of one run.

    Attributes:
        model: exported model.
        structure: start structure, a LAMMPS dump or data file, or any that ASE reads.
        frame: which frame of it, from 0; negative values count from the end.
        elements: symbol of each atom type of a LAMMPS dump or data file that does not tell them.
        replicate: repetitions along the three lattice vectors.
        ensemble: nve, nvt or npt.
        temperature: target temperature in K, also of the velocities that are drawn.
        pressure_bar: target pressure (npt); 1 bar if not given.
        steps: length of the run in steps, in total: a resumed run continues up to it.
        timestep_fs: time step in fs.
        thermostat: nose-hoover (deterministic), csvr (stochastic velocity rescaling; right even
            for few or stiff degrees of freedom), or langevin (friction on every atom).
        thermostat_damp_ps: its relaxation time in ps (default: :data:`DEFAULT_DAMP_PS`).
        barostat: iso (volume), aniso (three lengths) or tri (lengths and tilts).
        barostat_damp_ps: relaxation time of the cell in ps.
        velocities: draw (Maxwell-Boltzmann at the target temperature, without drift and, for
            molecules, without rotation), structure (from the file), or zero.
        equilibrate_steps: thermostatted steps before the run, which are not recorded.
        seed: of the velocities and of stochastic thermostats.
        dump_every: steps between frames of the trajectory; 0 for none.
        thermo_every: steps between lines of the log.
        restart_every: steps between restart files; 0 for the final one only.
        ranks: MPI ranks.
        threads: threads per rank.
        device: where the model runs: auto, cpu or cuda.
        lmp: another LAMMPS executable than the one of this environment.
        mpirun: another MPI launcher, for example ``srun``; it is called with ``-n RANKS``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: Path
    structure: Path
    frame: int = 0
    elements: tuple[str, ...] | None = None
    replicate: tuple[int, int, int] = (1, 1, 1)
    ensemble: Literal["nve", "nvt", "npt"] = "nve"
    temperature: float = Field(default=300.0, gt=0, allow_inf_nan=False)
    pressure_bar: float | None = Field(default=None, allow_inf_nan=False)
    steps: int = Field(default=1000, ge=0)
    timestep_fs: float = Field(default=1.0, gt=0, le=LARGEST_TIMESTEP_FS, allow_inf_nan=False)
    thermostat: Literal["nose-hoover", "csvr", "langevin"] = "nose-hoover"
    thermostat_damp_ps: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    barostat: Literal["iso", "aniso", "tri"] = "iso"
    barostat_damp_ps: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    velocities: Literal["draw", "structure", "zero"] = "draw"
    equilibrate_steps: int = Field(default=0, ge=0)
    seed: int = Field(default=1, ge=1, le=900_000_000)
    dump_every: int = Field(default=100, ge=0)
    thermo_every: int = Field(default=10, ge=1)
    restart_every: int = Field(default=1000, ge=0)
    ranks: int = Field(default=1, ge=1)
    threads: int = Field(default=1, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    lmp: Path | None = None
    mpirun: str | None = None

    @property
    def timestep_ps(self) -> float:
        """The time step in LAMMPS's metal unit."""
        return self.timestep_fs / 1000.0

    @property
    def damp_ps(self) -> float:
        """The thermostat's relaxation time in ps."""
        return self.thermostat_damp_ps or DEFAULT_DAMP_PS[self.thermostat]

    @property
    def target_pressure_bar(self) -> float | None:
        """The pressure of an npt run in bar, None for the other ensembles."""
        if self.ensemble != "npt":
            return None
        return 1.0 if self.pressure_bar is None else self.pressure_bar


def make_settings(
    values: Mapping[str, Any], *, files: Mapping[str, str] | None = None
) -> RunSettings:
    """Check plain values, as flags or YAML give them, and return the settings.

    Args:
        values: settings by name; absent ones take their defaults.
        files: for settings that a configuration file gave, the file, for messages.

    Raises:
        InputError: a name that does not exist, a missing model or structure, or a value out of
            range; the first problem found is reported.
    """
    files = files or {}
    known = list(RunSettings.model_fields)
    for name in values:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise InputError(
                f"expected the name of a setting, got {name!r}",
                where=files.get(name),
                fix=f"did you mean {close[0]}?" if close else f"settings are: {', '.join(known)}",
            )
    values = dict(values)
    if isinstance(values.get("elements"), str):
        values["elements"] = parse_elements(values["elements"])
    try:
        settings = RunSettings.model_validate(values)
    except ValidationError as error:
        raise _readable(error, files) from None
    if settings.pressure_bar is not None and settings.ensemble != "npt":
        raise InputError(
            f"expected a pressure only with ensemble npt, got {settings.pressure_bar:g} bar with "
            f"{settings.ensemble}",
            **_place("pressure_bar", files),
            fix="use npt, or drop the pressure",
        )
    thermal = settings.ensemble != "nve" or settings.equilibrate_steps > 0
    if thermal and settings.velocities == "zero" and settings.thermostat != "langevin":
        raise InputError(
            f"expected velocities that {settings.thermostat} can scale, got zero",
            **_place("velocities", files),
            fix="draw them, or use the thermostat langevin, which also heats what rests",
        )
    if min(settings.replicate) < 1:
        raise InputError(
            f"expected three whole numbers from 1, got {list(settings.replicate)}",
            **_place("replicate", files),
            fix=_HINTS["replicate"],
        )
    return settings


def warnings_for(
    settings: RunSettings, *, elements: list[str], in_vacuum: bool = False
) -> list[str]:
    """Return what is allowed but probably not wanted.

    Args:
        settings: the settings of the run.
        elements: elements of the structure.
        in_vacuum: whether it is a molecule or cluster, without periodic directions.
    """
    found = []
    cores = len(os.sched_getaffinity(0))
    if settings.mpirun is None and settings.ranks * settings.threads > cores:
        found.append(
            f"{settings.ranks} ranks x {settings.threads} threads on {cores} cores: "
            "ranks will wait for each other; use at most one thread per core"
        )
    limit = 1.0 if "H" in elements else 5.0
    if settings.timestep_fs > limit:
        found.append(
            f"a time step of {settings.timestep_fs:g} fs is long for "
            f"{'hydrogen' if limit == 1.0 else 'atoms'} (usual: up to {limit:g} fs); "
            "check the energy drift"
        )
    if in_vacuum and settings.ensemble == "nvt" and settings.thermostat == "nose-hoover":
        found.append(
            "the thermostat nose-hoover samples single molecules poorly: heat stays in some of "
            "their vibrations; use --thermostat csvr"
        )
    return found


_HINTS = {
    "temperature": "give a temperature in K above zero (velocities: zero starts from rest)",
    "steps": "give the length of the run in steps, 0 for the energy and forces of the structure",
    "timestep_fs": "give the time step in fs; 0.5 to 2 is usual",
    "replicate": "give three numbers, one per lattice vector; 1 1 1 leaves the structure as it is",
    "ranks": "give the number of MPI ranks, at least 1",
    "threads": "give the number of threads per rank, at least 1",
}


def _readable(error: ValidationError, files: Mapping[str, str]) -> InputError:
    """Turn pydantic's first complaint into expected, got, what to do."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    if first["type"] == "missing" and len(first["loc"]) == 1:
        return InputError("expected a value, got none", field=_flag(name), fix=f"add {_flag(name)}")
    expected = str(first["msg"]).removeprefix("Input should be ").removeprefix("Input ")
    if name == "replicate":
        expected = "three whole numbers"
    return InputError(
        f"expected {expected}, got {first['input']!r}",
        **_place(name, files),
        fix=_HINTS.get(name, "see egraff run --help"),
    )


def _place(name: str, files: Mapping[str, str]) -> dict[str, str]:
    """Say where a setting was given: a key of a file, or a flag."""
    if name in files:
        return {"where": files[name], "field": name}
    return {"field": _flag(name)}


def _flag(name: str) -> str:
    """Return the flag of a setting."""
    return "--" + name.replace("_", "-")
