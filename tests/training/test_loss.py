# SPDX-License-Identifier: GPL-2.0-or-later
"""The loss against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from egraff.errors import EgraffError
from egraff.training.loss import Loss
from tests.training.batches import NAN, batch, prediction


@pytest.mark.parametrize(
    ("kind", "energy", "forces", "stress"),
    [
        # per atom 0.1 and 0.1 eV; one component of nine; stress 0.3 eV/A^3 x 10 A^3 / 1 atom
        ("mse", 0.01, 0.09 / 9, 9.0 / 9),
        ("mae", 0.1, 0.3 / 9, 3.0 / 9),
        # delta (|x| - delta / 2)
        ("huber", 0.05 * (0.1 - 0.025), 0.05 * (0.3 - 0.025) / 9, 0.05 * (3.0 - 0.025) / 9),
    ],
)
def test_known_values(kind, energy, forces, stress):
    graph = batch()
    loss = Loss(kind, energy_weight=2.0, force_weight=3.0, stress_weight=4.0, huber_delta=0.05)
    terms = loss.terms(prediction(graph), graph)
    assert float(terms.energy) == pytest.approx(energy)
    assert float(terms.forces) == pytest.approx(forces)
    assert float(terms.stress) == pytest.approx(stress)
    total = 2.0 * energy + 3.0 * forces + 4.0 * stress
    assert float(loss.total(terms)) == pytest.approx(total)


def test_stress_without_weight_is_left_out():
    graph = batch()
    assert float(Loss("mse").terms(prediction(graph), graph).stress) == 0.0


@pytest.mark.parametrize("name", ["energy", "forces", "stress"])
def test_shapes_that_would_broadcast_are_refused(name):
    graph = batch()
    label = getattr(graph, name)
    wrong = replace(graph, **{name: label[..., None]})
    expected = str(list(label.shape)).replace("[", r"\[").replace("]", r"\]")
    message = rf"{name}: expected labels of shape {expected}, as predicted, got \["
    with pytest.raises(EgraffError, match=message):
        Loss("mse", stress_weight=1.0).terms(prediction(graph), wrong)


def test_no_labels():
    graph = batch()
    with pytest.raises(EgraffError, match=r"energy: expected labels .* got none\n  fix: give"):
        Loss("mse").terms(prediction(graph), replace(graph, energy=None))


def test_labels_of_another_frame_change_the_loss():
    """Guards against a loss that compares everything with everything."""
    graph = batch()
    shuffled = replace(
        graph, energy=graph.energy.flip(0), forces=graph.forces[torch.tensor([2, 0, 1])]
    )
    loss = Loss("mse")
    right = loss.terms(prediction(graph), graph)
    wrong = loss.terms(prediction(graph), shuffled)
    assert float(wrong.energy) > 10 * float(right.energy)
    assert float(wrong.forces) > 10 * float(right.forces)


@pytest.mark.parametrize("kind", ["mse", "mae", "huber"])
def test_missing_labels_leave_finite_gradients(kind):
    graph = batch()
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    base = prediction(graph)
    virial = torch.ones(2, 3, 3, dtype=torch.float64) * scale
    grown = replace(
        base,
        energy=base.energy * scale,
        forces=base.forces * scale,
        virial=virial,
        stress=-virial / graph.volume[:, None, None],
    )
    loss = Loss(kind, stress_weight=1.0)
    (gradient,) = torch.autograd.grad(loss.total(loss.terms(grown, graph)), [scale])
    assert torch.isfinite(gradient)


def test_a_prediction_that_is_not_a_number_is_not_a_missing_label():
    graph = batch()
    base = prediction(graph)
    broken = replace(base, energy=torch.full_like(base.energy, NAN))
    assert torch.isnan(Loss("mse").terms(broken, graph).energy)
