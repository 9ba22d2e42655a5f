# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m egraff.data.generate --set molecule --out DIR``: make an embedded data set again."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from egraff.data.generate.output import describe_file, describe_run, manifest_head, write_frames
from egraff.data.generate.protocols import PROTOCOLS
from egraff.data.generate.sampling import isolated_atoms, sample
from egraff.files import write_json


def generate(name: str, out: Path) -> Path:
    """Generate the data set ``name`` into ``out``; return the path of its manifest.

    ``molecule`` takes about five minutes on one core and ``crystal`` about forty. Given the same
    `tblite`, `numpy` and ASE on the same kind of machine the files come out byte for byte the
    same; elsewhere rounding sends the trajectories apart after a while, and the labels remain
    right for the frames they belong to.
    """
    protocol = PROTOCOLS[name]
    manifest = manifest_head(name, protocol)
    atoms_path = out / "isolated_atoms.xyz.gz"
    frames = isolated_atoms(protocol)
    write_frames(atoms_path, frames)
    files = {"isolated_atoms": describe_file(atoms_path, frames)}
    for run in protocol.runs:
        started = time.perf_counter()
        frames = sample(protocol, run)
        path = out / f"{run.split}.xyz.gz"
        write_frames(path, frames)
        files[run.split] = describe_file(path, frames) | {"run": describe_run(protocol, run)}
        print(f"{path}: {time.perf_counter() - started:.0f} s", flush=True)
    write_json(out / "manifest.json", manifest | {"files": files})
    return out / "manifest.json"


def main() -> None:
    """Parse the command line and generate."""
    parser = argparse.ArgumentParser(prog="python -m egraff.data.generate", description=__doc__)
    parser.add_argument("--set", choices=sorted(PROTOCOLS), required=True, help="which data set")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    options = parser.parse_args()
    print(generate(options.set, options.out))


if __name__ == "__main__":
    main()
