# SPDX-License-Identifier: GPL-2.0-or-later
"""Device and threads."""

from __future__ import annotations

import pytest
import torch

from egraff.data import read_frames
from egraff.errors import InputError
from egraff.models import build
from egraff.training import machine
from egraff.training.dataset import model_graphs
from tests.training.toy import TINY


@pytest.fixture
def model():
    return build("nequip", elements=["Al", "Cu"], r_max=4.0, seed=5, **TINY)


@pytest.fixture
def batch(model, data):
    return model_graphs(read_frames(data / "val.xyz", index=":1"), model)[0]


@pytest.fixture(autouse=True)
def _threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_device():
    assert machine.pick_device("cpu") == "cpu"
    if torch.cuda.is_available():
        assert machine.pick_device("auto") == "cuda"
    else:
        assert machine.pick_device("auto") == "cpu"
        with pytest.raises(InputError, match=r"--device: expected a CUDA device, torch finds none"):
            machine.pick_device("cuda")


def test_threads_that_the_user_wants(model, batch):
    assert machine.choose_threads(model, batch, wanted=1, device="cpu") == 1


def test_the_environment_wins_over_measuring(model, batch, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(machine, "_step_time", None)
    assert machine.choose_threads(model, batch, wanted=None, device="cpu") > 0


@pytest.mark.parametrize(
    ("cores", "load", "tried", "chosen"),
    [(6, 1.0, [1, 2, 4], 2), (6, 4.2, [1, 2], 2), (6, 9.0, [1], 1), (2, 1.3, [1, 2], 2)],
)
def test_the_fastest_number_is_taken(model, batch, monkeypatch, cores, load, tried, chosen):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda pid: range(cores), raising=False)
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (load, 0.0, 0.0))
    times = {1: 3.0, 2: 1.0, 4: 2.0}
    found = []

    def step_time(model, batch, threads, *, limit=0.0):
        found.append(threads)
        return times[threads]

    monkeypatch.setattr(machine, "_step_time", step_time)
    assert machine.choose_threads(model, batch, wanted=None, device="cpu") == chosen
    assert found == tried


def test_measuring_gives_up_on_what_is_too_slow(model, batch):
    assert machine._step_time(model, batch, 1, limit=1e-9) == float("inf")


def test_measuring_leaves_no_gradients(model, batch):
    weights = [parameter.detach().clone() for parameter in model.parameters()]
    assert machine._step_time(model, batch, 1, repeats=1) > 0
    for parameter, before in zip(model.parameters(), weights, strict=True):
        assert parameter.grad is None
        assert torch.equal(parameter, before)
