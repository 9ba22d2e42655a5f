# SPDX-License-Identifier: GPL-2.0-or-later
"""The section that sets several models of one system side by side."""

from __future__ import annotations

from egraff.report import dynamics_figures
from egraff.report.collect import Simulation, Study
from egraff.report.content_groups import summary_cell
from egraff.report.parts import Drawing, Section
from egraff.report.systems import System, systems
from egraff.report.tables import Cell, Column, Table, number_cell, text_cell
from egraff.report.verdict import ORDER, counted, kind_of, worst_word

_DISTANCE = "wasserstein[total]"
_MEASURES = (
    (_DISTANCE, "Wasserstein-1", "Å"),
    ("wright_factor[total]", "Wright factor", ""),
    ("jensen_shannon[total]", "JSD", "nat"),
    ("replay_fv", "FV, replay", ""),
    ("replay_force_mae", "Force MAE", "meV/Å"),
    ("nve_drift", "NVE drift", "meV/atom/ps"),
    ("speed", "Speed", "ns/day"),
)


def models_of(system: System) -> dict[str, list[Simulation]]:
    """Analysed runs by model, told apart by hash; files of one name are numbered."""
    by_hash: dict[object, list[Simulation]] = {}
    for one in system.simulations:
        if one.analysed:
            by_hash.setdefault(one.run.record.get("model_sha256"), []).append(one)
    names = [runs[0].model for runs in by_hash.values()]
    labelled = {}
    for index, (name, runs) in enumerate(zip(names, by_hash.values(), strict=True)):
        number = f" ({names[: index + 1].count(name)})" if names.count(name) > 1 else ""
        labelled[f"{name}{number}"] = runs
    return labelled


def comparison(study: Study) -> Section:
    """A table and a figure for each system that more than one model was run on."""
    section = Section(
        "comparison",
        "Models side by side",
        "Models that were run on one system, the best verdict first and, among equals, the "
        "structure nearest to the reference’s. Numbers are means over the runs of a model, with "
        "standard errors where there are enough of them; “over noise” is of its worst run.",
        short="Comparison",
    )
    compared = [(system, models_of(system)) for system in systems(study.simulations)]
    compared = [(system, models) for system, models in compared if len(models) > 1]
    for index, (system, models) in enumerate(compared, start=1):
        ranked = dict(sorted(models.items(), key=lambda entry: _rank(entry[1])))
        section.tables.append(_table(f"comparison-{index}", system, ranked))
        if any(_over_noise(runs) is not None for runs in ranked.values()):
            section.drawings.append(
                Drawing(
                    f"comparison-{index}",
                    f"{system.name}: Wasserstein-1 distance to the reference over its noise, a "
                    "point for each run; left of the line nothing is resolved.",
                    lambda palette, models=ranked: dynamics_figures.over_noise(
                        models, _DISTANCE, palette
                    ),
                )
            )
    return section


def _over_noise(runs: list[Simulation]) -> float | None:
    ratios = [one.times_noise(_DISTANCE) for one in runs]
    return max((ratio for ratio in ratios if ratio is not None), default=None)


def _rank(runs: list[Simulation]) -> tuple[int, float]:
    ratio = _over_noise(runs)
    word = worst_word([one.verdict for one in runs])
    return ORDER.index(word), float("inf") if ratio is None else ratio


def _table(name: str, system: System, models: dict[str, list[Simulation]]) -> Table:
    every = [one for runs in models.values() for one in runs]
    shown = [measure for measure in _MEASURES if any(measure[0] in one.metrics for one in every)]
    has_noise = any(_over_noise(runs) is not None for runs in models.values())
    columns = [
        Column("Model", numeric=False),
        Column("Verdict", numeric=False),
        Column("Runs"),
        Column("Unstable"),
    ]
    for metric, title, unit in shown:
        columns.append(Column(title, unit))
        if metric == _DISTANCE and has_noise:
            columns.append(Column("over noise", "×"))
    rows = []
    for model, runs in models.items():
        unstable = sum(one.run.failed or bool(one.violations) for one in runs)
        row: list[Cell] = [
            text_cell(model),
            _verdicts(runs),
            text_cell(len(runs)),
            text_cell(unstable, kind="bad" if unstable else ""),
        ]
        for metric, _, _ in shown:
            row.append(summary_cell(runs, metric))
            if metric == _DISTANCE and has_noise:
                row.append(number_cell(_over_noise(runs), digits=2))
        rows.append(row)
    return Table(name, f"{system.name}.", columns, rows)


def _verdicts(runs: list[Simulation]) -> Cell:
    verdicts = [one.verdict for one in runs]
    return text_cell(counted(verdicts), kind=kind_of(worst_word(verdicts)))
