# SPDX-License-Identifier: GPL-2.0-or-later
"""What settings and frames make of a model."""

from __future__ import annotations

import pytest

from egraff.errors import InputError
from egraff.training.dataset import model_graphs, read_splits
from egraff.training.options import DEFAULT_R_MAX
from egraff.training.setup import make_model
from tests.training.toy import TINY, settings


def made(data, **changes):
    config = settings(data, **changes)
    splits = read_splits(config)
    return make_model(config, splits)[0], splits


def test_the_mean_number_of_neighbours_respects_pair_cutoffs(data):
    cutoffs = {"Al": 2.9, "Cu": {"Cu": 3.0}}
    model, splits = made(data, model_options={**TINY, "pair_cutoffs": cutoffs})
    graphs = model_graphs(splits.train, model)
    edges = sum(graph.edge_index.shape[1] for graph in graphs)
    atoms = sum(graph.n_atoms for graph in graphs)
    assert model.config.avg_num_neighbours == pytest.approx(edges / atoms)
    assert model.config.avg_num_neighbours < made(data)[0].config.avg_num_neighbours


def test_pair_cutoffs_beyond_r_max(data):
    options = {**TINY, "pair_cutoffs": {"Al": 9.0}}
    with pytest.raises(InputError, match=r"pair_cutoffs: expected values in \(0, r_max = 4.0\]"):
        made(data, model_options=options)


def test_r_max(data):
    assert made(data)[0].r_max == 4.0
    assert made(data, r_max=None)[0].r_max == DEFAULT_R_MAX


def test_the_seed_makes_the_weights(data):
    one, two = (made(data, seed=seed)[0].embedding.weight for seed in (1, 2))
    assert (one == made(data, seed=1)[0].embedding.weight).all()
    assert (one != two).any()


def test_unknown_model_preset_and_option(data):
    with pytest.raises(InputError, match=r"model: expected one of .*nequip"):
        made(data, model="no-such")
    with pytest.raises(InputError, match=r"preset: expected one of small"):
        made(data, preset="no-such")
    with pytest.raises(InputError, match=r"model nequip: no_such: "):
        made(data, model_options={"no_such": 1})


def test_reference_energies_and_scale_reach_the_model(data):
    model, _ = made(data, reference_energies={"Al": -1.0, "Cu": -2.0}, energy_scale=0.5)
    assert model.config.energy_shift == [-1.0, -2.0]
    assert model.config.energy_scale == [0.5, 0.5]
    assert made(data, avg_num_neighbours=7)[0].config.avg_num_neighbours == 7.0
