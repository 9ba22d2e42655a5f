# SPDX-License-Identifier: GPL-2.0-or-later
"""Which device, and how many threads."""

from __future__ import annotations

import os
import time

import torch

from egraff.errors import InputError
from egraff.forces import predict
from egraff.graph import Graph
from egraff.models import ForceField


def pick_device(wanted: str) -> str:
    """Resolve ``auto``.

    Raises:
        InputError: CUDA was asked for and is not there.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise InputError(
            "expected a CUDA device, torch finds none",
            field="--device",
            fix="use --device cpu, or install a CUDA build of torch",
        )
    return "cuda" if available and wanted != "cpu" else "cpu"


def choose_threads(model: ForceField, batch: Graph, *, wanted: int | None, device: str) -> int:
    """Set torch's number of CPU threads, and return it.

    Small frames train fastest on one thread, large ones on several, and on a busy machine
    threads that wait for each other can be ten times slower than one alone. So unless the user
    says a number (or sets OMP_NUM_THREADS), one training step is timed with each power of two.
    """
    if wanted is None and device == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        available = len(os.sched_getaffinity(0))
        candidates = [2**k for k in range(available.bit_length()) if 2**k <= available]
        if len(candidates) > 1:
            wanted = min(candidates, key=lambda n: _step_time(model, batch, n))
    if wanted is not None:
        torch.set_num_threads(wanted)
    return torch.get_num_threads()


def _step_time(model: ForceField, batch: Graph, threads: int, *, repeats: int = 5) -> float:
    """Return the fastest of a few training steps (without a change of weights) in seconds."""
    torch.set_num_threads(threads)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        prediction = predict(model, batch, create_graph=True)
        prediction.forces.square().sum().backward()
        times.append(time.perf_counter() - start)
    model.zero_grad(set_to_none=True)
    # the first ones compile; the mean of the rest counts, since contention comes and goes
    return sum(times[2:]) / len(times[2:])
