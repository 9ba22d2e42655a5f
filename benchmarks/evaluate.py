# SPDX-License-Identifier: GPL-2.0-or-later
"""Evaluate one exported model again and again: ``evaluate.py FILE N_ATOMS THREADS SECONDS``.

A step is one evaluation of energy and forces with a fixed list of edges, as in LAMMPS between two
rebuilds.
"""

from __future__ import annotations

import sys

import timing


def main() -> None:
    import torch

    from egraff import _core
    from egraff.graph import graph_of_atoms

    path, n_atoms, threads, seconds = sys.argv[1:]
    torch.set_num_threads(int(threads))
    atoms = timing.silicon(int(n_atoms))
    graph = graph_of_atoms(atoms, elements=["Si"], r_max=timing.R_MAX)
    model = _core.Model(path, verify=False)

    def step() -> None:
        model.evaluate(graph.species, graph.edge_index, graph.edge_vec, len(atoms))

    timing.report(timing.repeat(step, len(atoms), float(seconds)))


main()
