# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose features travel: atoms that an edge of another rank ends at, and to each rank once."""

from __future__ import annotations

import re

import numpy as np
import pytest

from egraff.neighbours import find_edges
from tests.pair_style.conftest import SETUP, START, STYLE
from tests.pair_style.engine import must_run, read_dump
from tests.pair_style.systems import R_MAX, SYSTEMS

OWNERS = "write_dump all custom owners.dump id proc x y z modify sort id format float %.16g\n"


def received_and_ghosts(text: str) -> tuple[int, int]:
    """Return of how many atoms the first rank receives features, and how many ghosts it has."""
    line = re.search(r"the first rank receives those of (\d+) atoms for its (\d+) ghosts", text)
    return int(line[1]), int(line[2])


@pytest.mark.parametrize("ranks", [2, 4])
def test_each_atom_of_other_ranks_is_received_once(here, ranks):
    """The box is so small that every rank has ghosts of every atom, and several of most."""
    received, n_ghosts = received_and_ghosts(must_run(START + "run 0\n", here, ranks=ranks))
    n_atoms = len(SYSTEMS["orthogonal"])
    assert n_ghosts > 2 * n_atoms
    assert n_atoms / 4 < received < n_atoms


@pytest.mark.parametrize("ranks", [2, 4])
def test_only_atoms_within_the_cutoff_are_received(here, ranks):
    """Ranks are slices of a long box, so that none has to pass anything on to a third one."""
    text = must_run("processors * 1 1\n" + SETUP + "replicate 4 1 1\n" + STYLE + OWNERS + "run 0\n",
                    here, ranks=ranks)  # fmt: skip
    received, n_ghosts = received_and_ghosts(text)
    atoms = read_dump(here / "owners.dump")
    positions = np.stack([atoms[a] for a in "xyz"], axis=1)
    cell = np.diag([4.0, 1.0, 1.0]) @ SYSTEMS["orthogonal"].cell.array
    centre, neighbour = find_edges(positions, cell, [True] * 3, r_max=R_MAX).index
    owner = atoms["proc"]
    needed = np.unique(neighbour[(owner[centre] == 0) & (owner[neighbour] != 0)])
    assert received == len(needed)
    assert received < 0.6 * n_ghosts
