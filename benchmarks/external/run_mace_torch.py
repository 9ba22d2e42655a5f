# SPDX-License-Identifier: GPL-2.0-or-later
"""mace-torch 0.3.16, eager, with a fixed list of edges."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import arguments
from mace_model import prepare
from timing import R_MAX


def make_step(atoms, threads: int, folder: Path) -> Callable[[], object]:
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    import torch
    from mace import data
    from mace.tools import torch_geometric, utils

    torch.set_num_threads(threads)
    torch.set_default_dtype(torch.float32)
    model = torch.load(folder / "mace.pt", weights_only=False).requires_grad_(False)
    graph = data.AtomicData.from_config(
        data.config_from_atoms(atoms), z_table=utils.AtomicNumberTable([14]), cutoff=R_MAX
    )
    batch = next(iter(torch_geometric.dataloader.DataLoader([graph], batch_size=1))).to_dict()
    return lambda: model(batch, training=False, compute_force=True)["forces"]


arguments.main(prepare, make_step)
