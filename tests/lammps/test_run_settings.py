# SPDX-License-Identifier: GPL-2.0-or-later
import pytest

from egraff.errors import InputError
from egraff.lammps.run_settings import RunSettings, help_of, make_settings

FILES = {"model": "m.egraff.pt", "structure": "s.xyz"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 0}, "--temperature: expected greater than 0, got 0\n  fix: give a temp"),
        ({"temperature": -3.5}, "--temperature: expected greater than 0, got -3.5"),
        ({"temperature": float("nan")}, "--temperature: expected a finite number, got nan"),
        ({"temperature": "hot"}, "--temperature: expected a valid number, .*, got 'hot'"),
        ({"steps": -1}, "--steps: expected greater than or equal to 0, got -1\n  fix: give the le"),
        ({"timestep_fs": 0}, "--timestep-fs: expected greater than 0, got 0\n  fix: give the time"),
        ({"timestep_fs": 50}, "--timestep-fs: expected less than or equal to 10, got 50"),
        ({"ranks": 0}, "--ranks: expected greater than or equal to 1, got 0\n  fix: give the numb"),
        ({"threads": 0}, "--threads: expected greater than or equal to 1, got 0"),
        ({"ensemble": "nph"}, "--ensemble: expected 'nve', 'nvt' or 'npt', got 'nph'"),
        ({"replicate": (2, 2)}, r"--replicate: expected three whole numbers, got \(2, 2\)"),
        ({"replicate": (2, 0, 1)}, r"--replicate: expected three whole numbers from 1, got \[2, 0"),
        ({"pressure_bar": 5}, "--pressure-bar: expected a pressure only with ensemble npt, got 5"),
        (
            {"velocities": "zero", "ensemble": "nvt"},
            "--velocities: expected velocities that csvr can scale, got zero\n  fix: draw",
        ),
        (
            {"velocities": "zero", "equilibrate_steps": 5, "thermostat": "nose-hoover"},
            "that nose-hoover can sca",
        ),
        ({"temprature": 5}, "name of a setting, got 'temprature'\n  fix: did you mean temperature"),
        ({"zzz": 5}, "name of a setting, got 'zzz'\n  fix: settings are: model, structure, frame"),
        ({"thermo_every": 0}, "--thermo-every: expected greater than or equal to 1, got 0"),
    ],
)
def test_values_out_of_range(values, message):
    with pytest.raises(InputError, match=message):
        make_settings({**FILES, **values})


@pytest.mark.parametrize("missing", ["model", "structure"])
def test_model_and_structure_are_needed(missing):
    values = {name: value for name, value in FILES.items() if name != missing}
    with pytest.raises(InputError, match=f"--{missing}: expected a value, got none\n  fix: add --"):
        make_settings(values)


def test_a_value_from_a_file_is_blamed_on_the_file():
    with pytest.raises(InputError, match=r"^run\.yaml: temperature: expected greater than 0"):
        make_settings({**FILES, "temperature": -1}, files={"temperature": "run.yaml"})


def test_npt_has_a_pressure_and_only_npt():
    assert make_settings({**FILES, "ensemble": "npt"}).target_pressure_bar == 1.0
    assert make_settings({**FILES, "ensemble": "nvt"}).target_pressure_bar is None


@pytest.mark.parametrize(
    ("thermostat", "damp"), [("nose-hoover", 0.1), ("csvr", 0.1), ("langevin", 1.0)]
)
def test_each_thermostat_has_its_relaxation_time(thermostat, damp):
    values = {**FILES, "thermostat": thermostat}

    assert make_settings(values).damp_ps == damp
    assert make_settings({**values, "thermostat_damp_ps": 0.5}).damp_ps == 0.5


def test_values_as_yaml_has_them():
    values = {"ensemble": "npt", "pressure_bar": 100, "replicate": [2, 1, 1]}
    settings = make_settings({**FILES, **values})

    assert settings.replicate == (2, 1, 1)
    assert settings.target_pressure_bar == 100.0


def test_every_setting_says_what_it_is_and_its_default():
    assert all(field.description for field in RunSettings.model_fields.values())
    assert help_of("timestep_fs") == "Time step in fs. (default 1)"
    assert help_of("replicate") == "Repetitions along a, b and c. (default 1 1 1)"
    assert help_of("thermostat_damp_ps").endswith("(default csvr 0.1, nose-hoover 0.1, langevin 1)")
    assert help_of("lmp") == "Another LAMMPS executable than this environment's."
