# SPDX-License-Identifier: GPL-2.0-or-later
"""What changes between evaluations: types, exclusions, bonds, and the list that a run goes on with.

Each is compared with the same atoms in a run of their own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from egraff.calculator import EgraffCalculator
from egraff.export import export_torchscript
from tests.pair_style.conftest import SETUP, START, STYLE
from tests.pair_style.engine import must_fail, must_run
from tests.pair_style.systems import SYSTEMS
from tests.pair_style.toy import toy

RANKS = pytest.mark.parametrize("ranks", [1, 2, 4])
ENERGY = "print '$(pe:%.15g)' append e.txt\n"


def energies(here: Path) -> list[float]:
    return [float(line) for line in (here / "e.txt").read_text().splitlines()]


def with_options(options: str) -> str:
    return SETUP + STYLE.replace("egraff", f"egraff {options}", 1)


# --- atoms that are excluded from all others are those that fix gcmc considers as deleted ---


@RANKS
@pytest.mark.parametrize("options", ["", "mode extended", "graph device"])
@pytest.mark.parametrize("order", ["gone all", "all gone"])
def test_an_atom_excluded_from_all_does_not_count(here, ranks, options, order):
    gone = with_options(options) + "group gone id 3 17 31\n"
    must_run(gone + f"neigh_modify exclude group {order}\nrun 0\n" + ENERGY, here, ranks=ranks)
    must_run(gone + "delete_atoms group gone\nrun 0\n" + ENERGY, here, ranks=ranks)
    excluded, deleted = energies(here)
    assert excluded == pytest.approx(deleted, rel=1e-13)


def test_nothing_is_said_of_it_and_it_has_no_outputs(here):
    script = "group gone id 3\nneigh_modify exclude group gone all\n"
    outputs = "compute e all egraff/atom energy\ncompute p all pe/atom\n"
    write = "write_dump all custom e.dump id c_e c_p fx modify sort id\n"
    text = must_run(START + script + outputs + "run 0\n" + write, here)
    assert "hides neighbours" not in text
    row = (here / "e.dump").read_text().splitlines()[9 + 2].split()
    assert row == ["3", "0", "0", "0"]


def test_an_atom_excluded_from_some_is_alone_with_them(here):
    """What it does not see, it does not see; its own energy stays."""
    script = "group gone id 3\ngroup rest subtract all gone\nneigh_modify exclude group gone rest\n"
    text = must_run(START + script + "run 0\n" + ENERGY, here)
    assert text.count("WARNING: pair_style egraff: neigh_modify exclude hides neighbours") == 1
    must_run(START + script.split("neigh")[0] + "delete_atoms group gone\nrun 0\n" + ENERGY, here)
    alone = SYSTEMS["isolated atom"][:1].copy()
    alone.symbols = [SYSTEMS["orthogonal"].symbols[2]]
    alone.calc = EgraffCalculator(here / "m.pt")
    some, deleted = energies(here)
    assert some - deleted == pytest.approx(alone.get_potential_energy(), rel=1e-11)


IDEAL_GAS = """
import sys
import numpy as np
from ase import Atoms
from lammps import lammps
from egraff.calculator import EgraffCalculator

model, exchanges, calls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
edge, temperature, expected = 60.0, 20000.0, 6.0
kT = 8.617343e-5 * temperature  # LAMMPS's constants, units metal
wavelength = np.sqrt(4.135667403e-3**2 / (2 * np.pi * 1.008 * 1.0364269e-4 * kT))
atom = Atoms("H", cell=[edge] * 3, pbc=True)
atom.calc = EgraffCalculator(model)
mu = atom.get_potential_energy() + kT * np.log(expected * wavelength**3 / edge**3)
lmp = lammps(cmdargs=["-log", "none", "-screen", "none"])
lmp.commands_string(f'''
units metal
region b block 0 {edge} 0 {edge} 0 {edge}
create_box 1 b
mass 1 1.008
create_atoms 1 random 6 4711 b overlap 5 maxtry 1000
pair_style egraff
pair_coeff * * {model} H
neighbor 1.0 bin
fix gc all gcmc 1 {exchanges} 0 1 29494 {temperature} {mu} 0.5 full_energy overlap_cutoff 0.5
run 0 post no
''')
numbers = []
for _ in range(calls):
    lmp.command("run 1 pre no post no")
    numbers.append(lmp.get_natoms())
print(*numbers)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("exchanges", "calls"), [(1, 6000), (10, 1500)])
def test_an_ideal_gas_has_its_number_of_atoms(here, exchanges, calls):
    """Atoms so far apart that they are isolated: <N> follows from the chemical potential."""
    export_torchscript(toy(elements=["H"], energy_shift=[-3.0], r_max=1.0), here / "h.pt")
    arguments = [sys.executable, "-c", IDEAL_GAS, "h.pt", str(exchanges), str(calls)]
    done = subprocess.run(arguments, cwd=here, capture_output=True, text=True, check=True)
    found = np.array(done.stdout.split(), dtype=float)[calls // 10 :]
    error = np.std([part.mean() for part in np.array_split(found, 20)], ddof=1) / np.sqrt(20)
    assert abs(found.mean() - 6.0) < 3.5 * error  # one run in two thousand
    assert error < 0.4


# --- types that change between neighbour lists ---


@RANKS
@pytest.mark.parametrize("options", ["", "mode extended", "graph device", "check yes"])
def test_types_that_change_on_an_old_list(here, ranks, options):
    """Also where some ranks only see it happen to ghosts, or not at all."""
    run = """
fix nve all nve
timestep 1e-6
neigh_modify delay 100
group few id 7
run 4 pre no every 2 "set group few type/fraction 2 1.0 4"
"""
    again = "neigh_modify delay 0\nrun 0\n"
    text = must_run(with_options(options) + run + ENERGY + again + ENERGY, here, ranks=ranks)
    assert "Neighbor list builds = 0" in text
    changed, fresh = energies(here)
    # the last evaluation was one step of 1e-6 ps before the type changed for the last time
    assert changed == pytest.approx(fresh, rel=1e-12)
    must_run(with_options(options) + "run 0\n" + ENERGY, here, ranks=ranks)
    assert abs(energies(here)[-1] - fresh) > 0.1


def test_flips_of_sgcmc_have_energies_of_flips(here):
    script = """
neigh_modify every 1 delay 0 check {check}
velocity all create 300 1 loop geom
fix nve all nve
timestep 0.0005
fix sg all sgcmc 3 1.0 300 -1.75 window_size 1.0
run 6
"""
    for check in ("yes", "no"):  # no: a new list in every step
        must_run(START + script.format(check=check) + ENERGY + "run 0\n" + ENERGY, here)
    during, again, rebuilt, _ = energies(here)
    assert during == pytest.approx(again, rel=1e-12)
    assert during == pytest.approx(rebuilt, rel=1e-12)


CHANGE = """
fix nve all nve
neigh_modify delay 100
group one id {atom}
run 2 pre no every 1 "set group one type {type}"
"""


def test_lists_of_other_cutoffs_are_refused(here):
    export_torchscript(toy(pair_cutoffs={"H": 2.5, "O": {"H": 3.0}}), here / "pairs.pt")
    script = START.replace("m.pt", "pairs.pt") + CHANGE.format(atom=1, type=2)
    assert (
        "pairs.pt: expected a new neighbour list after a change of types, since cutoffs depend on "
        "them, got the old one for atom 1 of type 2"
    ) in must_fail(script, here)
    rebuilt = script.replace("delay 100", "every 1 delay 0 check no")
    must_run(rebuilt, here)


def test_atoms_that_were_not_the_models_are_missed_in_its_list(here):
    hybrid = """
pair_style hybrid egraff lj/cut 4.0
pair_coeff * * egraff m.pt O NULL
pair_coeff 1*2 2 lj/cut 0.001 1.0
"""
    text = must_fail(SETUP + hybrid + CHANGE.format(atom=2, type=1), here)
    assert (
        "pair_style egraff: neighbour list: expected a neighbour list of all atoms that the model "
        "describes, got one without 1 of them: their types have changed since"
    ) in text
    assert "if a fix changes types, neigh_modify every 1 delay 0 check no" in text


# --- pairs that are missing in the list ---

MOLECULES = """
units metal
atom_style full
{read}
bond_style zero
bond_coeff *
angle_style zero
angle_coeff *
pair_style egraff
pair_coeff * * m.pt O H
neighbor 1.0 bin
"""
REMOVED = (
    "special_bonds: expected neighbours at every distance, got special_bonds that removes 1-2 "
    "pairs from the neighbour list, the first of atoms"
)
WATER = """water

3 atoms
2 bonds
1 angles

Coords

1 0 0 0
2 0.96 0 0
3 -0.24 0.93 0

Types

1 1
2 2
3 2

Bonds

1 1 1 2
2 1 1 3

Angles

1 1 2 1 3
"""


@pytest.fixture
def water(here) -> Path:
    (here / "water.txt").write_text(WATER)
    return here


BOX = """region b block 0 20 0 20 0 20
create_box 2 b bond/types 1 angle/types 1 extra/bond/per/atom 2 extra/angle/per/atom 1 &
    extra/special/per/atom 4
mass 1 15.999
mass 2 1.008
molecule water water.txt
create_atoms 0 single 5 5 5 mol water 4711"""


@pytest.mark.parametrize("ranks", [1, 2])
def test_bonds_that_are_deleted_leave_special_neighbours(water, ranks):
    delete = "delete_bonds all bond 1 remove\ndelete_bonds all angle 1 remove\n"
    text = must_fail(MOLECULES.format(read=BOX) + delete + "run 0\n", water, ranks=ranks)
    assert REMOVED in text
    assert "fix: special_bonds lj/coul 1.0 1.0 1.0" in text
    must_run(
        MOLECULES.format(read=BOX)
        + delete.replace("remove", "remove special")
        + "run 0\n"
        + ENERGY,
        water,
        ranks=ranks,
    )
    must_run(MOLECULES.format(read=BOX) + "special_bonds lj/coul 1 1 1\nrun 0\n" + ENERGY, water)
    assert energies(water)[0] == pytest.approx(energies(water)[1], rel=1e-12)


@pytest.mark.parametrize("ranks", [1, 2])
def test_molecules_that_are_inserted_bring_theirs(water, ranks):
    """There is no bond when the run is set up."""
    alone = BOX.replace("create_atoms 0 single 5 5 5 mol water 4711", "create_atoms 1 single 5 5 5")
    region = "region r block 10 15 10 15 10 15\n"
    deposit = "fix d all deposit 1 0 2 777 region r mol water near 2.0\nrun 3\n"
    script = MOLECULES.format(read=alone) + region + deposit
    assert REMOVED in must_fail(script, water, ranks=ranks)
    must_run(
        "newton on\n" + script.replace("fix d", "special_bonds lj/coul 1 1 1\nfix d"),
        water,
        ranks=ranks,
    )


def test_atoms_that_are_far_away_or_not_the_models_do_not_matter(water):
    hybrid = """
pair_style hybrid egraff lj/cut 4.0
pair_coeff * * egraff m.pt O NULL
pair_coeff 1*2 2 lj/cut 0.001 1.0
"""
    script = MOLECULES.format(read=BOX)
    style = script[script.index("pair_style") : script.index("neighbor")]
    must_run(script.replace(style, hybrid) + "run 0\n", water)  # O-H are bonded, H is not ours
    assert REMOVED in must_fail(script + "run 0\n", water)


def test_templates_are_refused_as_a_whole(water):
    special = """
Special Bond Counts

1 2 0 0
2 1 1 0
3 1 1 0

Special Bonds

1 2 3
2 1 3
3 1 2
"""
    (water / "whole.txt").write_text(WATER + special)
    molecule = "molecule whole whole.txt\n"
    create = BOX.split("molecule")[0] + "create_atoms 0 single 5 5 5 mol whole 4711"
    script = MOLECULES.format(read=create)
    script = script.replace("atom_style full", molecule + "atom_style template whole")
    text = must_fail(script + "run 0\n", water)
    assert "got special_bonds that removes 1-2 pairs from the neighbour list" in text
    must_run(script + "special_bonds lj/coul 1 1 1\nrun 0\n", water)
