# SPDX-License-Identifier: GPL-2.0-or-later
"""How simulations of a benchmark are started, run and compared: versioned files of settings.

``egraff-1`` is the standard; ``egraffbench-2024`` repeats what the code of the published benchmark
does, and lists what is wrong with it, which is printed beside its numbers.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from egraff.errors import InputError
from egraff.settings_file import read_settings

STANDARD = "egraff-1"


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Stage(_Settings):
    """One simulation from each start.

    Attributes:
        ensemble: nve or nvt.
        thermostat: of ``egraff run``; also of the equilibration.
        thermostat_damp_ps: its relaxation time in ps.
        equilibrate_ps: thermostatted and not recorded, in ps.
        length_ps: recorded, in ps.
        dump_every_fs: time between frames in fs.
    """

    ensemble: Literal["nve", "nvt"]
    thermostat: Literal["csvr", "nose-hoover", "langevin"] = "csvr"
    thermostat_damp_ps: float = Field(default=0.1, gt=0)
    equilibrate_ps: float = Field(default=0.0, ge=0)
    length_ps: float = Field(gt=0)
    dump_every_fs: float = Field(default=10.0, gt=0)


class Protocol(_Settings):
    """A protocol.

    Attributes:
        name: its name and version.
        summary: what it is, in a sentence.
        faults: what is known to be wrong with it; printed beside its numbers.
        timestep_fs: time step in fs, unless a set has another.
        starts: independent simulations of each stage.
        start_frames: ``spread`` evenly over the frames to start from, or the ``first`` ones.
        velocities: ``draw`` or ``zero``, as of ``egraff run``.
        stages: by name.
        guards: whether runs stop themselves where they leave what the model knows.
        r_max: range of the structure comparison in Angstrom; ``vector`` for
            (shortest cell vector - 1)/2, at most 10; None for the analysis's own choice.
        bin_width: of g(r) in Angstrom.
    """

    name: str
    summary: str
    faults: list[str] = Field(default_factory=list)
    timestep_fs: float = Field(default=1.0, gt=0, le=10)
    starts: int = Field(ge=1, le=1000)
    start_frames: Literal["spread", "first"] = "spread"
    velocities: Literal["draw", "zero"] = "draw"
    stages: dict[str, Stage] = Field(min_length=1)
    guards: bool = True
    r_max: float | Literal["vector"] | None = None
    bin_width: float = Field(default=0.05, gt=0)


def known_protocols() -> dict[str, Path]:
    """Return the files of the protocols that come with egraff, by name."""
    folder = Path(str(files("egraff.benchmark"))) / "protocols"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def protocol_settings(name: str) -> dict[str, Any]:
    """Return the settings of a protocol that comes with egraff.

    Raises:
        InputError: there is none of that name.
    """
    known = known_protocols()
    if name not in known:
        raise InputError(
            f"expected one of {', '.join(known)}, got {name!r}",
            fix="choose one of these protocols, and change it under `protocol`",
        )
    return {"name": name, **read_settings(known[name], example="starts: 5")}
