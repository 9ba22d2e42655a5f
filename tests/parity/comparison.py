# SPDX-License-Identifier: GPL-2.0-or-later
"""Compare a converted model with the numbers that its original gave."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase.data import chemical_symbols

from egraff.forces import predict
from egraff.graph import build_graph
from egraff.models import build
from egraff.models.base import ForceField

# relative to the largest value of the kind in the structure
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}

Converter = Callable[[dict[str, Any], dict[str, torch.Tensor]], tuple[dict[str, Any], dict]]


@dataclass(frozen=True)
class Reference:
    """One fixture: what was built, its weights, and what it said about some structures."""

    case: dict[str, Any]
    weights: dict[str, torch.Tensor]
    structures: list[dict[str, np.ndarray]]


def fixtures(name: str) -> list[Any]:
    """Return the fixture files of an architecture as parameters for pytest."""
    directory = Path(__file__).parent / name / "fixtures"
    return [pytest.param(path, id=path.stem) for path in sorted(directory.glob("*.npz"))]


def read(path: Path) -> Reference:
    """Read a fixture."""
    with np.load(path) as file:
        arrays = dict(file)
    case = json.loads(str(arrays.pop("case")))
    weights = {
        name.removeprefix("weight:"): torch.from_numpy(value)
        for name, value in arrays.items()
        if name.startswith("weight:")
    }
    numbered: dict[int, dict[str, np.ndarray]] = {}
    for name, value in arrays.items():
        if not name.startswith("weight:"):
            index, key = name.split(":")
            numbered.setdefault(int(index), {})[key] = value
    return Reference(case, weights, [numbered[index] for index in sorted(numbered)])


def original(path: Path) -> Reference:
    """Read a fixture, with better numbers for what the original's float32 says too coarsely.

    Where that is off from the original's own float64 by more than our tolerance, it decides
    nothing; the quantity is then the one of the original's float64. Only a float64 fixture of the
    same weights can say so: some originals draw other ones in each type.
    """
    reference = read(path)
    double = read(path.with_name(path.name.replace("_float32", "_float64")))
    if not same_weights(reference, double):
        return reference
    for mine, precise in zip(reference.structures, double.structures, strict=True):
        mine |= {key: precise[key] for key in too_coarse(mine, precise)}
    return reference


def same_weights(single: Reference, double: Reference) -> bool:
    """Return whether two fixtures hold the same weights, up to the rounding of float32."""
    return all(
        torch.allclose(single.weights[name].double(), value.double(), rtol=1e-5, atol=1e-6)
        for name, value in double.weights.items()
    )


def too_coarse(
    structure: dict[str, np.ndarray], precise: dict[str, np.ndarray]
) -> dict[str, float]:
    """Return the quantities off by more than float32's tolerance, and by how much, relative."""
    rounding = {
        key: float(np.abs(structure[key] - precise[key]).max() / np.abs(precise[key]).max())
        for key in ("energies", "forces", "stress")
        if key in structure
    }
    return {key: value for key, value in rounding.items() if value > TOLERANCE["float32"]}


def converted(architecture: str, config: dict[str, Any], state: dict) -> ForceField:
    """Build a model and load a converted state into it; every weight must be there."""
    model = build(architecture, **config)
    model.load_state_dict(state)
    return model.eval()


def deviations(model: ForceField, structure: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the largest relative deviation of each quantity that the original gave."""
    cell = structure.get("cell")
    graph = build_graph(
        [chemical_symbols[number] for number in structure["numbers"]],
        structure["positions"],
        cell,
        cell is not None,
        elements=model.elements,
        r_max=model.r_max,
        pair_cutoffs=model.pair_cutoffs,
    )
    prediction = predict(model, graph)
    found = {
        "energies": prediction.atomic_energy.numpy(),
        "forces": prediction.forces.numpy(),
        "stress": prediction.stress[0].numpy(),
    }
    return {
        key: float(np.abs(value - structure[key]).max() / np.abs(structure[key]).max())
        for key, value in found.items()
        if key in structure
    }


def assert_parity(model: ForceField, reference: Reference, **tolerances: float) -> None:
    """Require the original's numbers for every structure.

    Args:
        model: the converted model.
        reference: the original's numbers.
        **tolerances: relative tolerance for ``energies``, ``forces`` or ``stress`` where the
            original itself does not allow the usual one.
    """
    for index, structure in enumerate(reference.structures):
        for key, deviation in deviations(model, structure).items():
            limit = tolerances.get(key, TOLERANCE[model.dtype])
            assert deviation < limit, f"structure {index}: {key} off by {deviation:.1e} relative"
