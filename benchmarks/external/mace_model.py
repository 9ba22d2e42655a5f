# SPDX-License-Identifier: GPL-2.0-or-later
"""The MACE of the comparison, built by mace-torch, for its own runner and for symmetrix."""

from __future__ import annotations

from pathlib import Path

import arguments  # noqa: F401  (finds timing)
from timing import NEIGHBOURS, R_MAX


def build():
    """Return the model, always with the same weights."""
    import numpy as np
    import torch
    from e3nn import o3
    from mace import modules

    torch.manual_seed(0)
    torch.set_default_dtype(torch.float32)
    blocks = modules.interaction_classes
    return modules.ScaleShiftMACE(
        r_max=R_MAX,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=3,
        num_interactions=2,
        num_elements=1,
        interaction_cls=blocks["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=blocks["RealAgnosticInteractionBlock"],
        hidden_irreps=o3.Irreps("64x0e + 64x1o"),
        MLP_irreps=o3.Irreps("16x0e"),
        gate=torch.nn.functional.silu,
        atomic_energies=np.zeros(1),
        avg_num_neighbors=NEIGHBOURS,
        atomic_numbers=[14],
        correlation=3,
        radial_type="bessel",
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )


def prepare(folder: Path) -> None:
    """Write the model to ``folder/mace.pt`` unless it is there."""
    import torch

    path = folder / "mace.pt"
    if not path.exists():
        torch.save(build(), path)
