# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast LAMMPS dumps are read and analysed, beside MDAnalysis's own reader.

    python benchmarks/dump_reader.py [--atoms 10000] [--frames 100] [--mdanalysis-frames 10]

Prints processor seconds of this one process, so that other work on the machine counts little, and
their ratios. MDAnalysis reads only some of the frames: its time per frame is multiplied up.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import MDAnalysis
import numpy as np

from egraff.analysis.context import AnalysisContext
from egraff.analysis.pipeline import analyse
from egraff.analysis.runs import read_run
from egraff.analysis.trajectory.reader import open_universe
from egraff.data.lammps.dump_file import DumpFile

DENSITY = 0.075  # atoms/A^3, as in many dense liquids
COLUMNS = "id type element x y z ix iy iz vx vy vz fx fy fz"


def write_dump(path: Path, n_atoms: int, n_frames: int) -> float:
    """Random-walk frames as `egraff run` dumps them; returns the size in megabytes."""
    random = np.random.default_rng(0)
    length = (n_atoms / DENSITY) ** (1 / 3)
    sites = np.stack(np.meshgrid(*[np.arange(np.ceil(n_atoms ** (1 / 3)))] * 3), -1)
    positions = sites.reshape(-1, 3)[:n_atoms] * length / np.ceil(n_atoms ** (1 / 3))
    elements = np.where(np.arange(n_atoms) % 3 == 0, "O", "H")
    template = "%d %d %s" + " %.10g" * 3 + " 0 0 0" + " %.10g" * 6 + " \n"
    with path.open("w") as stream:
        for frame in range(n_frames):
            positions = positions + random.normal(scale=0.02, size=positions.shape)
            values = np.hstack([positions % length, random.normal(size=(n_atoms, 6))])
            stream.write(
                f"ITEM: TIMESTEP\n{frame * 100}\nITEM: NUMBER OF ATOMS\n{n_atoms}\n"
                + "ITEM: BOX BOUNDS pp pp pp\n"
                + f"0 {length!r}\n" * 3
                + f"ITEM: ATOMS {COLUMNS}\n"
            )
            stream.writelines(
                template % (i + 1, 1 + (elements[i] == "O"), elements[i], *values[i])
                for i in range(n_atoms)
            )
    return path.stat().st_size / 1e6


def seconds(work: Callable[[], object]) -> float:
    """Processor time that ``work`` takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--atoms", type=int, default=10000)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--mdanalysis-frames", type=int, default=10)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as name:
        run = Path(name)
        dump = run / "dump.lammpstrj"
        megabytes = write_dump(dump, options.atoms, options.frames)
        record = {
            "status": "completed",
            "ensemble": "nvt",
            "timestep_fs": 1.0,
            "steps": 100 * (options.frames - 1),
            "n_atoms": options.atoms,
            "elements": ["H", "O"],
            "pbc": [True] * 3,
        }
        (run / "run.json").write_text(json.dumps(record))
        print(f"{options.atoms} atoms, {options.frames} frames, {megabytes:.0f} MB")

        index = seconds(lambda: DumpFile(dump))
        ours = seconds(lambda: [ts.frame for ts in open_universe(dump).trajectory])
        theirs = MDAnalysis.Universe(
            str(dump), format="LAMMPSDUMP", topology_format="LAMMPSDUMP", dt=1.0
        )
        few = min(options.mdanalysis_frames, options.frames)
        measured = seconds(lambda: [ts.frame for ts in theirs.trajectory[:few]])
        reference = measured / few * options.frames
        whole = seconds(lambda: analyse(AnalysisContext(read_run(run))))
        print(f"MDAnalysis reads all frames      {reference:9.2f} s  (from {few} frames)")
        print(f"egraff scans the file            {index:9.2f} s")
        print(f"egraff scans and reads all       {ours:9.2f} s  {reference / ours:6.1f} x faster")
        print(f"egraff analyses the run          {whole:9.2f} s  {reference / whole:6.2f} x faster")


if __name__ == "__main__":
    main()
