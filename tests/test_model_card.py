# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff info``: what a checkpoint and the file exported from it say of themselves."""

from __future__ import annotations

import hashlib
import json

import pytest
from typer.testing import CliRunner

from egraff.cli import app
from egraff.export import export_torchscript
from egraff.model_card import changed_options, model_card
from egraff.models import build
from egraff.training.checkpoint import load_model, save_model

METRICS = {"force_mae_ev_per_ang": 0.0123}
DATA = {
    "files": [{"name": "a.xyz", "role": "train", "n_frames": 7, "sha256": "0" * 64}],
    "n_frames": 7,
    "imported_from": {"package": "mace", "file": "m.pt", "sha256": "1" * 64, "licence": "ASL"},
}


@pytest.fixture
def checkpoint(tmp_path):
    model = build(
        "mace",
        seed=1,
        elements=["H", "O"],
        r_max=4.0,
        energy_shift=[-13.5, -432.25],
        hidden_irreps="4x0e + 4x1o",
        radial_widths=[8],
    )
    save_model(
        tmp_path / "m.ckpt", model, training_data=DATA, metrics=METRICS, epoch=12, settings={}
    )
    return tmp_path / "m.ckpt"


def test_a_checkpoint(checkpoint):
    card = model_card(checkpoint)
    model = load_model(checkpoint)
    assert card["kind"] == "checkpoint"
    assert card["architecture"] == "mace"
    assert card["options"] == {"hidden_irreps": "4x0e + 4x1o", "radial_widths": [8]}
    assert card["elements"] == ["H", "O"]
    assert card["r_max_ang"] == 4.0
    assert card["n_weights"] == sum(p.numel() for p in model.parameters())
    assert card["reference_energies_ev"] == {"H": -13.5, "O": -432.25}
    assert card["exchanges"]["per_step"] == len(model.exchange_widths)
    # float32 there, and its gradient back
    assert card["exchanges"]["bytes_per_ghost_and_step"] == 8 * sum(model.exchange_widths)
    assert card["training"]["errors"] == METRICS
    assert card["training"]["epoch"] == 12
    assert card["training"]["files"] == DATA["files"]
    assert card["training"]["imported_from"] == DATA["imported_from"]
    assert card["licence"] == "ASL"
    assert card["citations"] == model.cited()
    assert card["sha256"] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()


def test_the_file_exported_from_it_says_the_same(checkpoint, tmp_path):
    path = tmp_path / "m.egraff.pt"
    export_torchscript(load_model(checkpoint), path, training_data=DATA, licence="ASL", fuse=True)
    ours, theirs = model_card(checkpoint), model_card(path)
    assert theirs["kind"] == "exported model"
    assert theirs["fused"] is True
    for name in set(ours) - {"kind", "file", "sha256", "training", "options"}:
        assert theirs[name] == ours[name], name
    assert theirs["training"]["files"] == DATA["files"]
    assert theirs["options"] == ours["options"]


def test_printed_and_as_json(checkpoint):
    shown = CliRunner().invoke(app, ["info", str(checkpoint)]).output
    for text in (
        "mace, float32",
        "2: H O",
        "radial_widths=[8]",
        "H -13.5000, O -432.2500",
        "a.xyz (train), 7 frames",
        "imported from   mace, m.pt",
        "force_mae_ev_per_ang 0.0123",
        "licence         ASL",
        "MACE: ",
    ):
        assert text in shown, shown
    printed = CliRunner().invoke(app, ["info", str(checkpoint), "--json"]).output
    assert json.loads(printed) == model_card(checkpoint)


def test_options_that_are_defaults_are_left_out():
    config = build("nequip", elements=["H"], r_max=3.0).config.model_dump(mode="json")
    assert changed_options("nequip", config) == {}
    assert changed_options("nequip", {**config, "l_max": 2}) == {"l_max": 2}
