# SPDX-License-Identifier: GPL-2.0-or-later
"""nequip 0.19.1, compiled by AOTInductor."""

from __future__ import annotations

from pathlib import Path

import arguments
import nequip_model

MODEL = {
    "_target_": "nequip.model.NequIPGNNModel",
    "num_layers": 3,
    "l_max": 2,
    "parity": True,
    "num_features": 32,
    "num_bessels": 8,
    "radial_mlp_depth": 2,
    "radial_mlp_width": 64,
}


def prepare(folder: Path) -> None:
    nequip_model.prepare(folder, MODEL)


arguments.main(prepare, nequip_model.make_step)
