# SPDX-License-Identifier: GPL-2.0-or-later
"""Does every trained architecture become a fused float64 file, on data of every kind?

    python benchmarks/float64_files.py DATA [--models mace ...] [--sets Li3P ...] [--preset small]

Every folder below DATA that holds ``train.xyz.gz`` (or ``val.xyz.gz``) is a set. A model is trained
on a few of its frames in float32, as a first try would be, and exported with ``--dtype float64``:
tables of the functions of the distance are refined until they are within the tolerance, then plain
and fused model are compared on a frame, and a file is written only if they agree. ``--random``
exports random weights for ten elements instead, with every preset of every architecture.

One line per file: what came of it, time of the export, knots of the finest table, size of the file.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import ase.io
from rich.console import Console

from egraff.errors import EgraffError
from egraff.export import export_torchscript
from egraff.models import ARCHITECTURES, ForceField, build
from egraff.training.checkpoint import load_model
from egraff.training.config import TrainConfig
from egraff.training.fit import fit

TEN_ELEMENTS = ["H", "C", "N", "O", "F", "Na", "Si", "P", "S", "Cl"]


def sets(data: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and file of each set below ``data``."""
    for folder in sorted({file.parent for file in data.rglob("*.xyz.gz")}):
        for name in ("train.xyz.gz", "val.xyz.gz"):
            if (folder / name).is_file():
                yield str(folder.relative_to(data)), folder / name
                break


def trained(
    name: str, preset: str, frames: list, directory: Path, *, epochs: int, r_max: float
) -> ForceField:
    """Train on all frames but the last two, and return the float64 form of the best epoch."""
    files = {"data": frames[:-2], "val": frames[-2:]}
    for kind, some in files.items():
        ase.io.write(directory / f"{kind}.xyz", some)
    config = TrainConfig(
        model=name,
        preset=preset,
        **{kind: str(directory / f"{kind}.xyz") for kind in files},
        epochs=epochs,
        r_max=r_max,
        threads=1,
        device="cpu",
    )
    fit(config, directory / "out", console=Console(file=io.StringIO()))
    return load_model(directory / "out" / "best.ckpt", dtype="float64")


def report(label: str, model: ForceField, path: Path, structure) -> bool:
    """Export, print what came of it, and tell whether a file did."""
    start = time.perf_counter()
    try:
        metadata = export_torchscript(model, path, structure=structure, fuse=None)
    except EgraffError as error:
        print(f"{label}  REFUSED {time.perf_counter() - start:6.1f} s  {error}", flush=True)
        return False
    tables = metadata.get("radial_tables") or [{"n_knots": 0}]
    fused = "fused" if metadata["fused"] else "PLAIN"
    print(
        f"{label}  {fused}   {time.perf_counter() - start:6.1f} s"
        f"  {max(table['n_knots'] for table in tables):6d} knots"
        f"  {path.stat().st_size / 2**20:7.1f} MiB",
        flush=True,
    )
    return metadata["fused"]


def main() -> None:
    """Go through sets, or presets, and architectures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--models", nargs="+", default=sorted(ARCHITECTURES))
    parser.add_argument("--sets", nargs="+", help="only those whose name contains one of these")
    parser.add_argument("--preset", default="small")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--r-max", type=float, default=5.0)
    parser.add_argument("--random", action="store_true", help="random weights for ten elements")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    fine = []
    with tempfile.TemporaryDirectory() as scratch:
        if options.random:
            for name in options.models:
                for preset, settings in ARCHITECTURES[name].Config.presets.items():
                    shared = {"elements": TEN_ELEMENTS, "r_max": options.r_max, "dtype": "float64"}
                    model = build(name, seed=1, **{**settings, **shared})
                    path = Path(scratch) / f"{name}-{preset}.pt"
                    fine.append(report(f"{preset:16s} {name:12s}", model, path, None))
                    path.unlink(missing_ok=True)
        else:
            if options.data is None:
                parser.error("expected DATA or --random")
            for label, file in sets(options.data):
                if options.sets and not any(part in label for part in options.sets):
                    continue
                frames = ase.io.read(file, f":{options.frames}")
                for name in options.models:
                    directory = Path(scratch) / label / name
                    directory.mkdir(parents=True)
                    model = trained(
                        name,
                        options.preset,
                        frames,
                        directory,
                        epochs=options.epochs,
                        r_max=options.r_max,
                    )
                    path = directory / "m.pt"
                    fine.append(report(f"{label:24s} {name:12s}", model, path, frames[0]))
    print(f"{sum(fine)} of {len(fine)} are fused float64 files")


if __name__ == "__main__":
    main()
