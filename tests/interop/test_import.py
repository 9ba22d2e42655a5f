# SPDX-License-Identifier: GPL-2.0-or-later
"""Models of other packages, from their files to the numbers that their authors' code gave."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from ase.data import chemical_symbols
from typer.testing import CliRunner

from egraff.calculator import EgraffCalculator
from egraff.cli import app
from egraff.errors import InputError
from egraff.models import ARCHITECTURES
from egraff.training.checkpoint import load_info
from egraff.training.evaluate import evaluate_file
from tests.parity.comparison import Reference, read

FIXTURES = Path(__file__).parents[1] / "parity"
CASES = {
    "mace": ["density_agnesi_zbl", "four_elements_two_heads"],
    "nequip": ["l2_parity_pair_cutoffs"],
    "allegro": ["l2_three_layers_parity"],
    "torchmd_net": ["both_cutoff"],
    "botnet": ["element_dependent"],
    "equiformer": ["nonlinear_exp_l2"],
}
EVERY = [(name, case) for name, cases in CASES.items() for case in cases]


def reference(name: str) -> Reference:
    return read(FIXTURES / name / "fixtures" / f"{CASES[name][0]}_float64.npz")


def files(original: Reference, folder: Path, *, suffix: str = ".json") -> Path:
    """Write an original's weights and options as its users would; return the weights."""
    config = dict(original.case["config"])
    if "dtype" in original.case and "type_names" in config:
        config["model_dtype"] = original.case["dtype"]
    dump = json.dumps if suffix == ".json" else yaml.safe_dump
    (folder / f"model{suffix}").write_text(dump(config))
    torch.save(original.weights, folder / "model.pt")
    return folder / "model.pt"


def invoke(*arguments: object):
    return CliRunner().invoke(app, ["import", *(str(argument) for argument in arguments)])


def refusal(*arguments: object) -> str:
    result = invoke(*arguments)
    assert isinstance(result.exception, InputError), result.exception
    return str(result.exception)


@pytest.mark.parametrize(("name", "case"), EVERY)
def test_imported_and_exported_model_has_the_originals_numbers(name, case, tmp_path):
    original = read(FIXTURES / name / "fixtures" / f"{case}_float64.npz")
    source = files(original, tmp_path, suffix=".yaml" if name == "allegro" else ".json")
    checkpoint, exported = tmp_path / "model.ckpt", tmp_path / "model.egraff.pt"
    options = []
    if name in ("torchmd_net", "equiformer"):
        options = ["--elements", ",".join(chemical_symbols[k] for k in original.case["elements"])]
    if original.case["config"].get("heads"):
        options += ["--head", original.case["config"]["head"]]
    result = invoke(name.replace("_", "-"), source, "-o", checkpoint, *options)
    assert result.exit_code == 0, result.exception
    assert f"model.ckpt: {name}, float64, elements" in result.output
    assert load_info(checkpoint)["training_data"]["imported_from"]["file"] == "model.pt"
    result = CliRunner().invoke(app, ["export", str(checkpoint), "-o", str(exported)])
    assert result.exit_code == 0, result.exception

    calculator = EgraffCalculator(exported)
    for structure in original.structures:
        atoms = Atoms(
            structure["numbers"],
            positions=structure["positions"],
            cell=structure.get("cell"),
            pbc="cell" in structure,
        )
        atoms.calc = calculator
        found = {"energies": atoms.get_potential_energies(), "forces": atoms.get_forces()}
        for key, value in found.items():
            error = np.abs(value - structure[key]).max() / np.abs(structure[key]).max()
            assert error < 1e-10, key


def test_imported_checkpoint_can_be_evaluated(tmp_path):
    original = reference("nequip")
    assert invoke("nequip", files(original, tmp_path), "-o", tmp_path / "a.ckpt").exit_code == 0
    structure = original.structures[0]
    lines = [str(len(structure["numbers"]))]
    total = float(structure["energies"].sum())
    lines.append(f'Properties=species:S:1:pos:R:3:forces:R:3 energy={total!r} pbc="F F F"')
    rows = np.concatenate([structure["positions"], structure["forces"]], axis=1)
    for number, row in zip(structure["numbers"], rows.tolist(), strict=True):
        lines.append(" ".join([chemical_symbols[number], *(repr(value) for value in row)]))
    (tmp_path / "frame.xyz").write_text("\n".join(lines) + "\n")
    evaluation = evaluate_file(tmp_path / "a.ckpt", tmp_path / "frame.xyz")
    assert evaluation.model["energy_mae_ev_per_atom"] < 1e-9
    assert evaluation.model["force_mae_ev_per_ang"] < 1e-7


def test_state_of_a_lightning_checkpoint(tmp_path):
    original = reference("torchmd_net")
    source = files(original, tmp_path)
    torch.save({"state_dict": original.weights, "epoch": 3}, source)
    elements = ("--elements", "H, C, O")
    assert invoke("torchmd-net", source, "-o", tmp_path / "a.ckpt", *elements).exit_code == 0


# --- refusals -------------------------------------------------------------------------------------


class _Pickled:
    """Stands for a class of another package."""


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("mace", "from mace.tools.scripts_utils import extract_config_mace_model"),
        ("nequip", "from nequip.model import ModelFromCheckpoint"),
        ("allegro", "from nequip.model import ModelFromCheckpoint"),
        ("torchmd-net", 'torch.save(content["state_dict"], "model.pt")'),
        ("botnet", 'torch.save(model.state_dict(), "model.pt")'),
        ("equiformer", 'torch.save(model.state_dict(), "model.pt")'),
    ],
)
def test_pickled_model_is_not_opened_but_the_way_out_is_told(package, line, tmp_path):
    path = tmp_path / "whole.model"
    torch.save(_Pickled(), path)
    text = refusal(package, path, "-o", tmp_path / "a.ckpt")
    assert (
        f"{path}: expected a state_dict written by torch.save, could not read it without the "
        "original package (UnpicklingError)\n  fix: run this in Python where "
    ) in text
    assert line in text
    assert not (tmp_path / "a.ckpt").exists()


@pytest.mark.parametrize("name", sorted(CASES))
def test_recipes_are_python(name):
    code = ARCHITECTURES[name].original.instructions("some file.model").split("\n", maxsplit=1)[1]
    compile("\n".join(line.removeprefix("    ") for line in code.splitlines()), name, "exec")


def test_missing_weights(tmp_path):
    text = refusal("mace", tmp_path / "absent.pt", "-o", tmp_path / "a.ckpt")
    assert f"{tmp_path / 'absent.pt'}: expected weights, found no such file\n  fix: run" in text
    assert "expected weights, found a folder" in refusal("mace", tmp_path, "-o", "a.ckpt")


def test_not_a_state_dict(tmp_path):
    torch.save([1, 2], tmp_path / "model.pt")
    text = refusal("mace", tmp_path / "model.pt", "-o", tmp_path / "a.ckpt")
    assert "expected a state_dict (names and tensors), got list" in text


def test_missing_options(tmp_path):
    source = files(reference("mace"), tmp_path)
    source.with_suffix(".json").unlink()
    text = refusal("mace", source, "-o", tmp_path / "a.ckpt")
    assert (
        f"{source}: expected the model's options in model.json or model.yaml or model.yml, found "
        "none of them\n  fix: give the file with --config; or run this"
    ) in text


@pytest.mark.parametrize("content", ["{broken", None])
def test_options_that_cannot_be_read(content, tmp_path):
    source = files(reference("mace"), tmp_path)
    path = tmp_path / "other.json"
    if content is not None:
        path.write_text(content)
    text = refusal("mace", source, "-o", tmp_path / "a.ckpt", "--config", path)
    assert f"{path}: expected options as JSON or YAML, could not read them: " in text


def test_options_without_names(tmp_path):
    source = files(reference("mace"), tmp_path)
    (tmp_path / "model.json").write_text("[1]")
    text = refusal("mace", source, "-o", tmp_path / "a.ckpt")
    assert "model.json: expected options by name, got list" in text


def test_option_that_is_missing(tmp_path):
    source = files(reference("mace"), tmp_path)
    config = json.loads((tmp_path / "model.json").read_text())
    del config["MLP_irreps"]
    (tmp_path / "model.json").write_text(json.dumps(config))
    text = refusal("mace", source, "-o", tmp_path / "a.ckpt")
    assert "model.pt: expected an option or a weight 'MLP_irreps', found none" in text


def test_model_around_the_model(tmp_path):
    original = reference("nequip")
    original.case["config"]["_target_"] = "nequip.model.modify"
    text = refusal("nequip", files(original, tmp_path), "-o", tmp_path / "a.ckpt")
    assert (
        "model.json: _target_: expected a model made by NequIPGNNModel, got 'nequip.model.modify'"
    ) in text
    original.case["config"]["_target_"] = "nequip.model.NequIPGNNModel"
    assert invoke("nequip", files(original, tmp_path), "-o", tmp_path / "a.ckpt").exit_code == 0


def test_elements_are_needed_where_the_original_has_them_all(tmp_path):
    text = refusal("torchmd-net", files(reference("torchmd_net"), tmp_path), "-o", "a.ckpt")
    assert text == (
        "--elements: expected chemical symbols, got none: the original torchmd_net has weights "
        "for every element\n  fix: name those that it was trained on, --elements H,C,O"
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--elements", "H"], "--elements: not for mace: its options name the elements"),
        (["--drop-mean"], "--drop-mean: not for mace: only torchmd-net adds a mean"),
        (["--head", "x"], "--head: expected a head of the model (none), got 'x'"),
    ],
)
def test_options_for_others(options, text, tmp_path):
    assert text in refusal("mace", files(reference("mace"), tmp_path), "-o", "a.ckpt", *options)


def test_unknown_package_in_python(tmp_path):
    from egraff.interop.files import load_original

    with pytest.raises(InputError, match=r"PACKAGE: expected one of allegro, .*, got 'schnet'"):
        load_original("schnet", tmp_path / "model.pt")


def test_pickles_stay_closed(tmp_path):
    """A file that would run code at loading runs none."""
    path = tmp_path / "model.pt"
    touched = tmp_path / "touched"

    class Trap:
        def __reduce__(self):
            return Path.touch, (touched,)

    path.write_bytes(pickle.dumps(Trap()))
    assert "could not read it" in refusal("mace", path, "-o", tmp_path / "a.ckpt")
    assert not touched.exists()
