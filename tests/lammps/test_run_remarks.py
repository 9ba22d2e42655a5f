# SPDX-License-Identifier: GPL-2.0-or-later
"""What is allowed but probably not wanted."""

import json
import os
import re

import pytest
from ase.build import molecule

from egraff.lammps.inputs_ensemble import System
from egraff.lammps.run_remarks import remarks_on
from egraff.lammps.run_settings import make_settings

FILES = {"model": "m", "structure": "s"}
STRESS = {"training_data": {"visited": {"n_stress_frames": 9}}}
CRYSTAL = System(
    n_atoms=64, elements=("Ar",), pbc=(True,) * 3, triclinic=False, rigid_dof=3, rotates=False
)


def remarks(metadata=STRESS, system=CRYSTAL, **values):
    settings = make_settings({**FILES, "ensemble": "nvt", **values})
    return remarks_on(settings, system, metadata)


def like(system, **values):
    return System(**{**vars(system), **values})


def test_nothing_to_remark():
    assert remarks() == []
    assert remarks(ensemble="npt") == []
    assert remarks(ensemble="nve", equilibrate_steps=100) == []


def test_more_threads_than_cores():
    cores = len(os.sched_getaffinity(0))
    (remark,) = remarks(ranks=cores, threads=2)

    assert remark.startswith(f"{cores} ranks x 2 threads on {cores} cores: ranks will wait")
    assert remarks(ranks=cores, threads=2, mpirun="srun") == []  # on other machines than this


def test_long_time_steps():
    assert (
        "a time step of 2 fs is long for hydrogen"
        in remarks(system=like(CRYSTAL, elements=("C", "H")), timestep_fs=2.0)[0]
    )
    assert remarks(timestep_fs=2.0) == []
    assert "a time step of 6 fs is long for atoms" in remarks(timestep_fs=6.0)[0]


def test_nve_that_loses_half_its_temperature():
    (remark,) = remarks(ensemble="nve", temperature=250)

    assert remark.startswith("nve without equilibration: velocities drawn at 250 K share their")
    assert remark.endswith("--equilibrate-steps brings the run to its temperature first")
    for values in ({"velocities": "structure"}, {"velocities": "zero"}, {"steps": 0}):
        assert remarks(ensemble="nve", **values) == []


@pytest.mark.parametrize(
    ("n_atoms", "pbc", "rigid_dof", "told"),
    [(27, False, 6, True), (51, False, 6, True), (52, False, 6, False), (8, True, 3, True)],
)
def test_nose_hoover_of_few_degrees_of_freedom(n_atoms, pbc, rigid_dof, told):
    system = like(CRYSTAL, n_atoms=n_atoms, pbc=(pbc,) * 3, rigid_dof=rigid_dof)
    expected = rf"nose-hoover samples few degrees of freedom \({3 * n_atoms - rigid_dof}\) poorly"
    for values in ({}, {"ensemble": "nve", "equilibrate_steps": 9}):
        found = remarks(system=system, thermostat="nose-hoover", **values)
        assert [bool(re.search(expected, remark)) for remark in found] == [True] * told
    assert remarks(system=system) == []


@pytest.mark.parametrize(
    ("metadata", "origin"),
    [
        (
            {"training_data": {"visited": {"n_stress_frames": 0}}},
            "the model was trained without st",
        ),
        ({"training_data": {}}, "the model's file does not tell whether it learnt stress"),
    ],
)
def test_npt_with_a_model_that_never_saw_stress(metadata, origin):
    (remark,) = remarks(metadata, ensemble="npt")

    assert remark.startswith(f"npt, but {origin}")
    assert "compare the model's stress with the reference's (egraff eval)" in remark
    assert remarks(metadata) == []


def test_remarks_are_printed_and_kept(run_lj, capsys):
    ethanol = molecule("CH3CH2OH")
    ethanol.positions *= 3.0
    record, _, directory = run_lj(
        atoms=ethanol, ensemble="nvt", thermostat="nose-hoover", timestep_fs=1.0, steps=1
    )
    (remark, _) = record.warnings

    assert "few degrees of freedom (21)" in remark
    assert f"warning: {remark}" in capsys.readouterr().err
    assert json.loads((directory / "run.json").read_text())["warnings"] == record.warnings
