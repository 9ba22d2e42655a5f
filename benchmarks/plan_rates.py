# SPDX-License-Identifier: GPL-2.0-or-later
"""CPU time per edge of trainings, evaluations and steps of LAMMPS, for estimates of a plan's cost.

    python benchmarks/plan_rates.py -o python/egraff/benchmark/rates.yaml

All on one thread. Training and evaluation: batches of the embedded molecule, with the plain model.
Steps: the exported model on 64 atoms of silicon, with a fixed list of edges; neighbour lists and
LAMMPS itself come on top, a few per cent.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import timing
import torch
import yaml

from egraff import _core
from egraff.data import embedded, read_frames
from egraff.export import export_torchscript
from egraff.files import atomic_path
from egraff.forces import predict
from egraff.graph import graph_of_atoms
from egraff.models import ARCHITECTURES, build, find, preset
from egraff.training.dataset import frame_graph, join_graphs
from egraff.training.loss import Loss

STARTUP_S = {"default": 4.0, "train": 12.0, "run": 6.0, "export": 8.0, "join": 2.0, "report": 15.0}
"""CPU time of commands that have little to do, by kind of job, from logs of ``--dry-run`` plans."""


def cpu_us(step, edges: int, seconds: float) -> float:
    """Return CPU microseconds per edge of a step that is repeated for so long."""
    step()
    begun, count = time.process_time(), 0
    while time.process_time() - begun < seconds or count < 2:
        step()
        count += 1
    return (time.process_time() - begun) / count / edges * 1e6


def rates(name: str, preset_name: str, seconds: float) -> dict[str, float]:
    """Measure one architecture with one preset."""
    options = preset(name, preset_name)
    options.pop("r_max", None)
    geometry = {"elements": ["C", "H", "O"], "r_max": timing.R_MAX}
    model = build(name, seed=0, **geometry, avg_num_neighbours=15.0, **options)
    frames = read_frames(embedded("molecule", "train"))[:5]
    (batch,) = join_graphs([frame_graph(frame, **geometry) for frame in frames])
    loss, edges = Loss("huber"), batch.edge_index.shape[1]

    def train() -> None:
        model.zero_grad()
        loss.total(loss.terms(predict(model, batch, create_graph=True), batch)).backward()

    measured = {
        "train": cpu_us(train, edges, seconds),
        "evaluate": cpu_us(lambda: predict(model, batch), edges, seconds),
    }
    atoms = timing.silicon(64)
    silicon = build(
        name, seed=0, elements=["Si"], r_max=timing.R_MAX, avg_num_neighbours=28.0, **options
    )
    graph = graph_of_atoms(atoms, elements=["Si"], r_max=timing.R_MAX)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.egraff.pt"
        export_torchscript(silicon, path, fuse=None)
        exported = _core.Model(str(path), verify=False)

        def evaluate() -> None:
            exported.evaluate(graph.species, graph.edge_index, graph.edge_vec, len(atoms))

        measured["simulate"] = cpu_us(evaluate, graph.edge_index.shape[1], seconds)
    return {kind: float(f"{value:.3g}") for kind, value in measured.items()}


def main() -> None:
    """Measure all and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--papers", action="store_true", help="the papers' presets as well")
    given = parser.parse_args()
    torch.set_num_threads(1)
    table: dict[str, dict[str, dict[str, float]]] = {}
    for name in sorted(ARCHITECTURES):
        for preset_name in find(name).Config.presets:
            if preset_name.startswith("paper") and not given.papers:
                continue
            table.setdefault(name, {})[preset_name] = rates(name, preset_name, given.seconds)
            print(name, preset_name, table[name][preset_name], flush=True)
    content = {"startup_s": STARTUP_S, "us_per_edge": table}
    with atomic_path(given.output) as partial:
        head = "# CPU time, written by benchmarks/plan_rates.py\n"
        partial.write_text(head + yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


main()
