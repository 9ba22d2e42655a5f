# SPDX-License-Identifier: GPL-2.0-or-later
"""sevenn 0.12.1: the calculator of SevenNet-0, which also makes its list of edges in every step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import arguments


def make_step(atoms, threads: int, folder: Path) -> Callable[[], object]:
    import torch
    from sevenn.calculator import SevenNetCalculator

    torch.set_num_threads(threads)
    calculator = SevenNetCalculator("7net-0", device="cpu")
    return lambda: calculator.calculate(atoms, ["energy", "forces"])


arguments.main(lambda folder: None, make_step)
