# SPDX-License-Identifier: GPL-2.0-or-later
"""NequIP: the contract, for the options that change its structure."""

from __future__ import annotations

from typing import ClassVar

from tests.models.contract import ModelContract


class TestNequIP(ModelContract):
    architecture = "nequip"
    # with four features it takes longer than others: 150 steps end between 2 and 10 %
    overfit_steps: ClassVar[int] = 300
    configs: ClassVar = {
        "l0, neighbours of each element": {
            "l_max": 0,
            "resnet": True,
            "avg_num_neighbours": [4.0, 9.0, 6.0],
        },
        "l2, features for each l": {
            "l_max": 2,
            "parity": False,
            "n_features": [4, 3, 2],
            "n_type_features": 3,
            "n_layers": 2,
            "readout_depth": 1,
            "readout_width": 5,
        },
        "pair cutoffs, trainable basis, deep networks": {
            "pair_cutoffs": {"H": 2.5, "O": {"H": 3.0, "C": 3.5}},
            "bessel_trainable": True,
            "radial_depth": 2,
            "resnet": True,
            "cutoff_p": 5.0,
        },
    }
