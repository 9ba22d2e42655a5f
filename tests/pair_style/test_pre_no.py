# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs that go on with the neighbour list of a former one (`run N pre no`)."""

from __future__ import annotations

import re

import pytest

from tests.pair_style.conftest import START, STYLE
from tests.pair_style.engine import must_fail, must_run
from tests.pair_style.test_changes import ENERGY, energies

DYNAMICS = "velocity all create 300 1 loop geom\nfix nve all nve\ntimestep 0.0005\n"


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("between", ["write_data x.data", "write_restart x.rst", "info system"])
def test_a_run_goes_on_without_setup(here, ranks, between):
    script = START + DYNAMICS + "run 4\n{between}\nrun 3 pre no\n"
    must_run(script.format(between=between) + ENERGY, here, ranks=ranks)
    must_run(script.format(between="print x") + ENERGY, here, ranks=ranks)
    assert energies(here)[0] == energies(here)[1]


@pytest.mark.parametrize("write", ["write_data x.data", 'run 3 pre no every 1 "write_restart x"'])
def test_and_so_does_one_that_writes_as_it_goes(here, write):
    must_run(START + DYNAMICS + f"run 3\n{write}\nrun 3 pre no\n" + ENERGY, here)
    steps = 6 if write.startswith("write") else 9
    must_run(START + DYNAMICS + f"run {steps}\n" + ENERGY, here)
    assert energies(here)[0] == pytest.approx(energies(here)[1], rel=1e-13)


def test_outputs_of_a_former_run_are_not_given_as_zeros(here):
    script = START + "compute e all egraff/atom energy\nrun 0\nwrite_data x.data\n"
    text = must_fail(script + "write_dump all custom e.dump id c_e\n", here)
    assert "compute egraff/atom: expected a step of a run before, got none fix: run 0" in text


def test_a_list_of_other_atoms_is_refused(here):
    for change in ("create_atoms 1 single 0.1 0.1 0.1", "delete_atoms group few"):
        script = f"neigh_modify delay 100\ngroup few id 1:20\nrun 1\n{change}\nrun 1 pre no\n"
        text = must_fail(START + DYNAMICS + script, here)
        assert re.search(
            r"expected a neighbour list of the \d+ atoms and ghosts that there are, got that of "
            r"\d+, before some were added or removed fix: run without `pre no`",
            text,
        )
        again = script.replace("\nrun 1 pre no", "\n" + STYLE + "run 1 pre no")
        assert "expected a run that sets up what" in must_fail(START + DYNAMICS + again, here)


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("back", ["neigh_modify exclude none", "group gone clear"])
def test_atoms_that_come_back_to_an_old_list_are_missed_in_it(here, ranks, back):
    """They were excluded when it was built, so that it has no neighbours of theirs."""
    excluded = "neigh_modify delay 100\ngroup gone id 3\nneigh_modify exclude group gone all\n"
    script = START + DYNAMICS + excluded + "run 1\n" + back
    assert re.search(
        r"neigh_modify exclude: expected a neighbour list with the neighbours of all atoms, got "
        r"one from when atom 3 of type 2 at .* was excluded fix: run without `pre no`",
        must_fail(script + "\nrun 1 pre no\n", here, ranks=ranks),
    )
    must_run(script + "\nrun 1\n", here, ranks=ranks)


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("models", ["wide.pt O H", "m.pt H O", "m.pt second.pt O H"])
def test_other_models_need_a_setup(here, ranks, models):
    """The list has the former cutoffs; and elements have not been compared with masses."""
    script = START + DYNAMICS + f"neigh_modify delay 100\nrun 1\npair_coeff * * {models}\n"
    for between in ("", "write_restart x.rst\n"):  # which sets up all but the list
        text = must_fail(script + between + "run 1 pre no\n", here, ranks=ranks)
        if between and models == "m.pt H O":
            assert "has the mass 15.999 of O" in text
            continue
        assert (
            "pair_style egraff: expected a run that sets up what pair_coeff has read, got one that "
            "goes on from a former run fix: run without `pre no`"
        ) in text
