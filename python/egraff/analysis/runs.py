# SPDX-License-Identifier: GPL-2.0-or-later
"""Simulation directories, as ``egraff run`` leaves them or `egraff.analysis.own_run` makes them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from egraff.errors import InputError
from egraff.units import PS_PER_FS

RECORD = "run.json"
_REQUIRED = {
    "status": str,
    "ensemble": str,
    "timestep_fs": (int, float),
    "steps": int,
    "n_atoms": int,
    "elements": list,
}


class LogConditions(NamedTuple):
    """How numbers of a run's log and dump are to be understood, and which of them are the run's.

    Attributes:
        units: LAMMPS unit style.
        timestep_fs: time of a step; None where it changes, and log and dump state times.
        start_ps: time at which the run began; times are counted from it.
        first_run: index of the first run of the log that belongs to it.
        last_run: index of the last; None for all.
        first_step: rows and frames before it are left out; None for none.
    """

    units: str = "metal"
    timestep_fs: float | None = None
    start_ps: float = 0.0
    first_run: int = 0
    last_run: int | None = None
    first_step: int | None = None


@dataclass(frozen=True)
class Run:
    """One simulation.

    Attributes:
        directory: where it is.
        record: content of its ``run.json``.
    """

    directory: Path
    record: dict[str, Any]

    @property
    def log(self) -> Path:
        """The LAMMPS log."""
        return self.directory / (self.record.get("log") or "log.lammps")

    @property
    def conditions(self) -> LogConditions:
        """How log and dump are to be understood."""
        stored = {name: self.record.get(name) for name in ("start_ps", "first_run")}
        return LogConditions(
            units=self.record.get("units") or "metal",
            timestep_fs=None if self.record.get("times_stated") else self.record["timestep_fs"],
            last_run=self.record.get("last_run"),
            first_step=self.record.get("first_step"),
            **{name: value for name, value in stored.items() if value is not None},
        )

    @property
    def type_elements(self) -> list[str] | None:
        """Element of each atom type; None where the dump itself tells."""
        if "type_elements" in self.record:
            return self.record["type_elements"]
        return self.record["elements"]

    @property
    def dump(self) -> Path:
        """The LAMMPS dump, compressed or not; or the dump or trajectory that the record names."""
        if named := self.record.get("trajectory") or self.record.get("dump"):
            return self.directory / named
        plain = self.directory / "dump.lammpstrj"
        for suffix in ("", ".gz", ".zst", ".bz2"):
            path = plain.with_name(plain.name + suffix)
            if path.is_file():
                return path
        return plain

    @property
    def structure(self) -> Path | None:
        """The file that names the atoms of a trajectory without elements."""
        name = self.record.get("structure")
        return self.directory / name if self.of_other_program and name else None

    @property
    def model(self) -> Path | None:
        """The model file; a relative path is looked for from here and from the run directory."""
        name = self.record.get("model")
        if not name:
            return None
        path = Path(name)
        beside = self.directory / path
        return beside if not path.is_absolute() and beside.is_file() else path

    @property
    def deviations(self) -> Path | None:
        """The file with the force deviations of the committee that drove the run."""
        name = self.record.get("deviations")
        return self.directory / name if name else None

    @property
    def of_other_program(self) -> bool:
        """Whether it is a trajectory in another format than LAMMPS's; its log is not read."""
        return bool(self.record.get("trajectory"))

    @property
    def of_own_input(self) -> bool:
        """Whether it is a dump of LAMMPS that ``egraff run`` did not write."""
        return bool(self.record.get("dump"))

    @property
    def status(self) -> str:
        """How the run ended, in the words of its record."""
        return self.record["status"]

    @property
    def failed(self) -> bool:
        """Whether ``egraff run`` recorded a failure; a run that was stopped or goes on has none."""
        return self.status == "failed"

    @property
    def stop(self) -> tuple[float, str] | None:
        """Time in ps and reason of a stop by one of the limits of ``egraff run``, or None."""
        stop = self.record.get("stopped_by")
        if not stop:
            return None
        done = stop["step"] if stop["stage"] == "production" else 0
        return done * self.record["timestep_fs"] * PS_PER_FS, f"{stop['guard']}: {stop['reason']}"

    @property
    def error(self) -> str | None:
        """Why it failed."""
        return self.record.get("error")

    @property
    def problems(self) -> list[str]:
        """What was left out or taken for granted when the record was made."""
        return list(self.record.get("problems", ()))

    @property
    def ensemble(self) -> str:
        """``nve``, ``nvt``, ``npt``, or what the record says instead, in lower case."""
        return self.record["ensemble"].lower()

    @property
    def added_forces(self) -> str | None:
        """The fix that adds to the forces of the model in the dump, if one does."""
        settings = self.record.get("settings") or {}
        if settings.get("thermostat") == "langevin" and self.ensemble != "nve":
            return "fix langevin"
        return self.record.get("added_forces")

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return self.record["n_atoms"]

    @property
    def periodic(self) -> bool:
        """Whether it is periodic in three directions."""
        return all(self.record.get("pbc", [True] * 3))

    @property
    def temperature_K(self) -> float | None:
        """Temperature of the thermostat; None without one."""
        return self.record.get("temperature_K")

    @property
    def interval_ps(self) -> float | None:
        """Time between frames as the user gave it."""
        return self.record.get("interval_ps")

    @property
    def ns_per_day(self) -> float | None:
        """Simulated time per day of wall time."""
        return self.record.get("ns_per_day")


def read_run(directory: str | os.PathLike[str]) -> Run:
    """Read ``run.json`` of a directory.

    Raises:
        InputError: it is missing, not JSON, or lacks a field that the analysis needs.
    """
    path = Path(directory) / RECORD
    if not path.is_file():
        raise InputError("no such file", where=path, fix="give a directory that egraff run wrote")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"not valid JSON: {error}", where=path) from None
    if not isinstance(record, dict):
        raise InputError(f"expected a JSON object, got {type(record).__name__}", where=path)
    for name, kind in _REQUIRED.items():
        if not isinstance(record.get(name), kind):
            got = "nothing" if name not in record else repr(record[name])
            wanted = kind.__name__ if isinstance(kind, type) else "number"
            raise InputError(f"expected a {wanted}, got {got}", where=path, field=name)
    return Run(Path(directory), record)


def find_runs(root: str | os.PathLike[str]) -> list[Run]:
    """Every run at or below ``root``, in order of path.

    Raises:
        InputError: there is none, or one cannot be read.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError("no such directory", where=root)
    records = sorted(root.rglob(RECORD))
    if not records:
        raise InputError(
            f"expected at least one {RECORD} at or below it, got none",
            where=root,
            fix="give a directory that egraff run wrote, or one above such directories",
        )
    return [read_run(record.parent) for record in records]
