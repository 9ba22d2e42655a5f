# SPDX-License-Identifier: GPL-2.0-or-later
"""Named hyper-parameters: ``small`` to start with, the papers', and those of EGraFFBench.

``egraffbench`` holds what the benchmark's configuration files say (Bihani et al., Digital
Discovery 3, 759 (2024); repository MDBENCHGNN), not what the original papers recommend.
"""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "nequip": {
        "small": {
            "n_layers": 3,
            "l_max": 1,
            "parity": False,
            "n_features": [16, 16],
            "radial_depth": 1,
            "radial_width": 32,
        },
        # defaults of the nequip package's tutorial
        "medium": {"n_layers": 4, "l_max": 2, "parity": True, "n_features": 32},
        "egraffbench": {
            "n_layers": 6,
            "l_max": 2,
            "parity": True,
            "n_features": 32,
            "n_bessel": 8,
            "bessel_trainable": True,
            "cutoff_p": 6.0,
            "radial_depth": 3,
            "radial_width": 64,
        },
    },
    "allegro": {
        "small": {
            "n_layers": 2,
            "l_max": 2,
            "n_scalar_features": 32,
            "n_tensor_features": 8,
            "embedding_hidden": [32],
            "latent_hidden": [32],
            "readout_hidden": [16],
        },
        # the nequip-allegro package's tutorial
        "medium": {
            "n_layers": 2,
            "l_max": 2,
            "n_scalar_features": 64,
            "n_tensor_features": 32,
            "embedding_hidden": [64],
            "latent_hidden": [64],
            "readout_hidden": [32],
        },
        # the paper's models of revised MD17
        "paper": {
            "n_layers": 3,
            "l_max": 3,
            "parity": True,
            "n_scalar_features": 1024,
            "n_tensor_features": 128,
            "n_bessel": 8,
            "bessel_trainable": True,
            "cutoff_p": 6.0,
            "embedding_hidden": [128, 256, 512],
            "latent_hidden": [1024, 1024],
            "readout_hidden": [128],
            "latent_update": "residual",
        },
        "egraffbench": {
            "n_layers": 2,
            "l_max": 2,
            "parity": True,
            "n_scalar_features": 1024,
            "n_tensor_features": 64,
            "n_bessel": 8,
            "bessel_trainable": True,
            "cutoff_p": 6.0,
            "embedding_hidden": [128, 256, 512],
            "latent_hidden": [1024, 1024],
            "readout_hidden": [128],
            "latent_update": "residual",
        },
    },
    "torchmd_net": {
        "small": {
            "hidden_channels": 32,
            "num_layers": 2,
            "num_heads": 4,
            "num_rbf": 16,
        },
        # the paper's MD17 models
        "paper": {
            "hidden_channels": 128,
            "num_layers": 6,
            "num_heads": 8,
            "num_rbf": 32,
        },
        "qm9": {
            "hidden_channels": 256,
            "num_layers": 8,
            "num_heads": 8,
            "num_rbf": 64,
        },
        # as the benchmark ran it: vectors jump at the cutoff
        "egraffbench": {
            "hidden_channels": 128,
            "num_layers": 6,
            "num_heads": 8,
            "num_rbf": 32,
            "vector_cutoff": False,
        },
    },
}
