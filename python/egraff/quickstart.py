# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole way, once, on the embedded data: train, export, run, analyse, report.

Every step is a command that the user could have typed, and is printed as such. A step whose result
is there already is skipped, so an interrupted quickstart continues where it stopped.
"""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from egraff import names
from egraff.data.embedded import embedded
from egraff.errors import InputError, RunError
from egraff.files import make_folder, write_json

MARKER = "quickstart.json"

# Does what `egraff ARGUMENTS` does; raises where that would end with an error or be interrupted.
Command = Callable[[list[str]], None]


@dataclass(frozen=True)
class Plan:
    """What is done with one embedded set.

    Attributes:
        name: the set.
        temperature: of its training data and reference trajectory, in K.
        hot_split: the split at a higher temperature.
        timestep_fs: time step in fs.
        steps: length of each simulation.
        equilibrate_steps: before the simulation that is compared with the reference.
    """

    name: str
    temperature: float
    hot_split: str
    timestep_fs: float
    steps: int
    equilibrate_steps: int


PLANS = (
    Plan("molecule", 300.0, "test_600K", 0.5, 6000, 2000),
    Plan("crystal", 600.0, "test_1000K", 1.0, 3000, 500),
)


@dataclass(frozen=True)
class Step:
    """A command and the file that exists once it has been done."""

    arguments: list[str]
    product: Path


def quickstart(
    out: Path, command: Command, *, overwrite: bool = False, console: Console | None = None
) -> Path:
    """Do everything; see the module's text.

    Args:
        out: directory for all results.
        command: runs one command of the shell.
        overwrite: start afresh if ``out`` holds an earlier quickstart.
        console: where to print.

    Returns:
        The report's path.

    Raises:
        InputError: ``out`` holds something else.
        EgraffError: a step failed.
    """
    console = console or Console(highlight=False)
    started = time.monotonic()
    _prepare(out, overwrite)
    for plan in PLANS:
        console.rule(f"{plan.name}: learn")
        _do(console, command, learn(plan, out / plan.name))
        console.rule(f"{plan.name}: simulate")
        _do(console, command, simulate(plan, out / plan.name))
        if not (out / plan.name / "ranks.json").exists():
            compare_ranks(plan, out / plan.name)
        console.rule(f"{plan.name}: judge")
        _do(console, command, judge(plan, out / plan.name), always=True)
    report = out / names.REPORT
    _do(console, command, [Step(["report", str(out)], report)], always=True)
    console.rule("the numbers that matter")
    for line in summary(out):
        console.print(line, soft_wrap=True)
    minutes = (time.monotonic() - started) / 60
    console.print(f"\n{minutes:.1f} minutes. Report: {report.resolve()}", soft_wrap=True)
    return report


def learn(plan: Plan, out: Path) -> list[Step]:
    """Return the steps from labelled frames to an exported model and its errors."""
    train, model = out / "train", out / "model.egraff.pt"
    recipe = files("egraff.training") / "recipes" / f"{plan.name}.yaml"
    labelled = {split: str(embedded(plan.name, split)) for split in ("train", "val", "test")}
    hot = str(embedded(plan.name, plan.hot_split))
    best = train / names.BEST
    fit = ["train", "--config", str(recipe), "--data", labelled["train"], "--val", labelled["val"]]
    fit += ["--isolated-atoms", str(embedded(plan.name, "isolated_atoms")), "--out", str(train)]
    if (train / names.LAST).exists():
        fit.append("--resume")
    return [
        Step(fit, train / names.SUMMARY),
        Step(["export", str(best), "-o", str(model)], model),
        Step(_evaluate(model, labelled["test"], out / "eval_test.json"), out / "eval_test.json"),
        Step(_evaluate(model, hot, out / "eval_hot.json"), out / "eval_hot.json"),
    ]


def simulate(plan: Plan, out: Path) -> list[Step]:
    """Return the steps that run LAMMPS: NVE on one and two ranks, NVT on two."""
    start = [
        "run",
        "--model",
        str(out / "model.egraff.pt"),
        "--structure",
        str(embedded(plan.name, "test")),
        "--temperature",
        f"{plan.temperature:g}",
        "--timestep-fs",
        f"{plan.timestep_fs:g}",
        "--steps",
        str(plan.steps),
    ]
    thermostat = ["--ensemble", "nvt", "--thermostat", "csvr"]
    thermostat += ["--equilibrate-steps", str(plan.equilibrate_steps)]
    runs = {
        "nve-1-rank": ["--ensemble", "nve", "--ranks", "1", "--dump-every", "50"],
        "nve-2-ranks": ["--ensemble", "nve", "--ranks", "2", "--dump-every", "50"],
        "nvt-2-ranks": [*thermostat, "--ranks", "2", "--dump-every", "10"],
    }
    steps = []
    for name, options in runs.items():
        directory = out / name
        arguments = [*start, *options, "--thermo-every", "10", "--out", str(directory)]
        steps.append(Step(arguments, directory / names.RUN_RECORD))
    return steps


def judge(plan: Plan, out: Path) -> list[Step]:
    """Return the step that compares the simulations with the reference trajectory."""
    reference = str(embedded(plan.name, "trajectory"))
    arguments = ["analyse", str(out), "--reference", reference]
    return [Step(arguments, out / "nvt-2-ranks" / names.ANALYSIS_RESULT)]


def compare_ranks(plan: Plan, out: Path) -> None:
    """Write ``ranks.json``: the same frame from LAMMPS on one rank and on two."""
    from ase.io import read

    from egraff.lammps.single_point import single_point

    atoms = read(embedded(plan.name, "test"), index=0)
    one, two = (single_point(out / "model.egraff.pt", atoms, ranks=n) for n in (1, 2))
    rows = []
    for name, unit in (("energy", "eV"), ("forces", "eV/Å"), ("virial", "eV")):
        a, b = np.asarray(getattr(one, name)), np.asarray(getattr(two, name))
        # for arrays the largest component stands for the size, the largest difference for all
        rows.append(
            {
                "name": name,
                "rank1": float(np.abs(a).max()) if a.ndim else float(a),
                "rank2": float(np.abs(b).max()) if b.ndim else float(b),
                "max_abs_difference": float(np.abs(a - b).max()),
                "unit": unit,
            }
        )
    write_json(out / "ranks.json", {"quantities": rows})


def summary(out: Path) -> list[str]:
    """Return five lines: force errors, agreement of ranks, energy drift, structure."""
    lines = []
    for plan in PLANS:
        errors = _read(out / plan.name / "eval_test.json")
        mae, trivial = errors["force_mae_ev_per_ang"], errors["trivial_force_mae_ev_per_ang"]
        lines.append(
            f"force error, {plan.name:<9} {1000 * mae:8.1f} meV/A    "
            f"{trivial / mae:.1f} times better than predicting zero"
        )
    crystal = out / "crystal"
    ranks = {row["name"]: row for row in _read(crystal / "ranks.json")["quantities"]}
    lines.append(
        f"2 ranks against 1        {ranks['forces']['max_abs_difference']:8.1e} eV/A     "
        f"largest force difference, forces up to {ranks['forces']['rank1']:.2f} eV/A"
    )
    lines.append(_metric_line("energy drift, NVE", crystal / "nve-2-ranks", "nve_drift"))
    lines.append(_metric_line("Wright factor of g(r)", crystal / "nvt-2-ranks", "wright_factor"))
    return lines


def _metric_line(label: str, run: Path, name: str) -> str:
    """Return a metric of a run with its error; of a family such as ``x[Li-F]`` the total."""
    metrics = {m["name"]: m for m in _read(run / names.ANALYSIS_RESULT)["metrics"]}
    metric = metrics.get(name) or metrics[f"{name}[total]"]
    if metric["value"] is None:
        return f"{label:<24} not enough data: {metric['note']}"
    error = f" ± {metric['error']:.1g}" if metric["error"] is not None else ""
    unit = "" if metric["unit"] == "1" else metric["unit"]
    return f"{label:<24} {metric['value']:8.2g}{error} {unit}"


def _evaluate(model: Path, data: str, result: Path) -> list[str]:
    return ["eval", str(model), data, "--json", str(result)]


def _do(console: Console, command: Command, steps: Sequence[Step], *, always: bool = False) -> None:
    for step in steps:
        text = shlex.join(["egraff", *step.arguments])
        if step.product.exists() and not always and _finished(step.product):
            console.print(f"[dim]done before: {text}[/]", soft_wrap=True)
            continue
        console.print(f"[bold]$ {text}[/]", soft_wrap=True)
        command(step.arguments)
        if not (step.product.exists() and _finished(step.product)):
            raise RunError(
                f"expected {step.product} to be finished, but it is not\n"
                f"  fix: see what `{text}` printed; then start quickstart again, which continues"
            )


def _finished(product: Path) -> bool:
    """Tell whether a product is final: run and training records exist from the start."""
    if product.name not in (names.RUN_RECORD, names.SUMMARY):
        return True
    return _read(product).get("status") == "completed"


def _prepare(out: Path, overwrite: bool) -> None:
    """Create the directory, or take up an earlier quickstart's."""
    if out.exists() and any(out.iterdir()):
        if not (out / MARKER).exists():
            raise InputError(
                "expected an empty directory or an earlier quickstart",
                where=out,
                fix="choose another --out",
            )
        if overwrite:
            shutil.rmtree(out)
    make_folder(out)
    write_json(out / MARKER, {"made_by": "egraff quickstart"})


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
