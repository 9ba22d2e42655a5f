# SPDX-License-Identifier: GPL-2.0-or-later
"""The models of the engine measurements: random weights, shapes that other programs can build."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from timing import NEIGHBOURS, R_MAX

MODELS: dict[str, dict[str, Any]] = {
    "nequip": {
        "n_layers": 3,
        "l_max": 2,
        "n_features": 32,
        "parity": True,
        "n_bessel": 8,
        "radial_depth": 2,
        "radial_width": 64,
    },
    "mace": {
        "n_layers": 2,
        "l_max": 3,
        "hidden_irreps": "64x0e + 64x1o",
        "correlation": 3,
        "n_radial": 8,
    },
    "botnet": {},
    "allegro": {
        "n_layers": 2,
        "l_max": 2,
        "n_scalar_features": 64,
        "n_tensor_features": 32,
        "embedding_hidden": [64, 64],
        "latent_hidden": [64, 64],
    },
    "torchmd_net": {"hidden_channels": 128, "num_layers": 6, "num_heads": 8, "num_rbf": 64},
    "equiformer": {},
}


def build_model(name: str, dtype: str, elements: tuple[str, ...] = ("Si",)):
    """Return an eager model of random weights."""
    from egraff.models import build

    options = {"elements": list(elements), "r_max": R_MAX, "avg_num_neighbours": NEIGHBOURS}
    return build(name, seed=1, dtype=dtype, **{**MODELS[name], **options})


def export(
    name: str,
    dtype: str,
    directory: Path,
    *,
    form: str = "torchscript",
    fuse: bool | None = None,
    elements: tuple[str, ...] = ("Si",),
) -> tuple[Path, float]:
    """Write a model of random weights.

    Args:
        name: architecture.
        dtype: ``float32`` or ``float64``.
        directory: where to write.
        form: ``torchscript`` or ``aoti``.
        fuse: as in ``egraff.export``: None fuses what can be fused.
        elements: chemical symbols.

    Returns:
        The file, and the seconds that the export took.
    """
    from egraff.export import export_torchscript
    from egraff.export_aoti import export_aoti

    model = build_model(name, dtype, elements)
    kind = {None: "best", True: "fused", False: "plain"}[fuse]
    ending = "pt2" if form == "aoti" else "pt"
    path = directory / f"{name}-{dtype}-{kind}-{''.join(elements)}.egraff.{ending}"
    start = time.perf_counter()
    (export_aoti if form == "aoti" else export_torchscript)(model, path, fuse=fuse)
    return path, time.perf_counter() - start


def fusible(name: str) -> bool:
    """Ask the exporter whether there are fused operators for a model."""
    from egraff.fuse import can_fuse

    return can_fuse(build_model(name, "float32"))
