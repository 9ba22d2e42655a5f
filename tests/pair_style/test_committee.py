# SPDX-License-Identifier: GPL-2.0-or-later
"""Committees: the mean drives, their disagreement is measured, and a run can stop because of it."""

from __future__ import annotations

import numpy as np
import pytest

from egraff.calculator import EgraffCalculator
from egraff.export import export_torchscript
from tests.pair_style.conftest import SETUP, START
from tests.pair_style.engine import must_fail, must_run, read_dump
from tests.pair_style.systems import SYSTEMS
from tests.pair_style.toy import toy

MEMBERS = ("m.pt", "second.pt", "third.pt")
RANKS = pytest.mark.parametrize("ranks", [1, 2, 4])
COMMITTEE = f"""
pair_style egraff devi_freq 5 devi_file devi.txt
pair_coeff * * {" ".join(MEMBERS)} O H
"""
MEASURE = """
compute deviation all egraff/atom deviation
compute energy all egraff/atom energy
compute pe all pe/atom
compute largest all reduce max c_deviation
dump d all custom 1 c.dump id type x y z fx fy fz c_deviation c_energy c_pe
dump_modify d sort id format float %.15g
thermo_style custom step pe c_largest
run 0
print "$(pe:%.15g) $(c_largest:%.15g)" file c.txt
"""


def members(directory):
    """Return energies ``[3]`` and forces ``[3, n, 3]`` of the members by themselves."""
    energies, forces = [], []
    for name in MEMBERS:
        atoms = SYSTEMS["orthogonal"].copy()
        atoms.calc = EgraffCalculator(directory / name)
        energies.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces())
    return np.array(energies), np.array(forces)


@RANKS
def test_the_mean_drives_and_the_deviation_is_numpys(here, ranks):
    text = must_run(SETUP + COMMITTEE + MEASURE, here, ranks=ranks)
    energies, forces = members(here)
    deviation = np.sqrt(((forces - forces.mean(0)) ** 2).sum(2).mean(0))
    frame = read_dump(here / "c.dump")
    pe, largest = np.loadtxt(here / "c.txt")

    assert "a committee of 3, evaluated in turn: their mean drives" in text
    assert pe == pytest.approx(energies.mean(), rel=1e-11)
    found = np.stack([frame[f"f{axis}"] for axis in "xyz"], axis=1)
    assert np.abs(found - forces.mean(0)).max() < 1e-9
    assert np.abs(frame["c_deviation"] - deviation).max() < 1e-9
    assert np.abs(frame["c_energy"] - frame["c_pe"]).max() < 1e-10
    assert largest == pytest.approx(deviation.max(), rel=1e-9)
    step, *line = np.loadtxt(here / "devi.txt")
    assert step == 0
    assert line == pytest.approx([deviation.max(), deviation.min(), deviation.mean()], rel=1e-8)


def test_lines_every_so_many_steps_and_appended_after_a_restart(here):
    dynamics = "fix nve all nve\ntimestep 0.0001\n"
    must_run(SETUP + COMMITTEE + dynamics + "run 10\nwrite_restart ten\n", here)
    again = "units metal\nread_restart ten\nneighbor 1.0 bin\n"
    must_run(again + COMMITTEE + dynamics + "run 10\n", here)

    lines = (here / "devi.txt").read_text().splitlines()
    assert lines[0] == ("# force deviation of a committee of 3, metal units: step max min mean")
    assert [int(line.split()[0]) for line in lines[1:]] == [0, 5, 10, 10, 15, 20]


def test_no_lines_of_configurations_that_the_run_does_not_visit(here):
    style = SETUP + COMMITTEE.split("compute")[0]
    must_run(style + "minimize 0 1e-3 5 10\n", here)
    assert not (here / "devi.txt").exists()


@RANKS
def test_a_run_stops_itself_where_the_members_disagree(here, ranks):
    """Atoms drift apart from a start where the members agree within the limit."""
    _, forces = members(here)
    start = np.sqrt(((forces - forces.mean(0)) ** 2).sum(2).mean(0)).max()
    script = f"""
compute deviation all egraff/atom deviation
compute largest all reduce max c_deviation
variable largest equal c_largest
velocity all create 3000 1 loop geom
fix nve all nve
timestep 0.0005
fix stop all halt 1 v_largest > {start * 1.02} error continue
run 400
write_data stopped.data
print "$(step) $(v_largest:%.12g)" file stopped.txt
"""
    must_run(SETUP + COMMITTEE + script, here, ranks=ranks)
    step, largest = np.loadtxt(here / "stopped.txt")
    assert 0 < step < 400
    assert largest > start * 1.02
    assert (here / "stopped.data").exists()


def test_outputs_of_the_model(here):
    script = """
compute charge all egraff/atom charge
compute one all reduce sum c_charge
thermo_style custom step pe c_one
run 0
print "$(c_one:%.15g)" file q.txt
"""
    must_run(START + script, here, ranks=2)
    atoms = SYSTEMS["orthogonal"].copy()
    atoms.calc = EgraffCalculator(here / "m.pt")
    must_run(START + script.replace("q.txt", "q1.txt"), here)
    assert float((here / "q.txt").read_text()) == pytest.approx(
        float((here / "q1.txt").read_text()), rel=1e-10
    )


@RANKS
def test_outputs_are_those_of_the_steps_own_evaluation(here, ranks):
    """Reading one takes no time in the models; a committee's is the mean of its members'."""
    script = """
compute before all pair egraff
compute charge all egraff/atom charge
compute one all reduce sum c_charge
compute after all pair egraff
thermo_style custom step c_before[1] c_one c_after[1]
run 0
print "$(c_before[1]:%.17g) $(c_after[1]:%.17g) $(c_one:%.17g)" file q.txt
"""
    charges = []
    for files in (" ".join(MEMBERS), *MEMBERS):
        style = COMMITTEE.replace(" ".join(MEMBERS), files)
        must_run(SETUP + style + script, here, ranks=ranks)
        before, after, charge = np.loadtxt(here / "q.txt")
        assert 0 < before == after
        charges.append(charge)
    committee, *alone = charges
    assert committee == pytest.approx(np.mean(alone), rel=1e-10)


def test_members_must_share_elements_and_cutoffs(here):
    export_torchscript(toy(r_max=3.5), here / "short.pt")
    text = must_fail(SETUP + "pair_style egraff\npair_coeff * * m.pt short.pt O H\n", here, ranks=2)
    assert (
        "pair_coeff: short.pt: expected the cutoffs (largest 4.000000) as in m.pt, the first member"
        in text
    )
    assert "fix: train all members with the same elements, cutoffs and dtype" in text
    export_torchscript(toy(elements=["O", "H"]), here / "turned.pt")
    text = must_fail(SETUP + "pair_style egraff\npair_coeff * * m.pt turned.pt O H\n", here)
    assert "pair_coeff: turned.pt: expected the elements H O as in m.pt" in text
    text = must_fail(SETUP + "pair_style egraff\npair_coeff * * m.pt single.pt O H\n", here)
    assert "pair_coeff: single.pt: expected float64 as in m.pt" in text
    assert "got float32" in text


def test_a_second_run_at_step_zero_keeps_the_lines_of_the_first(here):
    must_run(SETUP + COMMITTEE + "run 0\nrun 0\n", here)
    assert len((here / "devi.txt").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("egraff/atom", "expected one NAME, got 0 words"),
        ("egraff/atom spin", "expected one of energy, charge, got spin"),
        ("egraff/atom deviation", "a deviation needs several models in pair_coeff"),
    ],
)
def test_computes_that_cannot_be(here, line, problem):
    text = must_fail(START + f"compute c all {line}\nrun 0\n", here, ranks=2)
    assert problem in text


def test_compute_without_the_pair_style(here):
    script = "pair_style zero 4.0\npair_coeff * *\ncompute c all egraff/atom energy\nrun 0\n"
    text = must_fail(SETUP + script, here)
    assert "expected one pair style egraff, got none" in text


def test_a_file_that_cannot_be_written(here):
    script = COMMITTEE.replace("devi.txt", "none/devi.txt")
    text = must_fail(SETUP + script + "run 0\n", here)
    assert "devi_file: expected a file that can be written, got none/devi.txt" in text
