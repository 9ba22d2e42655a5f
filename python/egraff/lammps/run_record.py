# SPDX-License-Identifier: GPL-2.0-or-later
"""``run.json``: what was run, how far it came, and with what; always complete on disk."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from egraff import __version__, provenance
from egraff.errors import InputError
from egraff.files import sha256, write_json, writing
from egraff.lammps.inputs_ensemble import System
from egraff.lammps.run_settings import RunSettings

RECORD_FILE = "run.json"
_LOCK_FILE = ".lock"


def new_record(
    settings: RunSettings,
    system: System,
    *,
    metadata: dict[str, Any],
    rotation: np.ndarray,
    warnings: list[str],
) -> dict[str, Any]:
    """Return the record of a run that is about to start.

    Args:
        settings: the settings of the run.
        system: what the structure is like.
        metadata: what the model says about itself.
        rotation: ``[3, 3]`` from the structure file's frame into LAMMPS's (``v @ rotation``).
        warnings: what the user was warned of.
    """
    return {
        "egraff": __version__,
        "status": "running",
        "error": None,
        "model_sha256": sha256(settings.model),
        "model_metadata": {
            key: metadata.get(key)
            for key in ("architecture", "dtype", "r_max", "weights_sha256", "training_data")
        },
        "structure_sha256": sha256(settings.structure),
        **describe_settings(settings),
        "elements": list(system.elements),
        "n_atoms": system.n_atoms,
        "units": "metal",
        "pbc": list(system.pbc),
        "rotation": rotation.tolist(),
        "steps_done": 0,
        "wall_time_s": 0.0,
        "ns_per_day": None,
        "created": provenance.now(),
        "versions": provenance.versions(),
        "warnings": warnings,
        "settings": settings.model_dump(mode="json"),
        "system": {
            **asdict(system),
            "elements": list(system.elements),
            "pbc": list(system.pbc),
        },
        "segments": [],
    }


def describe_settings(settings: RunSettings) -> dict[str, Any]:
    """Return the settings that readers of ``run.json`` look for, under names with units."""
    return {
        "model": str(settings.model),
        "structure": str(settings.structure),
        "ensemble": settings.ensemble,
        "temperature_K": settings.temperature,
        "pressure_bar": settings.target_pressure_bar,
        "timestep_fs": settings.timestep_fs,
        "steps": settings.steps,
        "dump_every": settings.dump_every,
        "thermo_every": settings.thermo_every,
        "ranks": settings.ranks,
        "threads": settings.threads,
        "seed": settings.seed,
    }


def system_of(record: dict[str, Any]) -> System:
    """Return the system that a record describes."""
    stored = record["system"]
    x, y, z = stored["pbc"]
    return System(**{**stored, "elements": tuple(stored["elements"]), "pbc": (x, y, z)})


def new_segment(settings: RunSettings, *, stage: str, step: int) -> dict[str, Any]:
    """Return the record of one start of LAMMPS; a resumed run has several."""
    return {
        "started": provenance.now(),
        "stage": stage,
        "from_step": step,
        "to_step": step,
        "status": "running",
        "error": None,
        "ranks": settings.ranks,
        "threads": settings.threads,
        "wall_time_s": 0.0,
        "production_steps": 0,
        "production_s": 0.0,
    }


def save_record(directory: Path, record: dict[str, Any]) -> None:
    """Sum up the segments and write ``run.json``."""
    segments = record["segments"]
    record["wall_time_s"] = round(sum(one["wall_time_s"] for one in segments), 3)
    steps = sum(one["production_steps"] for one in segments)
    seconds = sum(one["production_s"] for one in segments)
    if steps and seconds > 0:
        record["ns_per_day"] = steps * record["timestep_fs"] * 1e-6 / (seconds / 86400.0)
    write_json(directory / RECORD_FILE, record)


def read_record(directory: Path) -> dict[str, Any] | None:
    """Return the content of ``run.json``, or None if there is none.

    Raises:
        InputError: the file is not the record of a run.
    """
    path = directory / RECORD_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(
            f"expected JSON, got: {error}", where=path, fix="start again with --overwrite"
        ) from None
    if not isinstance(record, dict) or not {"settings", "system", "segments"} <= record.keys():
        raise InputError(
            "expected the record of a run, got something else",
            where=path,
            fix="choose another --out, or start again with --overwrite",
        )
    return record


@contextmanager
def locked(directory: Path) -> Iterator[int]:
    """Keep others from running in a directory; yields the descriptor of the lock.

    The lock ends with the last process that holds it: LAMMPS inherits it, so that it survives even
    when the process that started LAMMPS is killed.

    Raises:
        InputError: another run holds the directory.
    """
    with writing(directory):
        handle = os.open(directory / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                "expected a directory that nobody is running in, but a run is still going",
                where=directory,
                fix="wait for it, stop it, or choose another --out",
            ) from None
        yield handle
    finally:
        os.close(handle)
