# SPDX-License-Identifier: GPL-2.0-or-later
"""A converted model has all of the original's weights, each in its place."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from egraff.errors import InputError
from egraff.interop.weights import NamedWeights, Target, without_prefix


def target() -> Target:
    return Target(nn.Linear(2, 3).double())


def test_weights_take_the_models_type_and_shape():
    state = target()
    state["weight"] = torch.ones(3, 2)
    state.fill("bias", torch.ones(3, 1))
    assert {name: (w.shape, w.dtype) for name, w in state.finished().items()} == {
        "weight": ((3, 2), torch.float64),
        "bias": ((3,), torch.float64),
    }


def test_weights_of_another_shape():
    message = r"expected weight of shape \[3, 2\], got \[2, 3\]\n.*fix: give the options"
    with pytest.raises(InputError, match=message):
        target()["weight"] = torch.ones(2, 3)
    with pytest.raises(InputError, match=r"expected bias of shape \[3\], got \[4\]"):
        target().fill("bias", torch.ones(4))


def test_no_weight_stays_as_it_was_drawn():
    state = target()
    state["weight"] = torch.ones(3, 2)
    with pytest.raises(InputError, match="expected weights for the whole model, found none for b"):
        state.finished()


def test_missing_weights_are_named():
    weights = NamedWeights({"a": torch.ones(1)}, "a model of theirs")
    message = r"expected a weight b, found none among 1\n.*give the state_dict of a model of theirs"
    with pytest.raises(InputError, match=message):
        weights["b"]


def test_prefixes_of_wrappers_are_dropped():
    state = {"model.inner.a": torch.ones(1), "model.inner.b.a": torch.ones(1)}
    assert list(without_prefix(state, "b.a", "a model of theirs")) == ["a", "b.a"]
