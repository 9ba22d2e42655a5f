# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that defines a run: names, defaults, limits, and the checks before any work starts.

The fields are the flags of ``egraff run`` (``timestep_fs`` is ``--timestep-fs``) and the keys of
its YAML file. The command line imports this module at once, so it is light.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticUndefined

from egraff.errors import InputError
from egraff.metadata import pair_name

DEFAULT_DAMP_PS = {"csvr": 0.1, "nose-hoover": 0.1, "langevin": 1.0}
"""Relaxation time of each thermostat in ps when none is given.

Langevin friction disturbs the dynamics most, so it is the weakest: 1/ps.
"""

DEFAULT_PRESSURE_BAR = 1.0
"""Target of an npt run when none is given."""

LARGEST_TIMESTEP_FS = 10.0
"""No atomistic force field integrates stably beyond this; larger values are unit mistakes."""

GUARDS = ("min_distance", "max_force", "max_temperature")
"""Settings that limit what a run may do (:mod:`~egraff.lammps.guards`)."""

CHANGEABLE_ON_RESUME = (
    "steps",
    "ranks",
    "threads",
    "device",
    "restart_every",
    "lmp",
    "mpirun",
    *GUARDS,
)
"""Settings that a resumed run may change; all others describe the trajectory itself."""

Limit = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class RunSettings(BaseModel):
    """The settings of one run; the description of each is the help of its flag."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: Path = Field(description="Exported model, NAME.egraff.pt.")
    structure: Path = Field(
        description="Start structure: a LAMMPS dump or data file, or any that ASE reads."
    )
    frame: int = Field(
        default=0, description="Frame of the structure file, from 0; negative from the end."
    )
    elements: tuple[str, ...] | None = Field(
        default=None,
        description='Symbols of atom types 1, 2, ... of a LAMMPS dump or data file, "O H".',
    )
    replicate: tuple[int, int, int] = Field(
        default=(1, 1, 1), description="Repetitions along a, b and c."
    )
    ensemble: Literal["nve", "nvt", "npt"] = Field(default="nve", description="nve, nvt or npt.")
    temperature: float = Field(
        default=300.0,
        gt=0,
        allow_inf_nan=False,
        description="Target in K, also of the velocities that are drawn.",
    )
    pressure_bar: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description=f"Target in bar, npt only. (default {DEFAULT_PRESSURE_BAR:g})",
    )
    steps: int = Field(
        default=1000,
        ge=0,
        description="Length in steps, in total: --resume continues up to it.",
    )
    timestep_fs: float = Field(
        default=1.0,
        gt=0,
        le=LARGEST_TIMESTEP_FS,
        allow_inf_nan=False,
        description="Time step in fs.",
    )
    thermostat: Literal["nose-hoover", "csvr", "langevin"] = Field(
        default="csvr",
        description="csvr (stochastic velocity rescaling, right even for few or stiff degrees of "
        "freedom), nose-hoover (deterministic) or langevin (friction on every atom).",
    )
    thermostat_damp_ps: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Relaxation time of the thermostat in ps. "
        f"(default {', '.join(f'{name} {damp:g}' for name, damp in DEFAULT_DAMP_PS.items())})",
    )
    barostat: Literal["iso", "aniso", "tri"] = Field(
        default="iso", description="iso (volume), aniso (three lengths) or tri (and tilts)."
    )
    barostat_damp_ps: float = Field(
        default=1.0,
        gt=0,
        allow_inf_nan=False,
        description="Relaxation time of the cell in ps.",
    )
    velocities: Literal["draw", "structure", "zero"] = Field(
        default="draw",
        description="First velocities: draw (Maxwell-Boltzmann, without drift and, for molecules, "
        "without rotation), structure (from the file) or zero.",
    )
    equilibrate_steps: int = Field(
        default=0, ge=0, description="Thermostatted steps before the run, not recorded."
    )
    min_distance: Literal["auto"] | Limit | dict[str, float] | None = Field(
        default="auto",
        description="The run stops where atoms are closer, in A: a number, or numbers by pairs, "
        "C-H:0.7,H-H:0.5 (the others stay auto, 0: no limit); auto: from the training data.",
    )
    max_force: Literal["auto"] | Limit | None = Field(
        default="auto",
        description="The run stops where the force on an atom is larger, in eV/A; auto: from the "
        "training data.",
    )
    max_temperature: Literal["auto"] | Limit | None = Field(
        default="auto",
        description="The run stops where it is hotter, in K; auto: from --temperature.",
    )
    seed: int = Field(
        default=1, ge=1, le=900_000_000, description="Of velocities and stochastic thermostats."
    )
    dump_every: int = Field(
        default=100, ge=0, description="Steps between frames of the trajectory, 0 for none."
    )
    thermo_every: int = Field(default=10, ge=1, description="Steps between lines of the log.")
    restart_every: int = Field(
        default=1000, ge=0, description="Steps between restart files, 0 for the last only."
    )
    ranks: int = Field(default=1, ge=1, description="MPI ranks.")
    threads: int = Field(default=1, ge=1, description="Threads per rank.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where the model runs: auto, cpu or cuda."
    )
    lmp: Path | None = Field(
        default=None, description="Another LAMMPS executable than this environment's."
    )
    mpirun: str | None = Field(
        default=None,
        description="Another MPI launcher, for example srun; it is called with -n RANKS.",
    )

    @field_validator("min_distance", mode="before")
    @classmethod
    def _by_pairs(cls, value: Any) -> Any:
        """Read pairs as the pair style writes them, ``C-H:0.7,H-H:0.5``, and name them alike."""
        if isinstance(value, str) and ":" in value:
            value = dict(entry.partition(":")[::2] for entry in value.split(","))
        if not isinstance(value, dict):
            return value
        found = {}
        for pair, distance in value.items():
            ends = str(pair).split("-")
            if len(ends) != 2 or not 0.0 <= float(distance) < math.inf:
                raise ValueError(_PAIRS)
            found[pair_name(*ends)] = float(distance)
        return found

    @property
    def timestep_ps(self) -> float:
        """The time step in LAMMPS's metal unit."""
        return self.timestep_fs / 1000.0

    @property
    def is_thermostatted(self) -> bool:
        """Whether a thermostat acts in any stage."""
        return self.ensemble != "nve" or self.equilibrate_steps > 0

    @property
    def sets_temperature(self) -> bool:
        """Whether ``temperature`` is the run's: by a thermostat, or by its first velocities."""
        return self.is_thermostatted or self.velocities == "draw"

    @property
    def damp_ps(self) -> float:
        """The thermostat's relaxation time in ps."""
        return self.thermostat_damp_ps or DEFAULT_DAMP_PS[self.thermostat]

    @property
    def target_pressure_bar(self) -> float | None:
        """The pressure of an npt run in bar, None for the other ensembles."""
        if self.ensemble != "npt":
            return None
        return DEFAULT_PRESSURE_BAR if self.pressure_bar is None else self.pressure_bar


def help_of(name: str) -> str:
    """Return the help of a setting's flag: what it is, and its default."""
    field = RunSettings.model_fields[name]
    text, default = field.description or "", field.default
    if default is None or default is PydanticUndefined:
        return text
    shown = default if isinstance(default, tuple) else (default,)
    return (
        text + f" (default {' '.join(f'{x:g}' if isinstance(x, float) else str(x) for x in shown)})"
    )


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
        from egraff.data.lammps.elements import parse_elements  # takes longer than all of this

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
    if (
        settings.is_thermostatted
        and settings.velocities == "zero"
        and settings.thermostat != "langevin"
    ):
        raise InputError(
            f"expected velocities that {settings.thermostat} can scale, got zero",
            **_place("velocities", files),
            fix="draw them, or use the thermostat langevin, which also heats atoms at rest",
        )
    if min(settings.replicate) < 1:
        raise InputError(
            f"expected three whole numbers from 1, got {list(settings.replicate)}",
            **_place("replicate", files),
            fix=_HINTS["replicate"],
        )
    return settings


_PAIRS = "a number above 0, or distances by pairs of elements"

_EXPECTED = {
    "replicate": "three whole numbers",
    "min_distance": _PAIRS,
    "max_force": "a number above 0",
    "max_temperature": "a number above 0",
}
"""What a setting is, where pydantic's own words are about its type in Python."""

_HINTS = {
    "temperature": "give a temperature in K above zero (velocities: zero starts from rest)",
    "steps": "give the length of the run in steps, 0 for the energy and forces of the structure",
    "timestep_fs": "give the time step in fs; 0.5 to 2 is usual",
    "replicate": "give three numbers, one per lattice vector; 1 1 1 leaves the structure as it is",
    "min_distance": "give a distance in A, or distances by pairs as C-H:0.7,H-H:0.5; "
    "--no-guard-distance sets no limit",
    "max_force": "give a force in eV/A above zero; --no-guard-force sets no limit",
    "max_temperature": "give a temperature in K above zero; --no-guard-temperature sets no limit",
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
    if name in _EXPECTED:
        expected = _EXPECTED[name]
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
