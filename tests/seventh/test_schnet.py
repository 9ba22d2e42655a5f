# SPDX-License-Identifier: GPL-2.0-or-later
"""An architecture from outside does all that egraff's own do, without a change to egraff."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from egraff.errors import EgraffError, InputError
from egraff.metadata import read_metadata
from egraff.models import ARCHITECTURES, ENTRY_POINTS, register
from egraff.training.checkpoint import load_model
from tests.models.contract import ModelContract
from tests.pair_style.agreement import agrees
from tests.seventh.schnet import SchNet
from tests.training.toy import crystal, frames, write

# its import has made it known; tests that are collected later are not to see it
del ARCHITECTURES[SchNet.architecture]


@pytest.fixture(scope="module", autouse=True)
def _registered():
    """Know the architecture here only: other tests are for all that are known."""
    ARCHITECTURES[SchNet.architecture] = SchNet
    yield
    del ARCHITECTURES[SchNet.architecture]


class TestSchNet(ModelContract):
    architecture = "schnet"
    # distances alone take longer to tell directions than tensors do
    overfit_steps: ClassVar[int] = 400


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Put a package with this architecture where Python finds it; return a folder."""
    package = tmp_path / "schnet-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: schnet\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\nschnet = tests.seventh.schnet\n")
    paths = [tmp_path, Path(__file__).parents[2]]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))
    return tmp_path


def test_trained_exported_and_run_on_two_ranks(installed):
    def egraff(*words: str) -> None:
        subprocess.run([sys.executable, "-m", "egraff", *words], cwd=installed, check=True)

    write(installed / "train.xyz", frames(1, 12))
    write(installed / "val.xyz", frames(2, 4))
    egraff(
        *("train", "--model", "schnet", "--preset", "small", "--epochs", "2", "--out", "run"),
        *("--data", "train.xyz", "--val", "val.xyz", "--device", "cpu", "--threads", "1"),
    )
    egraff("export", "run/best.ckpt", "-o", "schnet.egraff.pt", "--dtype", "float64")
    metadata = read_metadata(installed / "schnet.egraff.pt")
    assert (metadata["architecture"], metadata["fused"]) == ("schnet", False)
    assert metadata["exchange_widths"] == [32, 32]
    model = load_model(installed / "run" / "best.ckpt", dtype="float64")
    assert isinstance(model, SchNet)
    # ranks add up in another order
    atoms = crystal(np.random.default_rng(5)).repeat((3, 3, 3))
    agrees(model, installed / "schnet.egraff.pt", atoms, ranks=2, tolerance=1e-10)


def test_a_name_is_given_once():
    class Other(SchNet):
        pass

    with pytest.raises(
        InputError,
        match=r"architecture: expected a new name, got 'schnet' of tests.seventh.schnet",
    ):
        register(Other)


def test_there_is_a_preset_to_start_with():
    class Config(SchNet.Config):
        presets = {"large": {}}  # noqa: RUF012

    class Other(SchNet):
        architecture = "other"

    Other.Config = Config
    with pytest.raises(EgraffError, match=r"expected a preset `small` among \['large'\]"):
        register(Other)
    assert "other" not in ARCHITECTURES
