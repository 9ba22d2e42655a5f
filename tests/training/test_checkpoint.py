# SPDX-License-Identifier: GPL-2.0-or-later
"""Checkpoints: what is in them, and what is said of files that are none."""

from __future__ import annotations

import pytest
import torch

from egraff import __version__
from egraff.data import read_frames
from egraff.errors import ModelFileError
from egraff.forces import predict
from egraff.graph import collate
from egraff.models import build
from egraff.training.checkpoint import load_info, load_model, save_model
from egraff.training.dataset import model_graphs
from tests.training.toy import TINY


def tiny(**options):
    return build("nequip", elements=["Al", "Cu"], r_max=4.0, seed=5, **{**TINY, **options})


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt"])
def test_only_tensors_and_plain_values(trained, name):
    content = torch.load(trained.out / name, weights_only=True)
    assert content["egraff"]["architecture"] == "nequip"
    assert content["egraff"]["egraff_version"] == __version__


def test_info_of_a_training(trained):
    info = load_info(trained.out / "best.ckpt")
    assert "weights" not in info
    assert info["config"]["elements"] == ["Al", "Cu"]
    assert info["epoch"] == trained.summary["training"]["best_epoch"]
    assert info["settings"]["epochs"] == 25
    assert info["training_data"]["files"][0]["name"] == "train.xyz"
    assert len(info["training_data"]["files"][0]["sha256"]) == 64
    assert set(info["training_data"]["energy_baseline_ev"]) == {"Al", "Cu"}
    assert info["check_structure"]["symbols"] == ["Al", "Cu", "Cu"]
    assert info["metrics"]["force_mae_ev_per_ang"] == pytest.approx(
        trained.summary["validation"]["force_mae_ev_per_ang"]["value"], rel=1e-5
    )


def test_the_model_for_use_has_the_averaged_weights(trained):
    last = torch.load(trained.out / "last.ckpt", weights_only=True)
    average = last["egraff_training"]["ema"]["average"]
    model = load_model(trained.out / "last.ckpt")
    assert not model.training
    for name, parameter in model.named_parameters():
        if name in average:
            assert torch.equal(parameter, average[name])
            assert not torch.equal(parameter, last["state_dict"][f"model.{name}"])


def test_round_trip_without_a_training(tmp_path):
    model = tiny(dtype="float64")
    save_model(tmp_path / "m.ckpt", model, training_data={"from": "elsewhere"})
    again = load_model(tmp_path / "m.ckpt")
    assert again.config == model.config
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)
    assert load_info(tmp_path / "m.ckpt")["training_data"] == {"from": "elsewhere"}


def test_float32_weights_in_a_float64_model(data, tmp_path):
    model = tiny(dtype="float32")
    save_model(tmp_path / "m.ckpt", model)
    wide = load_model(tmp_path / "m.ckpt", dtype="float64")
    assert wide.dtype == "float64"
    batch = collate(model_graphs(read_frames(data / "val.xyz"), model))
    narrow = predict(model, batch)
    exact = predict(wide, batch)
    assert all(p.dtype == torch.float64 for p in wide.parameters())
    torch.testing.assert_close(narrow.forces, exact.forces, rtol=1e-4, atol=1e-5)
    assert not torch.equal(narrow.forces, exact.forces)


def test_what_is_not_a_checkpoint(tmp_path, exported):
    with pytest.raises(ModelFileError, match=r"expected a checkpoint, found no such file"):
        load_model(tmp_path / "none.ckpt")
    with pytest.raises(ModelFileError, match=r"expected a checkpoint, found a folder"):
        load_model(tmp_path)
    with pytest.raises(ModelFileError, match=r"expected a checkpoint, got an exported model"):
        load_info(exported("float64"))
    text = tmp_path / "text.ckpt"
    text.write_text("hello")
    with pytest.raises(ModelFileError, match=r"could not read it \(.*\)\n  fix: .* truncated copy"):
        load_info(text)
    other = tmp_path / "other.ckpt"
    torch.save({"state_dict": {}}, other)
    with pytest.raises(ModelFileError, match=r"not a checkpoint of egraff: it has no 'egraff'"):
        load_info(other)


def test_a_newer_layout(tmp_path):
    path = tmp_path / "m.ckpt"
    save_model(path, tiny())
    content = torch.load(path, weights_only=True)
    content["egraff"] |= {"format": 99, "egraff_version": "9.9"}
    torch.save(content, path)
    with pytest.raises(ModelFileError, match=r"expected layout 1 or older, got 99\n.* egraff 9.9"):
        load_model(path)


def test_weights_of_another_model(tmp_path):
    path = tmp_path / "m.ckpt"
    save_model(path, tiny())
    content = torch.load(path, weights_only=True)
    content["egraff"]["config"]["radial_width"] = 7
    torch.save(content, path)
    with pytest.raises(ModelFileError, match=r"weights: the weights do not fit nequip"):
        load_model(path)
