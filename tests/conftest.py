# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures that many tests share: small exported models, made once in a session."""

from pathlib import Path

import pytest
import torch

from egraff.export import export_torchscript
from egraff.models import build


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--md-seeds",
        dest="md_seeds",
        type=int,
        default=1,
        help="runs of each long molecular dynamics test, with seeds 1, 2, ...",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        skip = pytest.mark.skip(reason="torch sees no GPU")
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Tests run side by side on few cores."""
    torch.set_num_threads(1)


def tiny_nequip(dtype: str = "float64", **options):
    """Return a NequIP with two ghost exchanges and random weights for Li and F."""
    config = {
        "elements": ["Li", "F"],
        "r_max": 4.0,
        "n_layers": 3,
        "l_max": 1,
        "n_features": [6, 4],
        "radial_width": 8,
        "avg_num_neighbours": 12.0,
        "energy_scale": [0.7, 0.9],
        "energy_shift": [-204.0, -652.5],
    }
    return build("nequip", seed=11, dtype=dtype, **{**config, **options})


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Return a function from dtype to the path of an exported :func:`tiny_nequip`."""
    made: dict[str, Path] = {}

    def path_of(dtype: str) -> Path:
        if dtype not in made:
            made[dtype] = tmp_path_factory.mktemp("models") / f"tiny-{dtype}.egraff.pt"
            export_torchscript(tiny_nequip(dtype), made[dtype])
        return made[dtype]

    return path_of
