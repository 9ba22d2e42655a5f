# SPDX-License-Identifier: GPL-2.0-or-later
"""Small configurations of every architecture, for any test that needs a model quickly.

They keep every mechanism of the architecture (several layers, vectors, several elements) at
widths that a test can afford.
"""

from __future__ import annotations

from typing import Any

from egraff.models import ARCHITECTURES

ELEMENTS = ["H", "C", "O"]
ISOLATED_ATOM_ENERGIES = [-13.6, -37.8, -75.0]

SHARED: dict[str, Any] = {
    "elements": ELEMENTS,
    "r_max": 4.0,
    "avg_num_neighbours": 6.0,
    "energy_scale": [0.8, 1.1, 0.9],
    "energy_shift": ISOLATED_ATOM_ENERGIES,
}


def small_config(name: str) -> dict[str, Any]:
    """Return options for :func:`egraff.models.build` that make a small model of ``name``."""
    return {**SHARED, **ARCHITECTURES[name].Config.tiny}
