# SPDX-License-Identifier: GPL-2.0-or-later
"""Trainings that start from a model."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from ase import Atoms
from rich.console import Console

from egraff.data import read_frames
from egraff.errors import InputError
from egraff.training.checkpoint import load_info, load_model
from egraff.training.config import check_config
from egraff.training.dataset import read_splits
from egraff.training.evaluate import evaluate_file
from egraff.training.fine_tuning import adopt, missed, read_start, tuned_model
from egraff.training.fit import fit
from egraff.training.module import ForceFieldTraining
from egraff.training.named_weights import parameter_groups
from egraff.training.replay import MixedBatches
from egraff.training.resume import resumed_config
from egraff.training.trainer import Interrupted
from tests.training.toy import frames, label, write


@pytest.fixture
def plan(trained, data):
    """Return settings of a fine-tuning, to be changed."""
    base = {
        "from_model": trained.out / "best.ckpt",
        "data": data / "val.xyz",
        "val": data / "train.xyz",
        "epochs": 1,
        "threads": 1,
        "device": "cpu",
    }
    return lambda **changes: check_config({**base, **changes})


def tune(config, out, **options):
    text = io.StringIO()
    summary = fit(config, out, console=Console(file=text, width=140), **options)
    return summary, text.getvalue()


def started(config):
    start = read_start(config)
    config = adopt(config, start)
    splits = read_splits(config, known=start.model.elements)
    return tuned_model(config, start, splits)


def raw(path):
    content = torch.load(path, weights_only=True)["state_dict"]
    return {name.removeprefix("model."): tensor for name, tensor in content.items()}


def test_keeps_e0_exactly_and_records_what_was_done(plan, trained, tmp_path):
    summary, printed = tune(plan(), tmp_path / "run")
    before = load_model(trained.out / "best.ckpt")
    after = load_model(tmp_path / "run" / "best.ckpt")
    assert torch.equal(before.scale_shift.shift, after.scale_shift.shift)
    assert torch.equal(before.scale_shift.scale, after.scale_shift.scale)
    assert after.elements == ["Al", "Cu"]
    record = load_info(tmp_path / "run" / "best.ckpt")["training_data"]["fine_tuned_from"]
    assert record["name"] == "best.ckpt"
    assert record["training_data"]["n_frames"] == 40
    assert record["e0"]["choice"] == "keep"
    expected = evaluate_file(trained.out / "best.ckpt", trained.config.data).model
    assert record["before"]["new data"] == pytest.approx(expected)
    final = evaluate_file(tmp_path / "run" / "best.ckpt", trained.config.data).model
    assert record["after"]["new data"] == pytest.approx(final)
    assert summary["data"]["fine_tuned_from"]["after"] == record["after"]
    assert "errors before and after fine-tuning" in printed
    assert "+0.0000; kept" in printed


def test_frozen_weights_do_not_change_by_a_bit(plan, trained, tmp_path):
    tune(plan(freeze=["embedding", "layers.0"]), tmp_path / "run")
    before = load_model(trained.out / "best.ckpt").state_dict()
    after = raw(tmp_path / "run" / "last.ckpt")
    weights = [name for name, _ in load_model(trained.out / "best.ckpt").named_parameters()]
    kept = {name for name in weights if torch.equal(before[name], after[name])}
    frozen = {n for n in weights if n.startswith(("embedding.", "layers.0."))}
    assert frozen <= kept
    # the others learn, but for empty ones and the energies' scale and shift
    others = {n for n in kept - frozen if before[n].numel()}
    assert others == {"scale_shift.scale", "scale_shift.shift"}


def test_learning_rates_by_module(plan, tmp_path):
    model, _, _ = started(plan())
    groups = parameter_groups(model, {"layers": 0.5, "layers.1": 0.1, "embedding.weight": 0.0})
    names = {id(p): name for name, p in model.named_parameters()}
    factor = {names[id(p)]: g["lr_factor"] for g in groups for p in g["params"]}
    assert factor["embedding.weight"] == 0.0
    assert factor["layers.0.linear_in.weight"] == 0.5
    assert factor["layers.1.linear_in.weight"] == 0.1
    assert factor["readout.weights.0"] == 1.0
    tune(plan(lr_factors={"layers": 0.0}), tmp_path / "run")
    before = model.state_dict()
    after = raw(tmp_path / "run" / "last.ckpt")
    assert torch.equal(before["layers.1.linear_in.weight"], after["layers.1.linear_in.weight"])
    assert not torch.equal(before["embedding.weight"], after["embedding.weight"])


@pytest.mark.parametrize("field", ["freeze", "lr_factors"])
def test_an_unknown_module_lists_the_choices(plan, tmp_path, field):
    value = ["layer.0"] if field == "freeze" else {"layer.0": 0.1}
    with pytest.raises(InputError, match=rf"{field}: expected the name .*'layer.0'\n.*layers.0"):
        tune(plan(**{field: value}), tmp_path / "run")


def test_nothing_left_to_learn(plan, tmp_path):
    every = ["embedding", "layers", "readout"]
    with pytest.raises(InputError, match=r"freeze: nothing is left to learn with embedding, la"):
        tune(plan(freeze=every), tmp_path / "run")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("model", "mace"),
        ("r_max", 5.5),
        ("preset", "medium"),
        ("energy_scale", 2.0),
        ("avg_num_neighbours", 3.0),
        ("model_options", {"l_max": 2}),
        ("reference_energies", "least_squares"),
    ],
)
def test_contradictions_are_refused_by_name(plan, setting, value):
    config = plan(**{setting: value})
    with pytest.raises(InputError, match=rf"{setting}[a-z_.]*: expected .*\n  fix: "):
        adopt(config, read_start(config))


def test_what_the_model_has_may_be_said_again(plan, trained):
    config = plan(model="nequip", r_max=4.0, model_options={"l_max": 1})
    assert adopt(config, read_start(config)).model_options["n_features"] == [8, 4]


def test_keep_and_refit_need_a_model(data):
    with pytest.raises(InputError, match=r"reference_energies: keep needs a model to start from"):
        check_config({"model": "nequip", "data": "a", "reference_energies": "keep"})


def shifted(path, out, by):
    """Write frames whose energies are shifted by so many eV for each atom of an element."""
    import ase.io

    images = ase.io.read(path, ":")
    for image in images:
        image.calc.results["energy"] += sum(by[symbol] for symbol in image.get_chemical_symbols())
    return write(out, images)


def test_refit_finds_the_shift_of_another_method(plan, trained, data, tmp_path):
    by = {"Al": 7.0, "Cu": -3.0}
    other = shifted(data / "val.xyz", tmp_path / "other.xyz", by)
    _, unshifted, _ = started(plan(reference_energies="refit"))
    config = plan(data=other, reference_energies="refit")
    model, shifts, record = started(config)
    # least squares is linear: exactly the shift more, but for rounding of energies in the file
    for element, value in by.items():
        assert shifts.values[element] - unshifted.values[element] == pytest.approx(value, abs=1e-5)
    assert model.scale_shift.shift.tolist() == list(shifts.values.values())
    assert record["e0"]["from"] == {"Al": "least squares", "Cu": "least squares"}
    # what is left has no part that is linear in the numbers of atoms
    rest = missed(model, read_frames(other), model.elements)
    counts = np.array([[f.symbols.count(e) for e in by] for f in read_frames(other)], float)
    sizes = counts.sum(axis=1)
    assert np.abs((counts / sizes[:, None]).T @ (rest / sizes)).max() < 1e-5
    _, kept, _ = started(plan(data=other))
    assert "eV per atom from what the model says" in kept.notes[0]


def test_e0_of_isolated_atoms_and_given(plan, data, tmp_path):
    atoms = write(tmp_path / "atoms.xyz", [label(Atoms("Al")), label(Atoms("Cu"))])
    config = plan(isolated_atoms=atoms, reference_energies="isolated_atoms")
    model, shifts, _ = started(config)
    assert np.abs(missed(model, read_frames(atoms), model.elements)).max() < 1e-6
    assert set(shifts.origin.values()) == {"isolated atom"}
    only = write(tmp_path / "al.xyz", [label(Atoms("Al"))])
    with pytest.raises(InputError, match=r"reference_energies: no isolated atom of Cu\n"):
        started(plan(isolated_atoms=only, reference_energies="isolated_atoms"))
    given, _, _ = started(plan(reference_energies={"Cu": -4.0, "Al": -5.0}))
    assert given.scale_shift.shift.tolist() == [-5.0, -4.0]


def with_silver(path):
    images = frames(5, 12)
    for number, image in enumerate(images):
        symbols = image.symbols
        if number % 2:
            symbols[-1] = "Ag"
        images[number] = label(Atoms(symbols, image.positions, cell=image.cell, pbc=image.pbc))
    return write(path, images)


def test_an_added_element(plan, trained, tmp_path):
    path = with_silver(tmp_path / "silver.xyz")
    config = plan(data=path)
    model, shifts, record = started(config)
    assert model.elements == ["Al", "Cu", "Ag"]
    assert record["elements_added"] == {"Ag": "Cu"}
    before = load_model(trained.out / "best.ckpt").scale_shift.shift.tolist()
    assert model.scale_shift.shift.tolist()[:2] == before
    assert shifts.origin == {"Al": "kept", "Cu": "kept", "Ag": "least squares"}
    summary, printed = tune(config, tmp_path / "run")
    assert "Ag: new to the model; its weights start as those of Cu" in printed
    assert load_model(tmp_path / "run" / "best.ckpt").elements == ["Al", "Cu", "Ag"]
    assert summary["settings"]["elements"] == ["Al", "Cu", "Ag"]


def test_replay(plan, trained, data, tmp_path):
    old = write(tmp_path / "old.xyz", frames(9, 30))
    watched = write(tmp_path / "watched.xyz", frames(10, 10))
    config = plan(replay=[{"data": old, "weight": 2.0}, {"data": watched, "weight": 0}])
    summary, printed = tune(config, tmp_path / "run")
    record = summary["data"]["fine_tuned_from"]
    assert list(record["before"]) == ["new data", "1: old.xyz", "2: watched.xyz"]
    assert list(record["after"]) == list(record["before"])
    roles = {f["role"]: f["n_frames"] for f in summary["data"]["files"]}
    assert roles == {"train": 12, "val": 40, "replay-1": 27, "watched-2": 9}
    assert "2: watched.xyz" in printed


def test_the_loss_of_replayed_data_has_its_weight(plan, data, trained):
    config = adopt(plan(), read_start(plan()))
    model, _, _ = started(config)
    from egraff.graph import collate
    from egraff.training.dataset import model_graphs

    new = collate(model_graphs(read_frames(data / "val.xyz")[:3], model))
    old = collate(model_graphs(read_frames(data / "train.xyz")[:4], model))
    batches = MixedBatches([3, 4], batch_size=3, seed=0)
    training = ForceFieldTraining(model, config, batches=batches, about={}, weights=[1.0, 0.25])
    losses = [
        float(training.training_step(batch, 0).detach())
        for batch in ([(0, new)], [(1, old)], [(0, new), (1, old)])
    ]
    # the second is already multiplied by its weight; float64 sums of two numbers
    assert losses[2] == pytest.approx(losses[0] + losses[1], rel=1e-12)
    training.weights[1] = 0.5
    twice = float(training.training_step([(1, old)], 0).detach())
    assert twice == pytest.approx(2 * losses[1], rel=1e-12)


def test_replayed_frames_come_in_turn_across_epochs():
    batches = MixedBatches([5, 7], batch_size=2, seed=4)
    seen, new = [], []
    for epoch in range(7):
        batches.set_epoch(epoch)
        for batch in batches:
            seen += [frame for which, frame in batch if which == 1]
            new += [frame for which, frame in batch if which == 0]
    assert len(seen) == 7 * 3 * 2
    for turn in range(6):
        assert sorted(seen[7 * turn : 7 * turn + 7]) == list(range(7))
    assert sorted(new[:5]) == list(range(5))


def test_validation_frames_are_not_replayed(plan, data, tmp_path):
    with pytest.raises(InputError, match=r"also training frames|in both|overlap"):
        tune(plan(replay=[{"data": data / "train.xyz"}]), tmp_path / "run")


def test_one_frame_cannot_be_replayed(plan, tmp_path):
    one = write(tmp_path / "one.xyz", frames(11, 1))
    with pytest.raises(InputError, match=r"replay: expected at least 2 frames"):
        tune(plan(replay=[{"data": one}]), tmp_path / "run")


def test_resumed_it_ends_as_if_it_had_not_stopped(plan, trained, tmp_path, monkeypatch):
    path = with_silver(tmp_path / "silver.xyz")
    old = write(tmp_path / "old.xyz", frames(9, 10))
    # the model may be gone by then
    model = tmp_path / "base.ckpt"
    model.write_bytes((trained.out / "best.ckpt").read_bytes())
    config = plan(
        from_model=model, data=path, epochs=2, freeze=["embedding"], replay=[{"data": old}]
    )
    whole, _ = tune(config, tmp_path / "whole")
    original = ForceFieldTraining.on_train_epoch_start

    def stop(self):
        if self.current_epoch == 1:
            raise Interrupted("stopped")
        original(self)

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(ForceFieldTraining, "on_train_epoch_start", stop)
        tune(config, tmp_path / "parts")
    model.unlink()
    again = resumed_config(tmp_path / "parts", {})
    parts, _ = tune(again, tmp_path / "parts", resume=True)
    one, two = raw(tmp_path / "whole" / "last.ckpt"), raw(tmp_path / "parts" / "last.ckpt")
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert parts["data"] == whole["data"]


def test_from_the_command_line(trained, data, tmp_path):
    from tests.training.test_cli_train import run

    old = write(tmp_path / "old.xyz", frames(9, 10))
    energies = tmp_path / "e0.yaml"
    energies.write_text("Al: -5.0\nCu: -4.0\n")
    out = tmp_path / "run"
    run(
        *("train", "--from", trained.out / "best.ckpt", "--data", data / "val.xyz"),
        *("--val", data / "train.xyz", "--out", out, "--epochs", 1, "--threads", 1),
        *("--e0", energies, "--freeze", "embedding, layers.0", "--lr-factor", "layers.1=0.5"),
        *("--replay", f"{old}:0.5", "--elements", "Cu,Al"),
    )
    settings = json.loads((out / "summary.json").read_text())["settings"]
    assert settings["freeze"] == ["embedding", "layers.0"]
    assert settings["lr_factors"] == {"layers.1": 0.5}
    assert settings["replay"] == [{"data": str(old), "weight": 0.5}]
    assert settings["reference_energies"] == {"Al": -5.0, "Cu": -4.0}
    assert load_model(out / "best.ckpt").scale_shift.shift.tolist() == [-4.0, -5.0]
    given = ("train", "--from", trained.out / "best.ckpt", "--data", "a", "--out", tmp_path / "no")
    with pytest.raises(InputError, match=r"--e0: no such file: x.yaml"):
        run(*given, "--e0", "x.yaml")
    with pytest.raises(InputError, match=r"--replay: expected FILE:WEIGHT with a number"):
        run(*given, "--replay", "x.xyz:heavy")
    with pytest.raises(InputError, match=r"--lr-factor: expected NAME=VALUE"):
        run(*given, "--lr-factor", "layers.0")
    with pytest.raises(InputError, match=r"--lr-factor: layers is given twice"):
        run(*given, "--lr-factor", "layers=1", "--lr-factor", "layers=2")
