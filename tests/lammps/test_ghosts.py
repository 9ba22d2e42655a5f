# SPDX-License-Identifier: GPL-2.0-or-later
"""Ghosts that are copies of one atom: its features are sent to a rank once."""

from __future__ import annotations

import re

import pytest

from tests.lammps.conftest import START
from tests.lammps.engine import must_run
from tests.lammps.systems import SYSTEMS


@pytest.mark.parametrize("ranks", [2, 4])
def test_each_atom_of_other_ranks_is_received_once(here, ranks):
    """The box is so small that every rank has ghosts of every atom, and several of most."""
    text = must_run(START + "run 0\n", here, ranks=ranks)
    line = re.search(r"the first rank receives those of (\d+) atoms for its (\d+) ghosts", text)
    received, n_ghosts = map(int, line.groups())
    n_atoms = len(SYSTEMS["orthogonal"])
    assert n_ghosts > 2 * n_atoms
    assert n_atoms / 4 < received < n_atoms
