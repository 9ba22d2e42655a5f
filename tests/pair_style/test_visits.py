# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits, the committee's file and computes are about configurations that the run visits.

Monte Carlo fixes and finite differences ask for energies of others, in the same step.
"""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from egraff.calculator import EgraffCalculator
from tests.pair_style.conftest import SETUP
from tests.pair_style.engine import frames, must_fail, must_run
from tests.pair_style.systems import SYSTEMS

STYLE = """
pair_style egraff {options}
pair_coeff * * m.pt second.pt O H
velocity all create 600 1 loop geom
fix nve all nve
timestep 0.0005
"""
# at list builds, before the step's forces are computed; the first one is not known by name
BEFORE_FORCES = {
    "neighbor/swap": "compute vo all voronoi/atom neighbors yes\n"
    "fix t all neighbor/swap 2 20 777 300 3.0 vo diff 1",
    "atom/swap": "fix t all atom/swap 2 10 777 300 ke no types 1 2",
    "gcmc": "fix t all gcmc 2 5 5 1 4928 300 -1 0.5 full_energy overlap_cutoff 0.7",
    "widom": "fix t all widom 2 5 1 4928 300 full_energy",
    # it calls what others do at the end of a step
    "charge/regulation": "fix t all charge/regulation 2 1 nevery 2 nmc 5 seed 4928 temp 300 "
    "onlysalt yes 1 -1 lunit_nm 0.1 pIp 60 pIm 60",
}
# between the step's forces and its end; of few atoms, for each is evaluated six times: of those
# whose displacements raise the largest force by more than the steps of the run do
AFTER_FORCES = {"numdiff": "group few id 7 13 37\nfix t few numdiff 1 0.2"}
# the types change there for good, too, so that what was visited is in no dump
SGCMC = {"sgcmc": "fix t all sgcmc 2 0.2 300 -1.75 window_size 1.0"}
FIXES = BEFORE_FORCES | AFTER_FORCES | SGCMC
N_STEPS = 4

RUN = f"""
{{fix}}
compute deviation all egraff/atom deviation
compute largest all reduce max c_deviation
thermo 1
thermo_style custom step pe c_largest
thermo_modify format float %.12g
dump d all custom 1 visited.dump id type x y z fx fy fz
dump_modify d sort id format float %.16g
run {N_STEPS}
"""


@pytest.fixture
def here(here):
    """Return the directory with atoms that have charges, for charge/regulation, too."""
    head, atoms = (here / "system.data").read_text().split("Atoms # atomic\n\n")
    rows = [line.split() for line in atoms.splitlines()]
    rows = [" ".join([*row[:2], "0.0", *row[2:]]) for row in rows]
    (here / "charge.data").write_text("\n".join([head + "Atoms # charge\n", *rows, ""]))
    return here


def script(fix: str, options: str) -> str:
    read = "atom_style charge\natom_modify map yes\nread_data charge.data"  # map: for numdiff
    setup = SETUP.replace("read_data system.data", read)
    return setup + STYLE.format(options=options) + RUN.format(fix=fix)


def deviations(here, types, positions) -> np.ndarray:
    """Return the deviation of each atom, by the calculator."""
    forces = []
    for model in ("m.pt", "second.pt"):
        atoms = Atoms(
            np.where(types == 1, "O", "H"),
            positions=positions,
            cell=SYSTEMS["orthogonal"].cell,
            pbc=True,
        )
        atoms.calc = EgraffCalculator(here / model)
        forces.append(atoms.get_forces())
    return np.linalg.norm(np.std(forces, axis=0), axis=1)


# fix sgcmc is for one rank
CASES = [*((name, 1) for name in FIXES), ("neighbor/swap", 2), ("gcmc", 2), ("numdiff", 2)]


@pytest.mark.parametrize(("name", "ranks"), [case for case in CASES if case[0] != "sgcmc"])
def test_the_file_of_a_committee_has_the_visited_configurations(here, name, ranks):
    text = must_run(script(FIXES[name], "devi_freq 1 devi_file d.txt"), here, ranks=ranks)

    lines = np.loadtxt(here / "d.txt")
    visited = frames(here / "visited.dump")
    assert lines[:, 0].tolist() == list(range(N_STEPS + 1)) == list(range(len(visited)))
    rows = [line.split() for line in text.splitlines()]
    printed = [float(r[2]) for r in rows if len(r) == 3 and r[0].isdigit() and "." in r[1]]
    for line, shown, (types, positions, _) in zip(lines, printed, visited, strict=True):
        expected = deviations(here, types, positions)
        # ten digits in the file and twelve in the log
        assert line[1:] == pytest.approx(
            [expected.max(), expected.min(), expected.mean()], rel=1e-8
        )
        assert shown == pytest.approx(expected.max(), rel=1e-10)
    assert (
        f"pair_style egraff: fix {name} tries configurations that the run does not visit; "
        "d.txt has lines of those that it does"
    ) in text


def test_one_line_for_each_step_where_types_change_after_the_forces(here):
    must_run(script(FIXES["sgcmc"], "devi_freq 1 devi_file d.txt"), here)
    assert np.loadtxt(here / "d.txt")[:, 0].tolist() == list(range(N_STEPS + 1))


@pytest.mark.parametrize(("name", "ranks"), CASES)
def test_limits_are_for_the_visited_configurations(here, name, ranks):
    """A limit that only trials exceed does not stop the run; one that a visit exceeds does."""
    must_run(script(FIXES[name], ""), here, ranks=ranks)
    largest = [np.linalg.norm(forces, axis=1).max() for *_, forces in frames(here / "visited.dump")]
    limit = max(largest)
    text = must_run(script(FIXES[name], f"max_force {limit * 1.0001}"), here, ranks=ranks)
    assert f"fix {name} tries configurations that the run does not visit; limits are" in text

    if name in SGCMC:
        # the dump has forces after the flips, which the next step's evaluation is the first to see
        text = must_fail(script(FIXES[name], f"max_force {largest[0] * 1.0001}"), here, ranks=ranks)
        step = int(text.split(" at step ")[1].split()[0])
        assert step == 1 + next(k for k in range(1, len(largest)) if largest[k] > largest[0])
        return
    # the first step above a limit between the start and the largest, if it grows at all
    above = next((k for k in range(1, len(largest)) if largest[k] > largest[0] * 1.0001), None)
    if above is None:
        text = must_fail(script(FIXES[name], f"max_force {limit * 0.999}"), here, ranks=ranks)
        assert f"got {limit:.6g} at step {np.argmax(largest)} on" in text
    else:
        text = must_fail(script(FIXES[name], f"max_force {largest[0] * 1.0001}"), here, ranks=ranks)
        assert f"got {largest[above]:.6g} at step {above} on" in text


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_trajectory_that_is_rejected_has_no_line_for_its_end(here, ranks):
    """Fix hmc goes back to where it started, and this is what the dump has for that step."""
    fix = "fix t all hmc 3 4711 20\ntimestep 0.01"
    hmc = script(fix, "devi_freq 1 devi_file d.txt").replace(f"run {N_STEPS}", "run 18")
    refused = must_fail(hmc, here, ranks=ranks)
    assert (
        "compute egraff/atom: expected steps that go on from what was evaluated, got fix hmc, "
        "which goes back where it rejects fix: leave the compute out of this run, and `rerun` its "
        "dump with it"
    ) in refused

    kept = [line for line in hmc.splitlines() if "c_" not in line and "compute" not in line]
    text = must_run("\n".join([*kept, "print 'accepted $(f_t[1])'\n"]), here, ranks=ranks)
    accepted = int(text.split("accepted ")[-1].split()[0])
    assert 0 < accepted < 6
    lines = np.loadtxt(here / "d.txt")
    assert len(lines) == 19 - (6 - accepted)
    visited = frames(here / "visited.dump")
    for step, largest, *_ in lines:
        types, positions, _ = visited[int(step)]
        assert largest == pytest.approx(deviations(here, types, positions).max(), rel=1e-8)
    assert "fix hmc tries configurations that the run does not visit; d.txt has lines" in text


def test_substeps_of_respa_are_visited(here):
    """With the pair style at the inner level, every one of its substeps is judged."""
    respa = (
        "run_style respa 2 2 pair 1\nthermo 1\nrun 4\nwrite_dump all custom f id type fx fy fz\n"
    )
    text = must_run(SETUP + STYLE.format(options="devi_freq 1 devi_file d.txt") + respa, here)
    assert "tries configurations" not in text
    assert np.loadtxt(here / "d.txt")[:, 0].tolist() == [0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_reruns_are_judged(here):
    base = SETUP + STYLE.format(options="devi_freq 1 devi_file d.txt")
    must_run(
        base + "dump d all custom 1 r.dump id type x y z\ndump_modify d format float %.16g\n"
        "run 3\n",
        here,
    )
    ran = np.loadtxt(here / "d.txt")
    must_run(base.replace("d.txt", "e.txt") + "rerun r.dump dump x y z\n", here)
    # sixteen digits of the positions
    assert np.loadtxt(here / "e.txt") == pytest.approx(ran, rel=1e-8)


def test_the_fix_is_not_for_people(here):
    text = must_fail(SETUP + "fix x all EGRAFF/VISIT 1\n", here)
    assert "fix EGRAFF/VISIT is made by pair_style egraff fix: leave it out" in text
