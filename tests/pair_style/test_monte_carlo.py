# SPDX-License-Identifier: GPL-2.0-or-later
"""What Monte Carlo fixes and compute fep make of message-passing models.

At 60 K a move is accepted or refused by its energy alone. Where a chemical potential enters, it is
set just below and just above the value that decides, which the calculator gives for the same atoms
with and without what is moved.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from egraff.calculator import EgraffCalculator
from egraff.export import export_torchscript
from egraff.models import build
from tests.models.configs import small_config
from tests.pair_style.engine import frames, must_run
from tests.pair_style.systems import SYSTEMS

MODELS = ("nequip", "mace")
RUNS = pytest.mark.parametrize(
    ("model", "ranks"),
    [
        ("nequip", 2),
        ("mace", 1),
        pytest.param("nequip", 1, marks=pytest.mark.slow),
        pytest.param("mace", 2, marks=pytest.mark.slow),
    ],
)
BOLTZMANN = 8.617343e-5  # eV/K, in LAMMPS's units metal
T = 60.0
KT = BOLTZMANN * T
MARGIN = 20 * KT  # on either side of a threshold; one decision in e^20 is left to chance

# The last three atoms are a molecule of types of their own. The first two of these have charges, by
# which fix charge/regulation knows ions.
FIRST_MOVED = 37
SYSTEM = SYSTEMS["orthogonal"].copy()
SYSTEM.symbols[FIRST_MOVED:] = ["H", "O", "H"]
BOX = [float(x) for x in SYSTEM.cell.lengths()]
TYPES = [{"O": 1, "H": 2}[symbol] for symbol in SYSTEM.symbols[:FIRST_MOVED]] + [3, 4, 3]
CHARGES = [0] * FIRST_MOVED + [1, -1, 0]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """Return a directory of models whose isolated atoms have energies of their own."""
    path = tmp_path_factory.mktemp("models")
    for name in MODELS:
        options = {**small_config(name), "dtype": "float64", "energy_shift": [-0.4, -0.1, -0.7]}
        model = build(name, seed=5, **options).eval()
        export_torchscript(model, path / f"{name}.pt", fuse=None)
    return path


@pytest.fixture
def here(models, tmp_path) -> Path:
    """Return a fresh directory with the models and the data file."""
    for file in models.iterdir():
        (tmp_path / file.name).symlink_to(file)
    lines = ["", "", "40 atoms", "4 atom types"]
    lines += [f"0 {length!r} {axis}lo {axis}hi" for length, axis in zip(BOX, "xyz", strict=True)]
    lines += ["", "Masses", "", "1 15.999", "2 1.008", "3 1.008", "4 15.999"]
    lines += ["", "Atoms # full", ""]
    for k, position in enumerate(SYSTEM.positions):
        place = " ".join(repr(float(x)) for x in position)
        lines.append(f"{k + 1} {int(k >= FIRST_MOVED)} {TYPES[k]} {CHARGES[k]} {place}")
    (tmp_path / "full.data").write_text("\n".join(lines) + "\n")
    return tmp_path


def energy_of(here: Path, model: str, atoms: Atoms) -> float:
    atoms = atoms.copy()
    atoms.calc = EgraffCalculator(here / f"{model}.pt")
    return atoms.get_potential_energy()


def start(model: str) -> str:
    return f"""
units metal
atom_style full
atom_modify map yes
read_data full.data
pair_style egraff
pair_coeff * * {model}.pt O H H O
neighbor 1.0 bin
"""


def outcomes(
    script: str, moves: list[str], values: tuple[int, ...], here: Path, ranks: int
) -> list[list[float]]:
    """Start with a script, make each move and return these values of its fix `mc`.

    The energy of the step is that of a run of its own of the atoms that there are then.
    """
    printed = " ".join(f"$(f_mc[{value}]:%.15g)" for value in values)
    for move in moves:
        script += f"{move}\nrun 1\nprint '{printed} $(pe:%.15g)' append v.txt\nunfix mc\n"
        script += "run 0\nprint '$(pe:%.15g)' append e.txt\n"
    must_run(script, here, ranks=ranks)
    rows = np.loadtxt(here / "v.txt", ndmin=2)
    # sums of some ten eV in another order
    assert rows[:, -1] == pytest.approx(np.loadtxt(here / "e.txt", ndmin=1), abs=1e-10)
    return rows[:, :-1].tolist()


def around(threshold: float) -> tuple[float, float]:
    """Return energies on either side, the larger one first."""
    return threshold + MARGIN, threshold - MARGIN


@RUNS
def test_gcmc_deletes_a_molecule_by_its_energy(here, model, ranks):
    places = [" ".join(map(str, p)) for p in SYSTEM.positions[FIRST_MOVED:].tolist()]
    rows = [f"{k} {place}" for k, place in enumerate(places, 1)]
    types = ["1 3", "2 4", "3 3"]
    text = ["m", "", "3 atoms", "", "Coords", "", *rows, "", "Types", "", *types, ""]
    (here / "mol.txt").write_text("\n".join(text))
    deletion = energy_of(here, model, SYSTEM) - energy_of(here, model, SYSTEM[:FIRST_MOVED])
    wavelength = np.sqrt(4.135667403e-3**2 / (2 * np.pi * 18.015 * 1.0364269e-4 * KT))
    deciding = deletion + KT * np.log(wavelength**3 / np.prod(BOX))
    moves = [
        f"fix mc gas gcmc 1 12 0 0 4711 {T} {mu:.12g} 0 mol m max 1 full_energy group gas"
        for mu in around(deciding)
    ]
    script = start(model) + "molecule m mol.txt\ngroup gas molecule 1\n"
    found = outcomes(script, moves, (5, 6), here, ranks)
    assert all(tried > 0 for tried, _ in found)
    assert [deleted > 0 for _, deleted in found] == [False, True]


@RUNS
def test_charge_regulation_deletes_ions_by_their_energy(here, model, ranks):
    without = SYSTEM[[*range(FIRST_MOVED), FIRST_MOVED + 2]]
    deletion = energy_of(here, model, SYSTEM) - energy_of(here, model, without)
    # volume x N_A x mol / litre: the number of ions of a kind at unit activity
    volume = np.log10(np.prod(BOX) * 0.1**3 * 0.602214)
    exponents = [volume - energy / KT / np.log(10) / 2 for energy in around(deletion)]
    moves = [
        "fix mc all charge/regulation 3 4 nevery 1 nmc 1 seed 100000 onlysalt yes 1 -1 "
        f"lunit_nm 0.1 temp {T} pIp {exponent:.12g} pIm {exponent:.12g}"
        for exponent in exponents
    ]
    script = start(model) + "set type 3*4 mol 0\n"  # ions belong to no molecule
    found = outcomes(script, moves, (1, 2, 7, 8), here, ranks)
    assert found == [[1, 0, 1, 1], [1, 1, 0, 0]]


@RUNS
def test_a_molecule_changes_its_types_by_its_energy(here, model, ranks):
    """Of two states, the lower one is stayed in, and gone to."""
    swapped = SYSTEM.copy()
    swapped.symbols[FIRST_MOVED:] = ["O", "H", "O"]
    states = [
        "set atom 38 type 3\nset atom 39 type 4\nset atom 40 type 3\n",
        "set atom 38 type 4\nset atom 39 type 3\nset atom 40 type 4\n",
    ]
    if energy_of(here, model, swapped) < energy_of(here, model, SYSTEM):
        states.reverse()
    moves = [state + f"fix mc all mol/swap 1 7 3 4 4711 {T} ke no" for state in states]
    found = outcomes(start(model), moves, (1, 2), here, ranks)
    assert found == [[7, 0], [7, 1]]


@RUNS
def test_an_atom_changes_its_type_by_its_energy(here, model, ranks):
    changed = SYSTEM.copy()
    changed.symbols[0] = "H"
    change = energy_of(here, model, changed) - energy_of(here, model, SYSTEM)
    moves = [
        f"fix mc one atom/swap 1 1 4711 {T} ke no types 1 2 semi-grand yes mu {mu:.12g} 0"
        for mu in around(-change)
    ]
    found = outcomes(start(model) + "group one id 1\n", moves, (1, 2), here, ranks)
    assert found == [[1, 0], [1, 1]]


@RUNS
def test_trajectories_of_hmc_go_back_to_what_they_started_from(here, model, ranks):
    """What is printed and dumped is of one configuration, also where one is rejected.

    But for the forces of these steps, which LAMMPS 22 Jul 2025 leaves as they are.
    """
    script = """
timestep 0.01
fix nve all nve
fix mc all hmc 3 4711 10
thermo 1
thermo_style custom step pe f_mc[1] f_mc[3]
thermo_modify format float %.15g
dump d all custom 1 d.dump id type x y z fx fy fz
dump_modify d sort id format float %.17g
run 18
"""
    text = must_run(start(model) + script, here, ranks=ranks)
    rows = [line.split() for line in text.splitlines()]
    found = [[float(x) for x in r[1:]] for r in rows if len(r) == 4 and r[0].isdigit()]
    visited = frames(here / "d.dump")
    assert len(found) == len(visited) == 19
    stale = "left the forces of the rejected one: this step's forces are wrong" in text
    atoms = SYSTEM.copy()
    atoms.calc = EgraffCalculator(here / f"{model}.pt")
    for step, (_, positions, forces) in enumerate(visited):
        atoms.positions = positions
        # sums in another order
        assert found[step][0] == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
        rejected = step % 3 == 0 and step > 0 and found[step][1] == found[step - 1][1]
        same = np.abs(forces - atoms.get_forces()).max() < 1e-10
        assert same != (rejected and stale)
    # an attempt ends with what it has led to, or with what it started from
    for before, after in pairwise(found[::3]):
        accepted = after[1] > before[1]
        assert after[0] - before[0] == pytest.approx(accepted * after[2], abs=1e-10)
    assert 0 < found[-1][1] < 6


@RUNS
def test_fep_perturbs_what_is_not_the_models(here, model, ranks):
    """Its own energy stays what it is, whatever is evaluated in between."""
    hybrid = f"""
pair_style hybrid/overlay egraff lj/cut 4.0
pair_coeff * * egraff {model}.pt O H H O
pair_coeff * * lj/cut {{epsilon}} 1.0
"""
    style = start(model).split("pair_style")[0] + hybrid + "neighbor 1.0 bin\n"
    script = """
variable more equal 0.003
compute fep all fep 300 pair lj/cut epsilon * * v_more
compute e all egraff/atom energy
compute s all reduce sum c_e
fix nve all nve
timestep 0.0005
thermo 1
thermo_style custom step pe c_fep[1] c_s
thermo_modify format float %.15g
dump d all custom 1 d.dump id type x y z fx fy fz
dump_modify d sort id format float %.17g
run 3
"""
    text = must_run(style.format(epsilon=0.001) + script, here, ranks=ranks)
    rows = [line.split() for line in text.splitlines()]
    found = [[float(x) for x in r[1:]] for r in rows if len(r) == 4 and r[0].isdigit()]
    again = style.format(epsilon=0.004) + "thermo_modify format float %.15g\nthermo 1\n"
    text = must_run(again + "rerun d.dump dump x y z\n", here, ranks=ranks)
    rows = [line.split() for line in text.splitlines()]
    perturbed = [float(r[2]) for r in rows if len(r) == 6 and r[0].isdigit()]
    atoms = SYSTEM.copy()
    atoms.calc = EgraffCalculator(here / f"{model}.pt")
    visited = frames(here / "d.dump")
    for (pe, fep, of_model), then, (_, positions, _) in zip(found, perturbed, visited, strict=True):
        atoms.positions = positions
        assert fep == pytest.approx(then - pe, abs=1e-10)
        assert of_model == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
