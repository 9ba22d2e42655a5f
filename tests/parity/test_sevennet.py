# SPDX-License-Identifier: GPL-2.0-or-later
"""NequIP gives the numbers of SevenNet (sevenn 0.12.1) with the same weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from egraff.errors import InputError
from egraff.export import export_torchscript
from egraff.interop.sevennet import convert_config, convert_state
from tests.parity.comparison import Reference, assert_parity, converted, fixtures, read

FIXTURES = Path(__file__).parent / "sevennet" / "fixtures"


def reference(path: Path) -> Reference:
    """Read a fixture, with its map of elements as sevenn has it."""
    found = read(path)
    found.case["config"]["_type_map"] = dict(found.case["config"]["_type_map"])
    return found


def original(name: str = "xplor_l2") -> Reference:
    return reference(FIXTURES / f"{name}_float64.npz")


@pytest.mark.parametrize("path", fixtures("sevennet"))
def test_parity(path):
    found = reference(path)
    options, state = convert_state(found.case["config"], found.weights)
    assert options["dtype"] == found.case["dtype"]
    assert_parity(converted("nequip", options, state), found)


def test_order_of_elements_scale_and_shift_are_the_originals():
    found = original()
    options, _ = convert_state(found.case["config"], found.weights)
    assert options["elements"] == ["O", "C", "H"]
    assert options["energy_shift"] == [-5.0, -4.0, -3.0]
    assert options["energy_scale"] == pytest.approx([1.5, 1.2, 0.9], rel=1e-7)  # of float32


def test_fused_model_agrees_where_the_envelope_has_its_kink(tmp_path):
    """The export compares fused and plain models, at 3.6 A and elsewhere."""
    from ase import Atoms

    found = original()
    options, state = convert_state(found.case["config"], found.weights)
    model = converted("nequip", options, state)
    distances = [1.1, 3.5999, 3.6, 3.6001, 3.99]
    positions = [[0.0, 20.0 * k + d, 0.0] for k, d in enumerate(distances)]
    positions += [[0.0, 20.0 * k, 0.0] for k in range(len(distances))]
    pairs = Atoms(["O"] * 5 + ["H", "C", "H", "C", "O"], positions)
    metadata = export_torchscript(model, tmp_path / "a.egraff.pt", structure=pairs, fuse=True)
    assert metadata["fused"] is True
    assert metadata["check_frame"]["symbols"] == pairs.get_chemical_symbols()
    tables = metadata["radial_tables"]
    assert [table["n_tables"] for table in tables] == [1, 1, 1]  # not one for each pair of elements
    assert max(table["derivative_error"] for table in tables) < 1e-9


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_model_type", "another"),
        ("interaction_type", "mace"),
        ("act_gate", {"e": "ssp", "o": "tanh"}),
        ("act_scalar", {"e": "silu", "o": "abs"}),
        ("act_radial", "ssp"),
        ("readout_as_fcn", True),
        ("use_bias_in_linear", True),
        ("optimize_by_reduce", False),
        ("use_modality", True),
        ("use_flash_tp", True),
        ("cuequivariance_config", {"use": True}),
        ("is_parity", True),
        ("_normalize_sph", False),
        ("lmax_edge", 3),
        ("lmax_node", 1),
        ("radial_basis", {"radial_basis_name": "gaussian"}),
        ("cutoff_function", {"cutoff_function_name": "cosine"}),
        ("weight_nn_hidden_neurons", [6, 8]),
        ("self_connection_type", "none"),
        ("self_connection_type", ["nequip", "linear", "linear"]),
        ("a_new_option", 1),
    ],
)
def test_what_egraff_lacks_is_refused_by_name(name, value):
    config = {**original().case["config"], name: value}
    with pytest.raises(InputError) as caught:
        convert_config(config)
    assert caught.value.field == name
    assert f"has no {name} = {value!r}" in str(caught.value)


def test_features_of_each_layer_are_refused():
    found = original()
    irreps = ["4x0e", "4x0e+3x1e+2x2e", "4x0e+3x1e+1x2e", "4x0e"]
    with pytest.raises(InputError, match="egraff's NequIP has no irreps_manual"):
        convert_state({**found.case["config"], "irreps_manual": irreps}, found.weights)


def test_harmonics_of_files_before_0_9_1_are_refused():
    config = {**original().case["config"], "version": "0.9.0"}
    del config["_normalize_sph"]
    with pytest.raises(InputError, match="has no _normalize_sph = False"):
        convert_config(config)


def test_weights_that_are_missing_unknown_or_of_other_couplings():
    found = original()
    config, weights = found.case["config"], found.weights
    with pytest.raises(InputError, match=r"expected a weight 1_convolution\.denominator, found"):
        convert_state(
            config, {k: v for k, v in weights.items() if k != "1_convolution.denominator"}
        )
    with pytest.raises(InputError, match=r"expected only weights .*, got 0_convolution\.new"):
        convert_state(config, {**weights, "0_convolution.new": torch.ones(1)})
    name = next(key for key in weights if key.endswith("_w3j_1_1_1"))
    with pytest.raises(InputError, match=r"Clebsch-Gordan coefficients or their negative, got \["):
        convert_state(config, {**weights, name: 0.5 * weights[name]})
