# SPDX-License-Identifier: GPL-2.0-or-later
"""What a model tells of the reach of its training data."""

import dataclasses

import numpy as np
import pytest

from egraff.data import Frame
from egraff.metadata import VISITED, pair_name
from egraff.training.checkpoint import load_info
from egraff.training.visited import visited

WATER = Frame(
    numbers=np.array([8, 1, 1]),
    positions=np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [0.0, 0.98, 0.0]]),
    cell=np.zeros((3, 3)),
    pbc=np.zeros(3, dtype=bool),
    forces=np.array([[3.0, 4.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]]),
)
ELEMENTS = ["H", "O"]


def test_shortest_distance_of_each_pair_and_largest_force():
    longer = dataclasses.replace(WATER, positions=1.1 * WATER.positions, forces=None)
    found = visited([longer, WATER], ELEMENTS, r_max=4.0, stress_weight=1.0)

    assert found["shortest_distances_ang"] == pytest.approx(
        {"H-O": 0.96, "H-H": np.hypot(0.96, 0.98)}, abs=1e-6
    )
    assert found["largest_force_ev_per_ang"] == pytest.approx(5.0)
    assert found["n_stress_frames"] == 0


def test_images_count_and_what_is_beyond_the_cutoff_does_not():
    crystal = dataclasses.replace(
        WATER, cell=np.eye(3) * 3.0, pbc=np.ones(3, dtype=bool), stress=np.eye(3)
    )
    within = visited([crystal], ELEMENTS, r_max=3.1, stress_weight=1.0)
    short = visited([crystal], ELEMENTS, r_max=1.0, stress_weight=0.0)

    assert within["shortest_distances_ang"]["O-O"] == 3.0
    assert set(short["shortest_distances_ang"]) == {"H-O"}
    assert (within["n_stress_frames"], short["n_stress_frames"]) == (1, 0)


def test_a_pair_has_one_name():
    assert pair_name("H", "C") == pair_name("C", "H") == "C-H"


def test_checkpoints_carry_it(trained):
    told = load_info(trained.out / "best.ckpt")["training_data"][VISITED]

    assert set(told["shortest_distances_ang"]) == {"Al-Al", "Al-Cu", "Cu-Cu"}
    assert told["largest_force_ev_per_ang"] > 0
