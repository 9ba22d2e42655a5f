# SPDX-License-Identifier: GPL-2.0-or-later
"""LAMMPS on a GPU: time per atom and step, beside the CPU of the same machine.

    python benchmarks/gpu.py --models mace nequip --sizes 512 4096 32768 --columns device

Files on the GPU have plain operators, those on the CPU fused ones. ``host`` finds edges and sums
forces on one core and copies them in every step (`pair_style egraff graph host`); ``device`` keeps
them on the GPU, which is what `graph auto` does there.
"""

from __future__ import annotations

import lammps_runs
import torch
from shapes import export, exports_folder, model_parser

COLUMNS = {
    "host": "device cuda graph host",
    "device": "device cuda graph device",
    "cpu": "device cpu",
}


def main() -> None:
    """Run what the command line asks for and print a table."""
    parser = model_parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 4096, 32768], help="atoms")
    parser.add_argument("--columns", nargs="+", choices=COLUMNS, default=list(COLUMNS))
    parser.add_argument("--threads", type=int, default=1, help="of the runs on the CPU")
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("expected a GPU, torch finds none\n  fix: run this where there is one")
    print(f"# {torch.cuda.get_device_name()}, torch {torch.__version__}, float32")
    print(f"{'model':12s} {'atoms':>7s}", *(f"{column + ' us':>9s}" for column in options.columns))
    with exports_folder(options) as directory:
        for name in options.models:
            for size in options.sizes:
                row = []
                for column in options.columns:
                    on_cpu = column == "cpu"
                    file, _ = export(name, "float32", directory, fuse=None if on_cpu else False)
                    try:
                        run = lammps_runs.run(
                            file, lammps_runs.silicon(size), directory,
                            steps=options.steps, threads=options.threads if on_cpu else 1,
                            options=COLUMNS[column],
                        )  # fmt: skip
                    except SystemExit as error:  # memory, perhaps
                        print("#", str(error)[-300:].replace("\n", " "))
                        row.append("        -")
                    else:
                        row.append(f"{run.us:9.2f}")
                print(f"{name:12s} {size:7d} {' '.join(row)}", flush=True)


if __name__ == "__main__":
    main()
