# SPDX-License-Identifier: GPL-2.0-or-later
"""The models of the engine measurements: random weights, shapes that other programs can build."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    """Write a model of random weights, unless the file is there.

    Args:
        name: architecture.
        dtype: ``float32`` or ``float64``.
        directory: where to write.
        form: ``torchscript`` or ``aoti``.
        fuse: as in ``egraff.export``: None fuses what can be fused.
        elements: chemical symbols.

    Returns:
        The file, and the seconds that the export took; 0 for a file that was there.
    """
    from egraff.export import export_torchscript
    from egraff.export.aoti import export_aoti

    if fuse is None:
        fuse = fusible(name)
    kind = "fused" if fuse else "plain"
    ending = "pt2" if form == "aoti" else "pt"
    path = directory / f"{name}-{dtype}-{kind}-{''.join(elements)}.egraff.{ending}"
    if path.exists():
        return path, 0.0
    model = build_model(name, dtype, elements)
    start = time.perf_counter()
    (export_aoti if form == "aoti" else export_torchscript)(model, path, fuse=fuse)
    return path, time.perf_counter() - start


def fusible(name: str) -> bool:
    """Ask the exporter whether there are fused operators for a model."""
    from egraff.fusion import can_fuse

    return can_fuse(build_model(name, "float32"))


def model_parser(
    description: str, models: Sequence[str] = tuple(MODELS)
) -> argparse.ArgumentParser:
    """Return a parser with the options of every program that exports models.

    Args:
        description: the program's docstring; ``--help`` shows its first line.
        models: default of ``--models``.
    """
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=list(models))
    parser.add_argument(
        "--exports", type=Path, help="folder of exported models; those in it are used again"
    )
    return parser


@contextmanager
def exports_folder(options: argparse.Namespace) -> Iterator[Path]:
    """Give the folder that was named, or one that lasts as long as the program."""
    if options.exports is not None:
        options.exports.mkdir(parents=True, exist_ok=True)
        yield options.exports.absolute()
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
