# SPDX-License-Identifier: GPL-2.0-or-later
"""A training from beginning to end, interrupted and not."""

from __future__ import annotations

import csv
import io
import json
import os
import signal

import numpy as np
import pytest
import torch
from ase import Atoms
from rich.console import Console

from egraff.data import read_frames
from egraff.errors import EgraffError, InputError
from egraff.forces import predict
from egraff.graph import collate
from egraff.models import build
from egraff.training import module
from egraff.training.checkpoint import load_info, load_model
from egraff.training.dataset import model_graphs
from egraff.training.fit import fit
from egraff.training.loss import Loss
from egraff.training.module import ForceFieldTraining
from egraff.training.resume import resumed_config
from egraff.training.trainer import Interrupted
from tests.training.toy import TINY, frames, label, settings, write


def quiet() -> Console:
    return Console(file=io.StringIO())


def weights(path, state="model"):
    content = torch.load(path, weights_only=True)
    if state == "raw":
        return {k.removeprefix("model."): v for k, v in content["state_dict"].items()}
    return content["egraff"]["weights"]


def rows(path):
    with (path / "metrics.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_learns(trained):
    errors = trained.summary["validation"]
    assert errors["force_mae_ev_per_ang"]["ratio"] > 4
    assert errors["energy_mae_ev_per_atom"]["ratio"] > 4
    assert errors["stress_mae_ev_per_ang3"]["ratio"] > 3


def test_leaves_the_files_that_were_promised_and_no_others(trained):
    found = sorted(path.name for path in trained.out.iterdir())
    assert found == [
        ".lock",
        "best.ckpt",
        "config.yaml",
        "last.ckpt",
        "metrics.csv",
        "splits",
        "summary.json",
    ]
    assert sorted(path.name for path in (trained.out / "splits").iterdir()) == [
        "train.json",
        "val.json",
    ]


def test_summary_says_what_was_done(trained):
    summary = trained.summary
    assert summary == json.loads(json.dumps(trained.returned))
    assert summary["status"] == "completed"
    assert summary["settings"]["epochs"] == 25
    assert summary["training"]["epochs"] == 25
    assert summary["training"]["steps"] == 250
    assert summary["training"]["stopped_because"] == "all epochs done"
    assert summary["training"]["threads"] == torch.get_num_threads()
    assert 0 < summary["training"]["best_epoch"] <= 25
    assert summary["data"]["files"][0]["n_frames"] == 40
    assert len(summary["data"]["files"][1]["sha256"]) == 64
    assert summary["model"]["config"]["elements"] == ["Al", "Cu"]
    assert summary["model"]["n_parameters"] > 100
    assert summary["model"]["reference_energies_from"] == "least_squares"
    assert set(summary["model"]["reference_energies_ev"]) == {"Al", "Cu"}
    assert summary["versions"]["torch"].startswith("2.")
    for name, entry in summary["validation"].items():
        if "bias" in name:  # which has a sign, and is no error to be better at
            assert entry["ratio"] is None
        else:
            assert entry["ratio"] == pytest.approx(entry["trivial"] / entry["value"])
        assert entry["ci95"][0] <= entry["value"] <= entry["ci95"][1]


def test_metrics_csv_has_a_row_for_each_epoch(trained):
    table = rows(trained.out)
    assert [int(row["epoch"]) for row in table] == list(range(1, 26))
    assert [int(row["step"]) for row in table] == list(range(10, 260, 10))
    best = table[trained.summary["training"]["best_epoch"] - 1]
    assert float(best["val_loss"]) == min(float(row["val_loss"]) for row in table)
    final = trained.summary["validation"]["force_mae_ev_per_ang"]["value"]
    assert float(best["val_force_mae_mev_per_ang"]) == pytest.approx(1000 * final, rel=1e-5)


def test_a_file_gets_lines_not_a_progress_bar(trained):
    lines = trained.printed[trained.printed.index("nequip") :].splitlines()
    assert "elements Al Cu" in lines[0]
    assert "40 training and 12 validation frames; E0 from least squares" in lines[1]
    assert sum(line.startswith("epoch") for line in lines) == 25
    assert "\x1b" not in trained.printed
    assert "force MAE" in trained.printed
    assert "better" in trained.printed


def test_a_terminal_gets_a_progress_bar(data, tmp_path):
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100)
    fit(settings(data, epochs=2), tmp_path / "run", console=console)
    assert "━" in text.getvalue()
    assert "val MAE: energy" in text.getvalue()


@pytest.mark.parametrize("schedule", ["plateau", "cosine"])
def test_interrupted_and_continued_equals_uninterrupted(data, tmp_path, monkeypatch, schedule):
    config = settings(
        data, epochs=5, dtype="float64", schedule=schedule, plateau_patience=0, optimizer="adamw"
    )
    fit(config, tmp_path / "whole", console=quiet())

    original = ForceFieldTraining.training_step

    def press_ctrl_c(self, batch, batch_idx):
        if self.current_epoch == 2 and batch_idx == 4:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(ForceFieldTraining, "training_step", press_ctrl_c)
        with pytest.raises(Interrupted, match=r"the last complete epoch is in last.ckpt"):
            fit(config, tmp_path / "parts", console=quiet())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    summary = json.loads((tmp_path / "parts" / "summary.json").read_text())
    assert summary["status"] == "interrupted"
    assert summary["training"]["epochs"] == 2
    assert load_info(tmp_path / "parts" / "last.ckpt")["epoch"] == 2

    again = fit(resumed_config(tmp_path / "parts", {}), tmp_path / "parts", resume=True)
    assert again["status"] == "completed"
    assert again["training"]["epochs"] == 5
    for state in ("model", "raw"):
        whole = weights(tmp_path / "whole" / "last.ckpt", state)
        parts = weights(tmp_path / "parts" / "last.ckpt", state)
        for name, tensor in whole.items():
            torch.testing.assert_close(parts[name], tensor, rtol=1e-12, atol=1e-14)
    for one, other in zip(rows(tmp_path / "whole"), rows(tmp_path / "parts"), strict=True):
        assert {**one, "seconds": ""} == {**other, "seconds": ""}


def test_interrupted_in_the_first_epoch_can_be_continued(data, tmp_path, monkeypatch):
    config = settings(data, epochs=2)

    def press_ctrl_c(self, batch, batch_idx):
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(ForceFieldTraining, "training_step", press_ctrl_c)
        with pytest.raises(Interrupted):
            fit(config, tmp_path / "run", console=quiet())
    assert load_info(tmp_path / "run" / "last.ckpt")["epoch"] == 0
    summary = fit(config, tmp_path / "run", resume=True, console=quiet())
    fit(config, tmp_path / "whole", console=quiet())
    assert summary["training"]["epochs"] == 2
    for name, tensor in weights(tmp_path / "whole" / "last.ckpt").items():
        torch.testing.assert_close(weights(tmp_path / "run" / "last.ckpt")[name], tensor)


def test_terminated_by_a_batch_system(data, tmp_path, monkeypatch):
    original = ForceFieldTraining.training_step

    def terminate(self, batch, batch_idx):
        if self.current_epoch == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batch, batch_idx)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(ForceFieldTraining, "training_step", terminate)
    with pytest.raises(Interrupted, match=r"terminated; the last complete epoch is in last.ckpt"):
        fit(settings(data), tmp_path / "run", console=quiet())
    assert load_info(tmp_path / "run" / "last.ckpt")["epoch"] >= 1
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["status"] == "interrupted"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_finished_training_can_be_resumed_and_lengthened(data, tmp_path):
    out = tmp_path / "run"
    fit(settings(data, epochs=2), out, console=quiet())
    same = fit(resumed_config(out, {}), out, resume=True, console=quiet())
    assert same["training"]["epochs"] == 2
    assert len(rows(out)) == 2
    longer = fit(resumed_config(out, {"epochs": 3}), out, resume=True, console=quiet())
    assert longer["training"]["epochs"] == 3
    assert [row["epoch"] for row in rows(out)] == ["1", "2", "3"]


def test_resume_refuses_other_settings(data, tmp_path):
    out = tmp_path / "run"
    fit(settings(data, epochs=1), out, console=quiet())
    with pytest.raises(InputError, match=r"lr: expected 0.02, as in the training that is continue"):
        resumed_config(out, {"lr": 0.5})
    with pytest.raises(InputError, match="only these may change: epochs, early_stop_patience"):
        resumed_config(out, {"seed": 7})
    # the same file by another path is the same setting
    assert resumed_config(out, {"data": str(data / "." / "train.xyz")}).epochs == 1


def test_resume_refuses_other_data(data, tmp_path):
    for name in ("train.xyz", "val.xyz"):
        (tmp_path / name).write_bytes((data / name).read_bytes())
    config = settings(tmp_path, epochs=1)
    fit(config, tmp_path / "run", console=quiet())
    write(tmp_path / "train.xyz", frames(5, 8))
    with pytest.raises(InputError, match=r"expected the train data of the training that is contin"):
        fit(config, tmp_path / "run", resume=True, console=quiet())


def test_resume_starts_where_there_is_nothing_yet(data, tmp_path):
    out = tmp_path / "run"
    given = settings(data, epochs=1).plain()
    config = resumed_config(out, given)
    summary = fit(config, out, resume=True, console=quiet())
    assert summary["training"]["epochs"] == 1
    # killed before its first checkpoint
    for name in ("last.ckpt", "best.ckpt"):
        (out / name).unlink()
    summary = fit(resumed_config(out, given), out, resume=True, console=quiet())
    assert summary["training"]["epochs"] == 1
    assert [row["epoch"] for row in rows(out)] == ["1"]


def test_nothing_to_resume(data, tmp_path):
    with pytest.raises(InputError, match=r"--resume: expected a training to continue, found no la"):
        resumed_config(tmp_path / "mistyped", {"epochs": 3})
    out = tmp_path / "run"
    fit(settings(data, epochs=1), out, console=quiet())
    (out / "last.ckpt").unlink()
    with pytest.raises(InputError, match=r"found best.ckpt of an .*, and no last.ckpt to continue"):
        fit(settings(data, epochs=1), out, resume=True, console=quiet())


def test_an_earlier_training_is_not_overwritten_by_accident(data, trained, tmp_path):
    with pytest.raises(InputError, match=r"found last.ckpt, best.ckpt, summary.json of an earlier"):
        fit(trained.config, trained.out)
    out = tmp_path / "run"
    fit(settings(data, epochs=1), out, console=quiet())
    fit(settings(data, epochs=1, seed=4), out, overwrite=True, console=quiet())
    assert load_info(out / "best.ckpt")["settings"]["seed"] == 4
    with pytest.raises(InputError, match=r"found nothing"):
        fit(settings(data, val="mistyped.xyz"), out, overwrite=True, console=quiet())
    assert load_info(out / "best.ckpt")["settings"]["seed"] == 4


def test_metrics_csv_of_other_columns_is_refused(data, tmp_path):
    out = tmp_path / "run"
    fit(settings(data, epochs=1), out, console=quiet())
    (out / "metrics.csv").write_text("epoch,loss\n1,2\n")
    with pytest.raises(InputError, match=r"expected the columns epoch, step, .* got epoch, loss"):
        fit(resumed_config(out, {"epochs": 2}), out, resume=True, console=quiet())


def test_a_loss_that_is_not_a_number_stops_the_training(data, tmp_path, monkeypatch):
    def broken(self, batch, batch_idx):
        total = original(self, batch, batch_idx)
        return total * float("nan") if self.current_epoch == 1 else total

    original = ForceFieldTraining.training_step
    monkeypatch.setattr(ForceFieldTraining, "training_step", broken)
    with pytest.raises(EgraffError, match=r"epoch 2: expected a finite loss, got nan in training"):
        fit(settings(data), tmp_path / "run", console=quiet())
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["status"] == "failed"
    assert "expected a finite loss" in summary["training"]["stopped_because"]
    saved = weights(tmp_path / "run" / "last.ckpt")
    assert all(torch.isfinite(tensor).all() for tensor in saved.values())


def test_early_stop(data, tmp_path):
    config = settings(data, epochs=9, lr=1e-9, ema_decay=0.0, early_stop_patience=1)
    # steps too small to change float32 weights: no epoch is better than the first
    summary = fit(config, tmp_path / "run", console=quiet())
    assert summary["training"]["epochs"] < 9
    assert summary["training"]["stopped_because"] == "no better validation loss for 1 epochs"


def test_time_limit(data, tmp_path):
    summary = fit(settings(data, epochs=9, max_minutes=1e-6), tmp_path / "run", console=quiet())
    assert summary["training"]["epochs"] == 1
    assert summary["training"]["stopped_because"] == "1e-06 minutes are over"


def test_validation_frames_are_set_aside(data, tmp_path):
    fit(settings(data, val=None, val_fraction=0.25, epochs=1), tmp_path / "run", console=quiet())
    splits = json.loads((tmp_path / "run" / "splits" / "splits.json").read_text())
    train, val = splits["splits"]["train"], splits["splits"]["val"]
    assert len(val) == 10
    assert sorted(train + val) == list(range(40))


def test_validation_frames_that_are_training_frames_are_refused(data, tmp_path):
    config = settings(data, val=str(data / "train.xyz"), epochs=1)
    with pytest.raises(InputError, match="40 of 40 validation frames are also training frames"):
        fit(config, tmp_path / "run")
    allowed = config.model_copy(update={"allow_overlap": True})
    text = io.StringIO()
    summary = fit(allowed, tmp_path / "run", console=Console(file=text, width=200))
    assert "40 of 40 validation frames are also training frames" in summary["remarks"]
    assert "note: 40 of 40 validation frames" in text.getvalue()


def test_energies_are_exact_for_isolated_atoms(data, tmp_path):
    atoms = [label(Atoms(symbol, positions=[[0, 0, 0]])) for symbol in ("Cu", "Al")]
    path = write(tmp_path / "atoms.xyz", atoms)
    config = settings(data, epochs=1, isolated_atoms=str(path))
    summary = fit(config, tmp_path / "run", console=quiet())
    assert summary["model"]["reference_energies_from"] == "isolated_atoms"
    model = load_model(tmp_path / "run" / "best.ckpt")
    graphs = model_graphs(read_frames(path), model)
    for atom, graph in zip(atoms, graphs, strict=True):
        assert float(predict(model, graph).energy) == atom.get_potential_energy()


def test_isolated_atoms_among_the_frames_change_nothing_but_e0(data, tmp_path):
    atoms = [label(Atoms(symbol)) for symbol in ("Cu", "Al")]
    images = frames(1, 12)
    with_them = write(tmp_path / "with.xyz", [*atoms, *images])
    without = write(tmp_path / "without.xyz", images)
    path = write(tmp_path / "atoms.xyz", atoms)
    text = io.StringIO()
    inside = fit(
        settings(data, epochs=1, data=str(with_them)),
        tmp_path / "inside",
        console=Console(file=text, width=200),
    )
    beside = fit(
        settings(data, epochs=1, data=str(without), isolated_atoms=str(path)),
        tmp_path / "beside",
        console=quiet(),
    )
    assert (
        "note: isolated atoms in the data give E0, and are not trained or validated on: Cu (fr"
        in (text.getvalue())
    )
    assert inside["model"]["reference_energies_from"] == "isolated_atoms"
    energies = {
        symbol: atom.get_potential_energy()
        for symbol, atom in zip(("Cu", "Al"), atoms, strict=True)
    }
    assert inside["model"]["reference_energies_ev"] == energies
    assert inside["data"]["n_frames"] == 12
    for name in ("energy_baseline_ev", "n_frames"):
        assert inside["data"][name] == beside["data"][name]
    for name, entry in inside["validation"].items():
        assert entry["trivial"] == beside["validation"][name]["trivial"]
        assert entry["value"] == beside["validation"][name]["value"]


def test_two_trainings_in_one_directory(data, tmp_path, monkeypatch):
    """The second is refused while the first is going on, and changes nothing."""
    out = tmp_path / "run"
    refusals = []
    original = ForceFieldTraining.training_step

    def start_another(self, batch, batch_idx):
        if not refusals:
            for options in ({}, {"overwrite": True}, {"resume": True}):
                try:
                    fit(settings(data, epochs=1), out, console=quiet(), **options)
                except InputError as error:
                    refusals.append(str(error))
        return original(self, batch, batch_idx)

    monkeypatch.setattr(ForceFieldTraining, "training_step", start_another)
    summary = fit(settings(data, epochs=2), out, console=quiet())
    assert len(refusals) == 3
    assert "expected a new directory, found last.ckpt" in refusals[0]
    assert all("that is not in use, but a training is running in it" in r for r in refusals[1:])
    assert summary["training"]["epochs"] == 2
    assert [row["epoch"] for row in rows(out)] == ["1", "2"]


def test_a_cutoff_without_neighbours_is_refused_before_anything_is_written(data, tmp_path):
    with pytest.raises(InputError, match=r"cutoff within which atoms have neighbours, got 0.5 A"):
        fit(settings(data, r_max=0.5), tmp_path / "run", console=quiet())
    assert not (tmp_path / "run").exists()


def test_gradient_clipping_and_workers(data, tmp_path, monkeypatch):
    norms = []
    original = module.ForceFieldTraining.on_train_batch_end

    def record(self, outputs, batch, batch_idx):
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norms.append(float(torch.sqrt(sum(g.double().square().sum() for g in gradients))))
        original(self, outputs, batch, batch_idx)

    monkeypatch.setattr(module.ForceFieldTraining, "on_train_batch_end", record)
    config = settings(data, epochs=1, clip_grad_norm=0.01, num_workers=1)
    fit(config, tmp_path / "run", console=quiet())
    assert len(norms) == 10
    assert max(norms) <= 0.01 * (1 + 1e-5)


def test_a_mixed_batch_is_the_mean_of_its_frames(data):
    """Gradients of a batch of different sizes equal those of its frames one by one."""
    model = build("nequip", elements=["Al", "Cu"], r_max=4.0, dtype="float64", seed=3, **TINY)
    graphs = model_graphs(read_frames(data / "train.xyz", index=":6"), model)
    loss = Loss("mse", energy_weight=1.0, force_weight=1.0, stress_weight=1.0)

    def terms(graph):
        return loss.terms(predict(model, graph, create_graph=True), graph)

    together = terms(collate(graphs))
    apart = [terms(graph) for graph in graphs]
    sizes = np.array([graph.n_atoms for graph in graphs], dtype=float)
    periodic = np.array([bool(torch.isfinite(graph.volume)) for graph in graphs])
    assert 0 < periodic.sum() < 6
    for name, weight in (
        ("energy", np.ones(6)),
        ("forces", sizes),
        ("stress", periodic.astype(float)),
    ):
        values = np.array([float(getattr(one, name).detach()) for one in apart])
        expected = (weight * values).sum() / weight.sum()
        assert float(getattr(together, name).detach()) == pytest.approx(expected, rel=1e-12)

    gradient = torch.autograd.grad(loss.total(together), list(model.layers.parameters()))
    assert all(torch.isfinite(part).all() for part in gradient)


def test_every_epoch_has_another_order(data, tmp_path, monkeypatch):
    first = []
    original = ForceFieldTraining.training_step

    def record(self, batch, batch_idx):
        if batch_idx == 0:
            first.append(batch[0][1].energy.tolist())
        return original(self, batch, batch_idx)

    monkeypatch.setattr(ForceFieldTraining, "training_step", record)
    fit(settings(data, epochs=4), tmp_path / "run", console=quiet())
    assert len({tuple(energies) for energies in first}) == 4


def test_inside_a_batch_job_of_many_tasks(data, tmp_path, monkeypatch):
    for name, value in (("SLURM_NTASKS", "4"), ("SLURM_JOB_ID", "7"), ("SLURM_JOB_NAME", "job")):
        monkeypatch.setenv(name, value)
    summary = fit(settings(data, epochs=1), tmp_path / "run", console=quiet())
    assert summary["status"] == "completed"
