# SPDX-License-Identifier: GPL-2.0-or-later
"""Small configurations of every architecture, for any test that needs a model quickly.

They keep every mechanism of the architecture (several layers, vectors, several elements) at
widths that a test can afford.
"""

from __future__ import annotations

from typing import Any

ELEMENTS = ["H", "C", "O"]
ISOLATED_ATOM_ENERGIES = [-13.6, -37.8, -75.0]

SHARED: dict[str, Any] = {
    "elements": ELEMENTS,
    "r_max": 4.0,
    "avg_num_neighbours": 6.0,
    "energy_scale": [0.8, 1.1, 0.9],
    "energy_shift": ISOLATED_ATOM_ENERGIES,
}

SMALL: dict[str, dict[str, Any]] = {
    "nequip": {
        "n_layers": 3,
        "l_max": 1,
        "parity": True,
        "n_features": 4,
        "n_bessel": 4,
        "radial_width": 8,
    },
    "botnet": {
        "n_layers": 3,
        "l_max": 2,
        "hidden_irreps": "6x0e + 4x1o + 3x2e",
        "n_radial": 4,
        "radial_widths": [8, 8],
        "readout_width": 4,
    },
    "mace": {
        "hidden_irreps": "8x0e + 8x1o",
        "l_max": 2,
        "correlation": 3,
        "n_radial": 4,
        "radial_widths": [8, 8],
        "readout_width": 4,
    },
    "allegro": {
        "n_layers": 2,
        "l_max": 2,
        "n_scalar_features": 8,
        "n_tensor_features": 4,
        "n_bessel": 4,
        "embedding_hidden": [8],
        "latent_hidden": [8],
        "readout_hidden": [8],
    },
    "equiformer": {
        "irreps_node_embedding": "8x0e+4x1o+2x2e",
        "irreps_sh": "1x0e+1x1o+1x2e",
        "irreps_head": "4x0e+2x1o+1x2e",
        "irreps_mlp_mid": "8x0e+4x1o+2x2e",
        "irreps_feature": "8x0e",
        "num_layers": 2,
        "num_heads": 2,
        "number_of_basis": 6,
        "fc_neurons": [8],
    },
    "torchmd_net": {
        "hidden_channels": 16,
        "num_layers": 3,
        "num_heads": 2,
        "num_rbf": 6,
    },
}


def small_config(name: str) -> dict[str, Any]:
    """Return options for :func:`egraff.models.build` that make a small model of ``name``."""
    return {**SHARED, **SMALL[name]}
