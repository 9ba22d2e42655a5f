# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings: where they come from, and what is said when they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from egraff.errors import InputError
from egraff.training.config import (
    TrainConfig,
    check_config,
    load_config,
    merge,
    recipe,
    save_config,
)

MINIMAL = {"data": "train.xyz", "model": "nequip"}


def test_file_with_overrides_on_top(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("model: nequip\ndata: a.xyz\nlr: 0.5\nmodel_options: {l_max: 1, resnet: on}\n")
    config = load_config(path, {"lr": 0.25, "epochs": None, "model_options.l_max": 2})
    assert config.lr == 0.25
    assert config.epochs == 200
    assert config.model_options == {"l_max": 2, "resnet": True}
    assert config.data == Path("a.xyz")


def test_saved_settings_read_back_the_same(tmp_path):
    config = check_config(
        {**MINIMAL, "reference_energies": {"H": -13.6}, "energy_scale": 2, "min_lr": 1e-6}
    )
    save_config(config, tmp_path / "c.yaml")
    assert load_config(tmp_path / "c.yaml") == config
    assert set(yaml.safe_load((tmp_path / "c.yaml").read_text())) == set(TrainConfig.model_fields)


def test_every_setting_is_documented():
    for name in TrainConfig.model_fields:
        assert name in TrainConfig.__doc__, name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"learning_rat": 1},
            r"c.yaml: learning_rat: unknown setting\n  fix: .*settings: energy_key, .* data, val",
        ),
        ({"epoch": 1}, r"epoch: unknown setting\n  fix: did you mean epochs\?"),
        ({"data": None}, r"data: Input is not a valid path"),
        ({"lr": 0}, r"lr: Input should be greater than 0, got 0\n  fix: correct the value"),
        ({"loss": "l1"}, r"loss: Input should be 'mse', 'mae' or 'huber', got 'l1'"),
        ({"energy_weight": 0, "force_weight": 0}, r"force_weight and stress_weight are all zero"),
        ({"energy_scale": -1.0}, r"energy_scale: expected a positive number, got -1.0"),
        ({"model_options": {"r_max": 4}}, r"model_options: r_max cannot be set there but beside"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(InputError, match=message):
        check_config({**MINIMAL, **settings}, where="c.yaml")


def test_a_setting_that_is_needed():
    with pytest.raises(InputError, match=r"data: this setting is needed\n  fix: .* or as --data"):
        check_config({"model": "nequip"})


def test_overrides_do_not_change_what_they_are_put_on():
    settings = {"model_options": {"l_max": 1}}
    assert merge(settings, {"model_options.l_max": 2}) == {"model_options": {"l_max": 2}}
    assert settings == {"model_options": {"l_max": 1}}


def test_a_dot_into_a_number():
    with pytest.raises(InputError, match=r"lr\.x: lr is 0\.1, which has no x\n  fix: set lr its"):
        merge({"lr": 0.1}, {"lr.x": 1})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("lr", float("inf"), "a finite number"),
        ("lr", float("nan"), "a finite number"),
        ("lr", 11, "less than or equal to 10"),
        ("r_max", 1e300, "less than or equal to 30"),
        ("energy_scale", float("inf"), "a finite number"),
        ("huber_delta", float("nan"), "a finite number"),
        ("force_weight", float("inf"), "a finite number"),
        ("reference_energies", {"H": float("nan")}, "a finite number"),
        ("clip_grad_norm", float("-inf"), "a finite number"),
        ("max_minutes", float("inf"), "a finite number"),
        ("epochs", 10**12, "less than or equal to 1000000000"),
        ("seed", 2**40, "less than 4294967296"),
        ("batch_size", 0, "greater than or equal to 1"),
    ],
)
def test_numbers_that_are_out_of_range(name, value, expected):
    with pytest.raises(InputError, match=rf"{name}: .*should be {expected}"):
        check_config({**MINIMAL, name: value}, where="c.yaml")


@pytest.mark.parametrize("name", ["epochs", "lr", "stress_weight", "threads"])
def test_yes_is_no_number(name):
    with pytest.raises(InputError, match=rf"{name}: expected a value other than true"):
        check_config({**MINIMAL, name: True})


def test_every_number_has_two_bounds():
    """A number without bounds is one that a slip makes absurd and nobody refuses."""
    numbers = {
        name: field
        for name, field in TrainConfig.model_fields.items()
        if field.annotation in (int, float, int | None, float | None)
    }
    assert len(numbers) > 20
    for name, field in numbers.items():
        kinds = {type(bound).__name__ for bound in field.metadata}
        assert kinds & {"Gt", "Ge"}, name
        assert kinds & {"Lt", "Le"}, name


def test_names_of_labels_that_say_something_else():
    with pytest.raises(InputError, match=r"virial is by its name a virial .*--virial-key virial"):
        check_config({**MINIMAL, "stress_key": "virial"})
    with pytest.raises(InputError, match=r"unit of VASP_kbar, whose name says kbar; give stress_u"):
        check_config({**MINIMAL, "stress_key": "VASP_kbar"})
    config = check_config(
        {**MINIMAL, "stress_key": "VASP_kbar", "stress_unit": "kbar", "stress_sign": "compression"}
    )
    assert config.labels.stress_factor == pytest.approx(-1 / 1602.176634)


@pytest.mark.parametrize("name", ["molecule", "crystal"])
def test_recipes_are_valid(name):
    config = load_config(recipe(name), {"data": "train.xyz"})
    assert config.model == "nequip"


def test_unknown_recipe():
    with pytest.raises(InputError, match=r"no recipe 'x'\n  fix: choose one of crystal, molecule"):
        recipe("x")
