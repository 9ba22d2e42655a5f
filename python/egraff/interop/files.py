# SPDX-License-Identifier: GPL-2.0-or-later
"""Read a model of another package: weights from ``torch.save``, options from JSON or YAML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from egraff.errors import InputError, ModelFileError
from egraff.models import ARCHITECTURES, ForceField, build
from egraff.settings_file import parse_yaml

SUFFIXES = (".json", ".yaml", ".yml")
_TARGETS = {"nequip": "NequIPGNNModel", "allegro": "AllegroModel"}


def load_original(
    architecture: str,
    weights: str | PathLike[str],
    config: str | PathLike[str] | None = None,
    *,
    elements: Sequence[str] | None = None,
    head: str | None = None,
    drop_mean: bool = False,
) -> ForceField:
    """Rebuild another package's model as egraff's.

    Args:
        architecture: whose model it is, a key of :data:`egraff.models.ARCHITECTURES`.
        weights: file of ``torch.save`` with the ``state_dict()``, bare or under ``state_dict``.
        config: options with which the original was built; default: the file with the name of the
            weights that ends in .json, .yaml or .yml.
        elements: chemical symbols, for Equiformer and TorchMD-Net.
        head: head of a MACE with several; default: its first.
        drop_mean: see :func:`egraff.interop.torchmd_net.convert_state`.

    Returns:
        The model, in evaluation mode and in the original's floating-point type.

    Raises:
        InputError: unknown architecture, or something that egraff has no counterpart of.
        ModelFileError: a file is missing or is not what it should be.
    """
    known = sorted(name for name, cls in ARCHITECTURES.items() if cls.original is not None)
    if architecture not in known:
        raise InputError(
            f"expected one of {', '.join(known)}, got {architecture!r}",
            field="PACKAGE",
            fix="choose one of these",
        )
    weights = Path(weights)
    state = _read_state(architecture, weights)
    options = _read_config(architecture, _config_path(architecture, weights, config))
    extra: dict[str, Any] = {}
    if ARCHITECTURES[architecture].original.needs_elements:
        if not elements:
            raise InputError(
                f"expected chemical symbols, got none: the original {architecture} has weights "
                "for every element",
                field="--elements",
                fix="name those that it was trained on, --elements H,C,O",
            )
        extra["elements"] = list(elements)
    elif elements:
        raise _not_for("--elements", architecture, "its options name the elements")
    if head is not None:
        if head not in (options.get("heads") or []):
            known = ", ".join(options.get("heads") or []) or "none"
            raise InputError(
                f"expected a head of the model ({known}), got {head!r}",
                field="--head",
                fix="choose one of these, or leave the option out",
            )
        options["head"] = head
    if drop_mean:
        if architecture != "torchmd_net":
            raise _not_for("--drop-mean", architecture, "only torchmd-net adds a mean")
        extra["drop_mean"] = True
    converter = import_module(f"egraff.interop.{architecture}")
    try:
        converted, state = converter.convert_state(options, state, **extra)
    except KeyError as error:
        raise ModelFileError(
            f"expected an option or a weight {error}, found none",
            where=weights,
            fix="give weights and options of the same model; " + _recipe(architecture, "FILE"),
        ) from error
    model = build(architecture, seed=0, **converted)
    model.load_state_dict(state)
    return model.eval()


def _read_state(architecture: str, path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise ModelFileError(
            f"expected weights, found {found}", where=path, fix=_recipe(architecture, "FILE")
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's readers fail in many ways on what is not theirs
        raise ModelFileError(
            "expected a state_dict written by torch.save, could not read it without the original "
            f"package ({type(error).__name__})",
            where=path,
            fix=_recipe(architecture, str(path)),
        ) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    tensors = isinstance(state, dict) and all(isinstance(v, Tensor) for v in state.values())
    if not tensors or not state:
        raise ModelFileError(
            f"expected a state_dict (names and tensors), got {type(state).__name__}",
            where=path,
            fix=_recipe(architecture, str(path)),
        )
    return dict(state)


def _config_path(architecture: str, weights: Path, given: str | PathLike[str] | None) -> Path:
    if given is not None:
        return Path(given)
    candidates = [weights.with_suffix(suffix) for suffix in SUFFIXES]
    for path in candidates:
        if path.is_file():
            return path
    raise ModelFileError(
        f"expected the model's options in {' or '.join(path.name for path in candidates)}, found "
        "none of them",
        where=weights,
        fix="give the file with --config; or " + _recipe(architecture, str(weights)),
    )


def _read_config(architecture: str, path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        options = json.loads(text) if path.suffix == ".json" else parse_yaml(text)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, yaml.YAMLError) as error:
        raise ModelFileError(
            f"expected options as JSON or YAML, could not read them: {error}",
            where=path,
            fix="give the options with which the original was built",
        ) from error
    if not isinstance(options, dict):
        raise ModelFileError(
            f"expected options by name, got {type(options).__name__}",
            where=path,
            fix="give the options with which the original was built",
        )
    target = options.pop("_target_", None)
    expected = _TARGETS.get(architecture)
    if target is not None and expected is not None and not str(target).endswith(f".{expected}"):
        raise ModelFileError(
            f"expected a model made by {expected}, got {target!r}",
            where=path,
            field="_target_",
            fix="give the options of the innermost model, without its wrappers",
        )
    return options


def _not_for(option: str, architecture: str, why: str) -> InputError:
    return InputError(f"not for {architecture}: {why}", field=option, fix="leave the option out")


def _recipe(architecture: str, source: str) -> str:
    return ARCHITECTURES[architecture].original.instructions(source)
