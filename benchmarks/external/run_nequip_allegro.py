# SPDX-License-Identifier: GPL-2.0-or-later
"""nequip-allegro 0.8.3, compiled by AOTInductor."""

from __future__ import annotations

from pathlib import Path

import arguments
import nequip_model

MODEL = {
    "_target_": "allegro.model.AllegroModel",
    "num_layers": 2,
    "l_max": 2,
    "num_scalar_features": 64,
    "num_tensor_features": 32,
    "radial_chemical_embed": {
        "_target_": "allegro.nn.TwoBodyBesselScalarEmbed",
        "num_bessels": 8,
    },
    "allegro_mlp_hidden_layers_depth": 2,
    "allegro_mlp_hidden_layers_width": 64,
}


def prepare(folder: Path) -> None:
    nequip_model.prepare(folder, MODEL)


arguments.main(prepare, nequip_model.make_step)
