# SPDX-License-Identifier: GPL-2.0-or-later
import pytest

from egraff.lammps.inputs import pair_lines, render
from egraff.lammps.inputs_ensemble import Start, System, dof_line, stage_seed
from egraff.lammps.run_settings import make_settings

CRYSTAL = System(
    n_atoms=8, elements=("Na", "Cl"), pbc=(True,) * 3, triclinic=False, rigid_dof=3, rotates=False
)
MOLECULE = System(
    n_atoms=9,
    elements=("H", "C", "O"),
    pbc=(False,) * 3,
    triclinic=False,
    rigid_dof=6,
    rotates=False,
)


def script(system=CRYSTAL, *, start=None, **values):
    settings = make_settings({"model": "m", "structure": "s", **values})
    text = render(settings, system, ["pair_style none"], start=start)
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("values", "fixes"),
    [
        ({"ensemble": "nve"}, ["fix production all nve"]),
        (
            {"ensemble": "nvt"},
            [
                "fix production all nve",
                "fix production_bath all temp/csvr 300 300 0.1 SEED",
                "fix production_drift all momentum 100 linear 1 1 1 rescale",
            ],
        ),
        (
            {"ensemble": "nvt", "thermostat": "nose-hoover"},
            [
                "fix production all nvt temp 300 300 0.1",
                "fix production_drift all momentum 100 linear 1 1 1 rescale",
            ],
        ),
        (
            {"ensemble": "nvt", "thermostat": "langevin"},
            [
                "fix production all nve",
                "fix production_bath all langevin 300 300 1 SEED zero yes tally yes",
            ],
        ),
        (
            {
                "ensemble": "npt",
                "thermostat": "nose-hoover",
                "pressure_bar": 5,
                "barostat": "aniso",
                "temperature": 90,
            },
            [
                "fix production all npt temp 90 90 0.1 aniso 5 5 1",
                "fix production_drift all momentum 100 linear 1 1 1 rescale",
            ],
        ),
        (
            {"ensemble": "npt", "thermostat": "csvr", "barostat_damp_ps": 2},
            [
                "fix production all nph iso 1 1 2",
                "fix production_bath all temp/csvr 300 300 0.1 SEED",
                "fix production_drift all momentum 100 linear 1 1 1 rescale",
            ],
        ),
    ],
)
def test_ensembles(values, fixes):
    seed = str(stage_seed(1, "production", Start()))
    found = [line for line in script(**values) if line.startswith("fix production")]

    assert [line.replace(seed, "SEED") for line in found] == fixes


def test_columns_and_frames_are_those_that_readers_expect():
    lines = script(ensemble="npt", barostat="tri")

    assert (
        "thermo_style custom step time temp pe ke etotal press vol "
        "pxx pyy pzz pxy pxz pyz econserve lx ly lz xy xz yz"
    ) in lines
    assert not [line for line in script(ensemble="nve") if "econserve" in line]
    assert "thermo_modify format float %.12g lost error flush yes" in lines
    assert (
        "dump trajectory all custom 100 dump.lammpstrj "
        "id type element x y z ix iy iz vx vy vz fx fy fz"
    ) in lines
    assert "dump_modify trajectory sort id element Na Cl format float %.10g" in lines
    assert "change_box all triclinic" in lines


def test_no_trajectory_and_no_intermediate_restart_files():
    lines = script(dump_every=0, restart_every=0)

    assert not [line for line in lines if line.startswith(("dump", "restart "))]
    assert "write_restart restarts/production.*.restart" in lines


def test_crystal_is_periodic_and_may_not_rotate():
    lines = script()

    assert "boundary p p p" in lines
    assert "velocity all create 300 1 mom yes rot no dist gaussian temp thermo_temp" in lines
    assert "compute_modify thermo_temp extra/dof 3" in lines


def test_molecule_keeps_neither_drift_nor_rotation():
    lines = script(MOLECULE, ensemble="nvt", thermostat="csvr")

    assert "boundary m m m" in lines
    assert "velocity all create 300 1 mom yes rot yes dist gaussian temp thermo_temp" in lines
    assert "fix_modify production_bath temp thermo_temp" in lines
    assert "fix production_drift all momentum 100 linear 1 1 1 angular rescale" in lines


@pytest.mark.parametrize(
    ("values", "rotates", "expected"),
    [
        ({"ensemble": "nve"}, False, 6),
        ({"ensemble": "nve", "velocities": "structure"}, False, 6),
        ({"ensemble": "nve", "velocities": "structure"}, True, 3),
        ({"ensemble": "nve", "velocities": "structure", "equilibrate_steps": 5}, True, 6),
        ({"ensemble": "nvt", "velocities": "structure"}, True, 6),
        ({"ensemble": "nvt", "thermostat": "langevin"}, False, 3),
    ],
)
def test_thermometer_counts_what_holds_heat(values, rotates, expected):
    """Langevin noise turns a molecule, a global thermostat does not, NVE keeps what it got."""
    settings = make_settings({"model": "m", "structure": "s", **values})
    system = System(**{**vars(MOLECULE), "rotates": rotates})

    line = dof_line(settings, system, "production")
    assert line == f"compute_modify  thermo_temp extra/dof {expected}"


def test_equilibration_stays_out_of_the_results():
    lines = script(ensemble="nve", equilibrate_steps=500)
    end = lines.index("reset_timestep 0")

    assert lines.index("log log.equilibrate") < lines.index("run 500 upto") < end
    assert lines.index("fix equilibrate all nve") < end
    assert any(line.startswith("fix equilibrate_bath all temp/csvr") for line in lines[:end])
    assert end < lines.index("log log.lammps") < lines.index("fix production all nve")
    assert not [line for line in lines[:end] if line.startswith("dump")]
    assert 'if "$(step) < 500" then quit' in lines


@pytest.mark.parametrize("thermostat", ["nose-hoover", "csvr", "langevin"])
def test_equilibration_removes_every_fix_that_it_made(thermostat):
    lines = script(MOLECULE, ensemble="nvt", thermostat=thermostat, equilibrate_steps=5)
    made = [line.split()[1] for line in lines if line.startswith("fix equilibrate")]
    removed = [line.split()[1] for line in lines if line.startswith("unfix")]

    assert removed == made[::-1]


def test_resumed_script_appends():
    start = Start("restarts/production.40.restart", "production", 40)
    lines = script(start=start, equilibrate_steps=500, steps=100)

    assert "read_restart restarts/production.40.restart" in lines
    assert "log log.lammps append" in lines
    assert "dump_modify trajectory sort id element Na Cl format float %.10g append yes" in lines
    assert "run 100 upto" in lines
    assert not [line for line in lines if line.startswith(("velocity", "read_data", "run 500"))]


def test_resumed_equilibration_goes_on_with_equilibrating():
    start = Start("restarts/equilibrate.40.restart", "equilibrate", 40)
    lines = script(start=start, equilibrate_steps=500)

    assert "log log.equilibrate append" in lines
    assert "run 500 upto" in lines
    assert not [line for line in lines if "append yes" in line]


def test_a_resumed_thermostat_does_not_repeat_its_noise():
    seeds = {
        stage_seed(1, "equilibrate", Start()),
        stage_seed(1, "production", Start()),
        stage_seed(2, "production", Start()),
        stage_seed(1, "production", Start("r", "production", 40)),
    }
    assert len(seeds) == 4
    assert all(0 < seed <= 900_000_000 for seed in seeds)


def test_the_script_names_the_model_beside_itself():
    style, coefficients = pair_lines("model.egraff.pt", ["H", "O"], device="cpu", threads=2)

    assert " ".join(style.split()) == "pair_style egraff device cpu threads 2"
    assert " ".join(coefficients.split()) == "pair_coeff * * model.egraff.pt H O"
