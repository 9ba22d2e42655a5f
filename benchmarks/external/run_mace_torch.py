# SPDX-License-Identifier: GPL-2.0-or-later
"""mace-torch 0.3.16, eager, with a fixed list of edges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import arguments
from mace_model import build
from timing import R_MAX


def make_step(atoms, threads: int, folder: Path) -> Callable[[], object]:
    import torch
    from mace import data
    from mace.tools import torch_geometric, utils

    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float32)
    model = build().requires_grad_(False)
    graph = data.AtomicData.from_config(
        data.config_from_atoms(atoms), z_table=utils.AtomicNumberTable([14]), cutoff=R_MAX
    )
    batch = next(iter(torch_geometric.dataloader.DataLoader([graph], batch_size=1))).to_dict()
    return lambda: model(batch, training=False, compute_force=True)["forces"]


arguments.main(lambda folder: None, make_step)
