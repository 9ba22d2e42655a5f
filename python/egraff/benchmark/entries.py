# SPDX-License-Identifier: GPL-2.0-or-later
"""Entries of a plan: their names, types and limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from egraff.benchmark.protocol import Protocol

SHIFTS = ("none", "temperature", "molecule", "structure", "composition")
TASKS = ("errors", "simulation", "speed")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ModelEntry(_Entry):
    """A model of the plan.

    Attributes:
        architecture: default: the entry's name.
        preset: named options of the architecture.
        training: settings of ``egraff train`` for this model.
        checkpoint: a trained or imported model, which is taken as it is.
    """

    architecture: str | None = None
    preset: str = "small"
    training: dict[str, Any] = Field(default_factory=dict)
    checkpoint: Path | None = None

    @model_validator(mode="after")
    def _trained_here_or_given(self) -> ModelEntry:
        if self.checkpoint is not None and (self.architecture or self.training):
            raise ValueError("a model with a checkpoint is not trained: no architecture, training")
        return self


class FramesEntry(_Entry):
    """Frames put together from files.

    Attributes:
        files: in this order.
        frames: at most so many of each file, evenly spaced; default: all.
        without: files whose geometries are left out.
    """

    files: list[Path] = Field(min_length=1)
    frames: int | None = Field(default=None, ge=1)
    without: list[Path] = Field(default_factory=list)

    @property
    def single(self) -> Path | None:
        """The file, if it is taken as it is."""
        plain = len(self.files) == 1 and self.frames is None and not self.without
        return self.files[0] if plain else None


class SimulationEntry(_Entry):
    """Simulations that a test asks for.

    Attributes:
        temperature: in K.
        reference: labelled or unlabelled frames that structure is compared with; default: the
            frames of the test.
        starts_from: frames to start from; default: the frames of the test.
        timestep_fs: instead of the protocol's.
        replicate: repetitions of the cell.
    """

    temperature: float = Field(gt=0, le=1e5)
    reference: Path | None = None
    starts_from: Path | None = None
    timestep_fs: float | None = Field(default=None, gt=0, le=10)
    replicate: tuple[int, int, int] = (1, 1, 1)


class TestEntry(_Entry):
    """Labelled frames that no model of the set has seen.

    Attributes:
        data: the frames.
        shift: what differs from the training data: none, temperature, molecule, structure
            (an unseen crystal structure) or composition.
        simulate: what is simulated; None for nothing.
    """

    data: Path
    shift: Literal["none", "temperature", "molecule", "structure", "composition"] = "none"
    simulate: SimulationEntry | None = None


class SpeedEntry(_Entry):
    """Timings of short NVE runs.

    Attributes:
        structure: file whose first frame is repeated.
        replicate: numbers of repetitions in each direction.
        ranks: numbers of MPI ranks.
        steps: length of each run.
    """

    structure: Path
    replicate: list[int] = Field(min_length=1)
    ranks: list[int] = Field(default=[1], min_length=1)
    steps: int = Field(default=50, ge=10)


class SetEntry(_Entry):
    """A data set.

    Attributes:
        catalogue: split of the catalogue that the files are of, see `egraff.benchmark.catalogued`.
        train: training frames.
        val: validation frames; default: a share of the training frames.
        isolated_atoms: labelled isolated atoms, for E0.
        training: settings of ``egraff train`` for this set, also names and units of its labels.
        models: settings of ``egraff train`` by model, for this set alone.
        allow_overlap: accept tests that repeat training frames; the page says so.
        tests: by name.
        speed: timings.
    """

    catalogue: str | None = None
    train: FramesEntry
    val: FramesEntry | None = None
    isolated_atoms: Path | None = None
    training: dict[str, Any] = Field(default_factory=dict)
    models: dict[str, dict[str, Any]] = Field(default_factory=dict)
    allow_overlap: bool = False
    tests: dict[str, TestEntry] = Field(min_length=1)
    speed: SpeedEntry | None = None

    @field_validator("train", "val", mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        """Take a file name, or a list of them, for what it stands for."""
        if isinstance(value, str):
            return {"files": [value]}
        return {"files": value} if isinstance(value, list) else value


class Resources(_Entry):
    """What a job of one kind takes; for schedulers, and for how many run side by side.

    Attributes:
        ranks: MPI ranks; of simulations only.
        threads: per rank.
        memory_mb: in MB.
        minutes: longest time.
        gpus: number of GPUs.
        mpirun: launcher of simulations, as of ``egraff run``.
    """

    ranks: int = Field(default=1, ge=1)
    threads: int = Field(default=1, ge=1)
    memory_mb: int = Field(default=4000, ge=1)
    minutes: int = Field(default=60, ge=1)
    gpus: int = Field(default=0, ge=0)
    mpirun: str | None = None


class Plan(_Entry):
    """A whole plan; see the attributes of its entries.

    Attributes:
        name: of the campaign.
        data_root: folder of the data, relative to the plan.
        protocol: name of a protocol, or a dictionary whose ``base`` names one.
        tasks: of errors, simulation and speed.
        seeds: of trainings; each model is trained once with each.
        training: settings of ``egraff train`` for all.
        models: by name.
        sets: by name.
        resources: by kind of job; ``default`` for the others.
    """

    name: str = "benchmark"
    data_root: Path = Path(".")
    protocol: Protocol
    tasks: list[Literal["errors", "simulation", "speed"]] = list(TASKS)
    seeds: list[int] = Field(default=[1], min_length=1)
    training: dict[str, Any] = Field(default_factory=dict)
    models: dict[str, ModelEntry] = Field(min_length=1)
    sets: dict[str, SetEntry] = Field(min_length=1)
    resources: dict[str, Resources] = Field(default_factory=dict)
