# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings of a training: a YAML file, with command-line flags on top, checked before any work.

model: nequip
preset: small
data: train.xyz
val: val.xyz
epochs: 200
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from egraff.data.labels import LabelKeys
from egraff.errors import InputError
from egraff.files import atomic_path
from egraff.settings_file import read_settings

EXAMPLE = "epochs: 100"
"""A line of a file of settings."""

# Bounds that no sensible training reaches: what lies beyond is a slip, which would fail late.
LARGEST_CUTOFF = 30.0  # A; 10000 neighbours in a metal
LARGEST_WEIGHT = 1e9
LARGEST_RATE = 10.0
MANY = 10**9
MOST_THREADS = 4096

# settings of the training itself, which model_options must not set behind its back
MODEL_SETTINGS = (
    "elements",
    "r_max",
    "dtype",
    "avg_num_neighbours",
    "energy_scale",
    "energy_shift",
)
# may change between an interrupted run and its continuation without changing what is learnt
RESUMABLE = ("epochs", "early_stop_patience", "max_minutes", "device", "threads", "num_workers")


class Replay(BaseModel):
    """Data that a model is not to forget; see :class:`TrainConfig`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    data: Path
    weight: float = Field(default=1.0, ge=0, le=LARGEST_WEIGHT)


class TrainConfig(LabelKeys):
    """All settings of a training. Unknown ones, and numbers that are not finite, are refused.

    Data:
        data: labelled frames to train on, any file that ASE reads.
        val: labelled frames to validate on; without it, ``val_fraction`` of ``data`` is set aside.
        val_fraction: share of ``data`` drawn at random (by ``seed``) for validation.
        energy_key, forces_key, stress_key, virial_key, stress_unit, stress_sign: names, unit and
            sign of the labels in the files; see :class:`egraff.data.labels.LabelKeys`.
        allow_overlap: accept validation frames that are also training frames.
    Model:
        model: architecture, ``preset``: a named set of its options, ``model_options``: single
            options on top of the preset.
        from_model: checkpoint to start from, trained or imported, in place of random weights.
            Architecture, options, cutoff and scale are taken over; see
            :mod:`egraff.training.fine_tuning`.
        elements: chemical symbols that the model is to know; default: those of the training frames,
            and of ``from_model``.
        r_max: cutoff in Angstrom; default: the preset's, or else 5.
        dtype: floating-point type of the network.
        isolated_atoms: file of labelled isolated atoms. Such atoms among the frames of ``data`` and
            ``val`` count as well; they are never trained or validated on.
        reference_energies: ``isolated_atoms``, ``least_squares`` (fit to the training energies),
            energies in eV by element, or ``auto``: those of isolated atoms, and least squares for
            elements without one. With ``from_model``: ``keep`` (which ``auto`` is there too), or
            ``refit``, which shifts them by a least-squares fit to what the model misses of the
            training energies.
        energy_scale: ``force_rms`` (of all training forces, in eV/A, read as eV),
            ``force_rms_per_species``, or a number in eV.
        avg_num_neighbours: normalises sums over edges; default: measured on the training set.
    Loss (mean over the batch of each term, times its weight; see :mod:`egraff.training.loss`):
        loss: ``mse``, ``mae`` or ``huber`` of each difference. Huber gave force errors a quarter
            lower than ``mse`` on the embedded sets.
        energy_weight: of energies per atom, in eV.
        force_weight: of force components, in eV/A.
        stress_weight: of stress times volume per atom, in eV; zero leaves stress out.
        huber_delta: where the Huber loss turns linear, in eV and eV/A.
    Optimisation:
        optimizer: ``adam`` or ``adamw``, with ``amsgrad`` and ``weight_decay``.
        lr: highest learning rate.
        warmup_steps: steps over which the rate rises to ``lr``.
        schedule: ``plateau`` (times ``plateau_factor`` after more than ``plateau_patience`` epochs
            without a better validation loss), ``cosine`` (to ``min_lr`` at the last epoch) or
            ``constant``; never below ``min_lr``.
        batch_size: frames per step.
        epochs: passes over the training frames.
        early_stop_patience: stop after this many epochs without a better validation loss.
        max_minutes: stop at the end of the first epoch that passes this time.
        ema_decay: decay per step of the running average of the weights, which is what is
            validated, saved and exported; zero uses the raw weights.
        clip_grad_norm: largest norm of the gradient of the loss; None does not clip.
        seed: of the weights, the split and the order of the frames.
        freeze: names of modules or weights, such as ``embedding`` or ``layers.0``, that stay as
            they are.
        lr_factors: of such modules, what their learning rate is multiplied by; the longest name
            that fits decides.
        replay: other labelled data (``[{data: old.xyz, weight: 0.5}]``) that the model is not to
            forget: each step adds ``weight`` times the loss of ``batch_size`` of their frames. With
            weight 0 their errors are shown, before and after, and nothing else. Their labels have
            the names and units of those in ``data``; ``val_fraction`` of them is set aside.
    Machine:
        device: ``cpu``, ``cuda``, or ``auto`` (CUDA if there is one).
        threads: CPU threads; default: what is fastest in a short measurement.
        num_workers: processes that put batches together; zero does it in the training process.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )

    data: Path
    val: Path | None = None
    val_fraction: float = Field(default=0.1, gt=0, lt=1)
    allow_overlap: bool = False

    model: str | None = None
    from_model: Path | None = None
    preset: str | None = "small"
    model_options: dict[str, Any] = Field(default_factory=dict)
    elements: list[str] | None = Field(default=None, min_length=1)
    r_max: float | None = Field(default=None, gt=0, le=LARGEST_CUTOFF)
    dtype: Literal["float32", "float64"] = "float32"
    isolated_atoms: Path | None = None
    reference_energies: (
        Literal["auto", "isolated_atoms", "least_squares", "keep", "refit"] | dict[str, float]
    ) = "auto"
    energy_scale: Literal["force_rms", "force_rms_per_species"] | float = "force_rms"
    avg_num_neighbours: float | None = Field(default=None, gt=0, le=1e6)

    loss: Literal["mse", "mae", "huber"] = "huber"
    energy_weight: float = Field(default=1.0, ge=0, le=LARGEST_WEIGHT)
    force_weight: float = Field(default=1.0, ge=0, le=LARGEST_WEIGHT)
    stress_weight: float = Field(default=0.0, ge=0, le=LARGEST_WEIGHT)
    huber_delta: float = Field(default=0.01, gt=0, le=1e6)

    optimizer: Literal["adam", "adamw"] = "adam"
    amsgrad: bool = False
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    lr: float = Field(default=0.01, gt=0, le=LARGEST_RATE)
    warmup_steps: int = Field(default=50, ge=0, le=MANY)
    schedule: Literal["plateau", "cosine", "constant"] = "plateau"
    plateau_factor: float = Field(default=0.5, gt=0, lt=1)
    plateau_patience: int = Field(default=20, ge=0, le=MANY)
    min_lr: float = Field(default=1e-5, ge=0, le=LARGEST_RATE)
    batch_size: int = Field(default=5, ge=1, le=MANY)
    epochs: int = Field(default=200, ge=1, le=MANY)
    early_stop_patience: int | None = Field(default=None, ge=1, le=MANY)
    max_minutes: float | None = Field(default=None, gt=0, le=MANY)
    ema_decay: float = Field(default=0.99, ge=0, lt=1)
    clip_grad_norm: float | None = Field(default=None, gt=0, le=1e9)
    seed: int = Field(default=0, ge=0, lt=2**32)
    freeze: list[str] = Field(default_factory=list)
    lr_factors: dict[str, Annotated[float, Field(ge=0, le=1e6)]] = Field(default_factory=dict)
    replay: list[Replay] = Field(default_factory=list)

    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = Field(default=None, ge=1, le=MOST_THREADS)
    num_workers: int = Field(default=0, ge=0, le=MOST_THREADS)

    @model_validator(mode="after")
    def _something_to_learn(self) -> TrainConfig:
        if self.energy_weight == self.force_weight == self.stress_weight == 0:
            raise ValueError("energy_weight, force_weight and stress_weight are all zero")
        if self.model is None and self.from_model is None:
            raise ValueError("model: this setting is needed, or from_model")
        if self.from_model is None and self.reference_energies in ("keep", "refit"):
            raise ValueError(
                f"reference_energies: {self.reference_energies} needs a model to start from "
                "(from_model)"
            )
        if isinstance(self.energy_scale, float) and not self.energy_scale > 0:
            raise ValueError(f"energy_scale: expected a positive number, got {self.energy_scale}")
        if taken := sorted(set(self.model_options) & set(MODEL_SETTINGS)):
            raise ValueError(
                f"model_options: {', '.join(taken)} cannot be set there but beside it "
                "(energy_shift as reference_energies)"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _truth_is_no_number(cls, settings: Any) -> Any:
        for name, value in settings.items():
            field = cls.model_fields.get(name)
            if field is None or not isinstance(value, bool):
                continue
            if field.annotation is not bool:
                raise ValueError(f"{name}: expected a value other than {str(value).lower()}")
        return settings

    @property
    def labels(self) -> LabelKeys:
        """Names, unit and sign of the labels in the files."""
        return LabelKeys(**{name: getattr(self, name) for name in LabelKeys.model_fields})

    def plain(self) -> dict[str, Any]:
        """Return the settings as numbers, strings, lists and dictionaries."""
        return self.model_dump(mode="json")


def load_config(
    path: str | PathLike[str] | None = None, overrides: Mapping[str, Any] | None = None
) -> TrainConfig:
    """Read settings from a YAML file and put others on top.

    Args:
        path: YAML file, or None. Paths in it are relative to the current directory.
        overrides: settings that win over the file's; None values are ignored. Keys such as
            ``model_options.l_max`` reach into dictionaries.

    Raises:
        InputError: the file cannot be read, or a setting is unknown, missing or out of range.
    """
    return check_config(
        merge(read_settings(path, example=EXAMPLE) if path else {}, overrides or {}), where=path
    )


def check_config(
    settings: Mapping[str, Any], *, where: str | PathLike[str] | None = None
) -> TrainConfig:
    """Make a :class:`TrainConfig`, with errors that name the setting and what it may be.

    Raises:
        InputError: a setting is unknown, missing or out of range.
    """
    try:
        return TrainConfig(**settings)
    except ValidationError as error:
        first = _first(error)
        raise InputError(
            _problem(first),
            where=where or "training settings",
            field=str(first["loc"][0]) if first["loc"] else None,
            fix=_fix(first),
        ) from error


def merge(settings: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Put overrides that are not None on top of settings; dots reach into dictionaries.

    Raises:
        InputError: a dotted name reaches into something that is not a dictionary.
    """
    merged = {
        name: dict(value) if isinstance(value, dict) else value for name, value in settings.items()
    }
    for name, value in overrides.items():
        if value is None:
            continue
        group, _, option = name.partition(".")
        if not option:
            merged[group] = value
        elif isinstance(merged.setdefault(group, {}), dict):
            merged[group][option] = value
        else:
            raise InputError(
                f"{group} is {merged[group]!r}, which has no {option}",
                field=name,
                fix=f"set {group} itself",
            )
    return merged


def save_config(config: TrainConfig, path: str | PathLike[str]) -> None:
    """Write all settings, defaults included, as YAML."""
    with atomic_path(path) as partial:
        partial.write_text(yaml.safe_dump(config.plain(), sort_keys=False), encoding="utf-8")


def recipe(name: str) -> Path:
    """Return the path of settings that come with egraff: ``molecule`` or ``crystal``.

    They train a small NequIP on the embedded set of that name in about a minute on two cores.

    Raises:
        InputError: there is no such recipe.
    """
    folder = Path(str(files("egraff.training"))) / "recipes"
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(entry.stem for entry in folder.glob("*.yaml")))
        raise InputError(f"no recipe {name!r}", fix=f"choose one of {known}")
    return path


def _first(error: ValidationError) -> Mapping[str, Any]:
    """Return the first complaint; of a setting with several types, that about the type given."""
    found = error.errors()
    name = found[0]["loc"][:1]
    own = [one for one in found if one["loc"][:1] == name]
    if isinstance(own[0]["input"], str):
        return own[0]
    return next((one for one in own if one["type"] != "literal_error"), own[0])


def _problem(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown setting"
    if error["type"] == "missing":
        return "this setting is needed"
    if error["type"] == "value_error":
        # of the settings together: the message says which, and what they are
        return error["msg"].removeprefix("Value error, ")
    return f"{error['msg']}, got {error['input']!r}"


def _fix(error: Mapping[str, Any]) -> str:
    known = list(TrainConfig.model_fields)
    name = str(error["loc"][0]) if error["loc"] else ""
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"{hint}settings: {', '.join(known)}"
    if error["type"] == "missing":
        return f"give it in the file or as --{name.replace('_', '-')}"
    return "correct the value"
