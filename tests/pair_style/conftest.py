# SPDX-License-Identifier: GPL-2.0-or-later
"""A directory with toy models and a structure, in which `lmp` can be started."""

from __future__ import annotations

from pathlib import Path

import pytest

from egraff.export import export_torchscript
from tests.pair_style.engine import write_data
from tests.pair_style.systems import ELEMENTS, SYSTEMS
from tests.pair_style.toy import toy

# `m.pt` is the model, `system.data` the orthogonal box of systems.py with types O, H
SETUP = """
units metal
read_data system.data
neighbor 1.0 bin
"""
STYLE = """
pair_style egraff
pair_coeff * * m.pt O H
"""
START = SETUP + STYLE


@pytest.fixture(scope="session")
def toy_files(tmp_path_factory) -> Path:
    """A directory with toy models: double, single, wide, and three members of a committee."""
    path = tmp_path_factory.mktemp("toys")
    models = {
        "m": toy(),
        "single": toy(dtype="float32"),
        "wide": toy(n_scalars=41, n_vectors=30),
        "second": toy(seed=1),
        "third": toy(seed=2),
    }
    for name, model in models.items():
        export_torchscript(model, path / f"{name}.pt")
    write_data(SYSTEMS["orthogonal"], path / "system.data", ELEMENTS)
    return path


@pytest.fixture
def here(toy_files, tmp_path) -> Path:
    """A fresh directory that sees these files."""
    for file in toy_files.iterdir():
        (tmp_path / file.name).symlink_to(file)
    return tmp_path
