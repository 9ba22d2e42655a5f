# SPDX-License-Identifier: GPL-2.0-or-later
"""Every architecture in the real `lmp`, on 1, 2 and 4 ranks, is its eager model in Python."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from egraff.export import export_torchscript
from egraff.models import ARCHITECTURES, ForceField, build
from tests.lammps.agreement import agrees
from tests.models.configs import small_config
from tests.models.structures import crystal, molecule

RELATIVE = 1e-10
# of the derivatives in the tables of fused models
RELATIVE_OF_TABLES = 1e-9


def thin_cell() -> Atoms:
    """A triclinic cell less than one cutoff thick in two directions: images of images as ghosts."""
    atoms = crystal().repeat((1, 1, 2))
    atoms.positions += np.random.default_rng(8).uniform(-0.1, 0.1, atoms.positions.shape)
    return atoms


def two_molecules() -> Atoms:
    """Without any cell: two molecules within reach of each other, in different ranks."""
    other = molecule()
    other.positions += [4.5, 0.6, -0.4]
    return molecule() + other


STRUCTURES = {"thin triclinic cell": thin_cell, "two molecules": two_molecules}


@dataclass(frozen=True)
class Exported:
    """A model with random weights and the file made of it."""

    model: ForceField
    path: Path


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return a function from the name of an architecture to a model and its file."""

    @cache
    def make(name: str, fuse: bool = False) -> Exported:
        model = build(name, seed=5, **{**small_config(name), "dtype": "float64"}).eval()
        path = tmp_path_factory.mktemp("architectures") / f"{name}.egraff.pt"
        export_torchscript(model, path, fuse=fuse)
        return Exported(model, path)

    return make


# the whole grid takes minutes; the half in the default suite has every structure and rank count
GRID = [
    pytest.param(system, ranks, marks=() if kept else pytest.mark.slow)
    for system, ranks, kept in [
        ("thin triclinic cell", 1, True),
        ("thin triclinic cell", 2, False),
        ("thin triclinic cell", 4, True),
        ("two molecules", 1, False),
        ("two molecules", 2, True),
        ("two molecules", 4, False),
    ]
]


@pytest.mark.parametrize(("system", "ranks"), GRID)
@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_lammps_is_python(exported, name, system, ranks):
    compare(exported(name), system, ranks, RELATIVE)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("system", "ranks"), GRID)
@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - {"equiformer"}))
def test_lammps_is_python_with_fused_operators(exported, name, system, ranks):
    compare(exported(name, fuse=True), system, ranks, RELATIVE_OF_TABLES)


def compare(made: Exported, system: str, ranks: int, tolerance: float) -> None:
    """Check that `lmp` on this number of ranks gives what the eager model gives."""
    agrees(made.model, made.path, STRUCTURES[system](), ranks=ranks, tolerance=tolerance)
