# SPDX-License-Identifier: GPL-2.0-or-later
"""SevenNet-0 as imported and exported by egraff, beside sevenn's own calculator, in one run.

    egraff import sevennet 7net-0 -o 7net-0.ckpt && egraff export 7net-0.ckpt -o 7net-0.egraff.pt
    python benchmarks/sevennet.py 7net-0.egraff.pt --python SEVENN_ENV/bin/python

The system is that of ``engine.py``. sevenn needs too much memory for the larger one, and its cost
per atom does not depend on the number of atoms.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engine import HEADER, show
from processes import HERE, measured, model_file


def main() -> None:
    """Measure ours, theirs, ours, and print the ratio of the costs per atom."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path, help="exported model")
    parser.add_argument("--python", type=Path, help="of an environment with sevenn")
    parser.add_argument("--size", type=int, default=4096, help="atoms for egraff")
    parser.add_argument("--their-size", type=int, default=512, help="atoms for sevenn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0, help="per measurement")
    options = parser.parse_args()
    n_threads, seconds = options.threads, options.seconds

    def ours() -> dict[str, float]:
        result = model_file(options.model, options.size, n_threads, seconds)
        if result is None:
            raise SystemExit(f"{options.model}: could not be measured")
        show("float32", options.size, n_threads, "7net-0 fused", result)
        return result

    print(HEADER, flush=True)
    before = ours()
    if options.python is None:
        return
    runner = HERE / "external" / "run_sevennet.py"
    command = [options.python, runner, options.their_size, n_threads, seconds, Path.cwd()]
    theirs = measured(command, n_threads)
    if theirs is None:
        raise SystemExit(f"{options.python}: sevenn could not be measured")
    show("float32", options.their_size, n_threads, "sevenn", theirs)
    after = ours()
    for key, kind in (("us_min", "wall clock"), ("cpu_us_min", "CPU time")):
        print(f"#   sevenn / egraff = {2 * theirs[key] / (before[key] + after[key]):.0f} ({kind})")


if __name__ == "__main__":
    main()
