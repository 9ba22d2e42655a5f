# SPDX-License-Identifier: GPL-2.0-or-later
"""``run.json``: what was run, how far it came, and with what; always complete on disk.

The file repeats the settings and the system under names with units, for readers that know nothing
of them; :class:`RunRecord` holds each of them once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from egraff import __version__, provenance
from egraff.errors import InputError
from egraff.files import sha256, write_json
from egraff.lammps.conserved import Drift
from egraff.lammps.guard_stop import GuardStop
from egraff.lammps.guards import Guards
from egraff.lammps.inputs_ensemble import Stage, System
from egraff.lammps.run_settings import RunSettings, make_settings

RECORD_FILE = "run.json"

Status = Literal["running", "completed", "interrupted", "stopped by guard", "failed", "killed"]
"""How a run, or one start of LAMMPS, ended; ``killed``: nobody was left to write how."""

_START_AGAIN = "choose another --out, or start again with --overwrite"
_MODEL_KEYS = ("architecture", "dtype", "r_max", "weights_sha256", "training_data")


@dataclass(kw_only=True)
class Segment:
    """One start of LAMMPS; a resumed run has several.

    Attributes:
        started: date and time, UTC.
        stage: the stage that it reached.
        from_step: step that it started from, in the stage of its start.
        to_step: step that it reached, in ``stage``.
        status: how it ended.
        error: why it failed, or stopped itself.
        ranks: MPI ranks.
        threads: threads per rank.
        wall_time_s: from start to end, in seconds.
        production_steps: steps of the production stage that were timed.
        production_s: seconds that they took.
        drift: of the energy that the production should conserve; None where that is not judged.
    """

    started: str
    stage: Stage
    from_step: int
    to_step: int
    status: Status = "running"
    error: str | None = None
    ranks: int
    threads: int
    wall_time_s: float = 0.0
    production_steps: int = 0
    production_s: float = 0.0
    drift: Drift | None = None


@dataclass(kw_only=True)
class RunRecord:
    """The content of ``run.json``.

    Attributes:
        settings: what was asked for.
        system: what the structure is like.
        model_sha256: of the model's file.
        model_metadata: what identifies the model: architecture, dtype, r_max, weights, training
            data.
        structure_sha256: of the structure's file.
        rotation: ``[3, 3]`` from the structure file's frame into LAMMPS's (``v @ rotation``).
        created: date and time of the first start, UTC.
        versions: of the programs and libraries.
        egraff: version of egraff.
        status: how the run ended, or ``running``.
        error: why it failed, or stopped itself.
        steps_done: production steps done.
        warnings: what the user was warned of.
        segments: the starts of LAMMPS, in order of time.
        guards: the limits at which the run stops itself; None in records of older versions.
        stopped_by: why it did.
    """

    settings: RunSettings
    system: System
    model_sha256: str
    structure_sha256: str
    egraff: str = __version__
    status: Status = "running"
    error: str | None = None
    model_metadata: dict[str, Any] = field(default_factory=dict)
    rotation: list[list[float]] = field(default_factory=lambda: np.eye(3).tolist())
    steps_done: int = 0
    created: str | None = None
    versions: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    guards: Guards | None = None
    stopped_by: GuardStop | None = None

    @property
    def wall_time_s(self) -> float:
        """Seconds that all segments took."""
        return round(sum(segment.wall_time_s for segment in self.segments), 3)

    @property
    def ns_per_day(self) -> float | None:
        """Speed of the production stage; None before it was measured."""
        steps = sum(segment.production_steps for segment in self.segments)
        seconds = sum(segment.production_s for segment in self.segments)
        if not steps or seconds <= 0:
            return None
        return steps * self.settings.timestep_fs * 1e-6 / (seconds / 86400.0)

    @property
    def time_done_ps(self) -> float:
        """Length of the production that is done, in ps."""
        return self.steps_done * self.settings.timestep_ps

    def start_segment(self, *, stage: Stage, step: int) -> Segment:
        """Add the segment that starts now."""
        segment = Segment(
            started=provenance.now(),
            stage=stage,
            from_step=step,
            to_step=step,
            ranks=self.settings.ranks,
            threads=self.settings.threads,
        )
        self.segments.append(segment)
        self.status, self.error, self.stopped_by = "running", None, None
        return segment

    def as_dict(self) -> dict[str, Any]:
        """Return the content of the file: every field, and what follows from them."""
        settings, system = self.settings, self.system
        return {
            "egraff": self.egraff,
            "status": self.status,
            "error": self.error,
            "model_sha256": self.model_sha256,
            "model_metadata": self.model_metadata,
            "structure_sha256": self.structure_sha256,
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
            "elements": list(system.elements),
            "n_atoms": system.n_atoms,
            "units": "metal",
            "pbc": list(system.pbc),
            "rotation": self.rotation,
            "steps_done": self.steps_done,
            "wall_time_s": self.wall_time_s,
            "ns_per_day": self.ns_per_day,
            "created": self.created,
            "versions": self.versions,
            "warnings": self.warnings,
            "guards": self.guards and asdict(self.guards) | {"remarks": list(self.guards.remarks)},
            "stopped_by": self.stopped_by
            and asdict(self.stopped_by) | {"atoms": list(self.stopped_by.atoms)},
            "settings": settings.model_dump(mode="json"),
            "system": {
                **asdict(system),
                "elements": list(system.elements),
                "pbc": list(system.pbc),
            },
            "segments": [asdict(segment) for segment in self.segments],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], *, where: Path | None = None) -> RunRecord:
        """Return the record that a file holds.

        Keys that this version does not know are left out; those that an older version did not
        write take their defaults.

        Args:
            content: what :meth:`as_dict` returned, of this or an older version.
            where: the file, for messages.

        Raises:
            InputError: a key without which the run is not known is missing, or a setting is not
                one of this version.
        """
        settings, system, segments = (
            _required(content, key, kind, where)
            for key, kind in (("settings", dict), ("system", dict), ("segments", list))
        )
        system = _known(System, system, where, within="system.")
        x, y, z = system["pbc"]
        system |= {"elements": tuple(system["elements"]), "pbc": (x, y, z)}
        values = _known(cls, content, where, given=("settings", "system", "segments"))
        if guards := values.get("guards"):
            guards = _known(Guards, guards, where, within="guards.")
            values["guards"] = Guards(**guards | {"remarks": tuple(guards.get("remarks", ()))})
        if stop := values.get("stopped_by"):
            stop = _known(GuardStop, stop, where, within="stopped_by.")
            values["stopped_by"] = GuardStop(**stop | {"atoms": tuple(stop["atoms"])})
        return cls(
            **values,
            settings=make_settings(settings, files=dict.fromkeys(settings, str(where or ""))),
            system=System(**system),
            segments=[
                _segment(one, where, within=f"segments[{number}].")
                for number, one in enumerate(segments)
            ],
        )


def new_record(
    settings: RunSettings,
    system: System,
    *,
    metadata: Mapping[str, Any],
    rotation: np.ndarray,
    warnings: list[str],
    guards: Guards | None = None,
) -> RunRecord:
    """Return the record of a run that is about to start.

    Args:
        settings: the settings of the run.
        system: what the structure is like.
        metadata: what the model says about itself.
        rotation: ``[3, 3]`` from the structure file's frame into LAMMPS's (``v @ rotation``).
        warnings: what the user was warned of.
        guards: the limits at which the run stops itself.
    """
    return RunRecord(
        settings=settings,
        system=system,
        model_sha256=sha256(settings.model),
        structure_sha256=sha256(settings.structure),
        model_metadata={key: metadata.get(key) for key in _MODEL_KEYS},
        rotation=rotation.tolist(),
        created=provenance.now(),
        versions=provenance.versions(),
        warnings=warnings,
        guards=guards,
    )


def save_record(directory: Path, record: RunRecord) -> None:
    """Write ``run.json``."""
    write_json(directory / RECORD_FILE, record.as_dict())


def read_record(directory: Path) -> RunRecord | None:
    """Return the content of ``run.json``, or None if there is none.

    Raises:
        InputError: the file is not the record of a run (see :meth:`RunRecord.from_dict`).
    """
    path = directory / RECORD_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(
            f"expected JSON, got: {error}", where=path, fix="start again with --overwrite"
        ) from None
    if not isinstance(content, dict):
        raise InputError(
            f"expected the record of a run, got {type(content).__name__}",
            where=path,
            fix=_START_AGAIN,
        )
    return RunRecord.from_dict(content, where=path)


def _segment(content: Mapping[str, Any], where: Path | None, *, within: str) -> Segment:
    """Return a segment that a file holds."""
    values = _known(Segment, content, where, within=within)
    if drift := values.get("drift"):
        values["drift"] = Drift(**_known(Drift, drift, where, within=within + "drift."))
    return Segment(**values)


def _required(content: Mapping[str, Any], key: str, kind: type, where: Path | None) -> Any:
    """Return what the record of ``egraff run`` cannot be without."""
    value = content.get(key)
    if not isinstance(value, kind):
        got = "none" if value is None else repr(value)
        raise InputError(
            f"expected the record of `egraff run`, which has {key}, got {got}",
            where=where,
            field=key,
            fix=_START_AGAIN,
        )
    return value


def _known(
    kind: type,
    content: Mapping[str, Any],
    where: Path | None,
    *,
    within: str = "",
    given: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the values of a dataclass's fields that ``content`` has.

    Args:
        kind: the dataclass.
        content: values by name.
        where: the file, for messages.
        within: what the names stand in, for messages.
        given: fields that come from elsewhere.

    Raises:
        InputError: a field without a default is missing.
    """
    values = {}
    for one in fields(kind):
        if one.name in given:
            continue
        if one.name in content:
            values[one.name] = content[one.name]
        elif one.default is MISSING and one.default_factory is MISSING:
            raise InputError(
                "expected a value, got none",
                where=where,
                field=within + one.name,
                fix=_START_AGAIN,
            )
    return values
