# SPDX-License-Identifier: GPL-2.0-or-later
"""Which device, and how many threads."""

from __future__ import annotations

import math
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

    Small frames train fastest on one thread, large ones on several. On a busy machine threads
    that wait for each other can be ten times slower than one alone, so no more are tried than
    there are idle cores. Unless the user says a number (or sets OMP_NUM_THREADS), training steps
    are timed with each power of two.

    Args:
        model: the model; its weights are not changed.
        batch: a typical batch.
        wanted: the user's number, or None.
        device: ``cpu`` or ``cuda``; only on a CPU is anything measured.
    """
    if wanted is None and device == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        wanted, best = 1, _step_time(model, batch, 1)
        # rounded: one of the running processes is this one
        idle = len(os.sched_getaffinity(0)) - round(max(os.getloadavg()[0] - 1.0, 0.0))
        for threads in (2**k for k in range(1, max(idle, 1).bit_length())):
            seconds = _step_time(model, batch, threads, limit=2.0 * best)
            if seconds < best:
                wanted, best = threads, seconds
    if wanted is not None:
        torch.set_num_threads(wanted)
    return torch.get_num_threads()


def _step_time(
    model: ForceField, batch: Graph, threads: int, *, limit: float = math.inf, repeats: int = 3
) -> float:
    """Return the mean time of training steps (without a change of weights) in seconds.

    Gives up, with an infinite time, once a step takes longer than ``limit``.
    """
    torch.set_num_threads(threads)
    times = []
    # two more than are counted: the first ones compile
    for number in range(repeats + 2):
        start = time.perf_counter()
        prediction = predict(model, batch, create_graph=True)
        prediction.forces.square().sum().backward()
        times.append(time.perf_counter() - start)
        if number >= 1 and times[-1] > limit:
            times = [math.inf]
            break
    model.zero_grad(set_to_none=True)
    counted = times[2:] or times
    return sum(counted) / len(counted)
