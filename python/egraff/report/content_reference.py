# SPDX-License-Identifier: GPL-2.0-or-later
"""The sections that compare with a reference: structure, and replay of its frames."""

from __future__ import annotations

from collections.abc import Sequence

from egraff.report import figures
from egraff.report.collect import Simulation, Study
from egraff.report.numbers import common_exponent
from egraff.report.parity_figures import parity
from egraff.report.parts import Drawing, Section
from egraff.report.tables import Cell, Column, Table, metric_cell, number_cell, text_cell


def _by_reference(study: Study, key: str) -> list[list[Simulation]]:
    """Simulations that have the curve ``key``, grouped by reference (or by species pairs)."""
    groups: dict[object, list[Simulation]] = {}
    for one in study.simulations:
        if key in one.curves:
            group = one.reference_sha256 or tuple(one.curves[key].ravel().tolist())
            groups.setdefault(group, []).append(one)
    return list(groups.values())


#: Differences between structures, the one that leads first: (title, metric, unit).
_STRUCTURE = (
    ("Wasserstein-1", "wasserstein", "Å"),
    ("Wright factor", "wright_factor", ""),
    ("√ form", "wright_factor_sqrt", ""),
    ("JSD", "jensen_shannon", "nat"),
)


def _structure_table(
    name: str, caption: str, second: str, rows: Sequence[tuple[Simulation, str, list[Cell]]]
) -> Table:
    """Every difference beside its noise; each row is a simulation, a pair and its first cells."""
    columns = [Column("Run", numeric=False), Column(second, numeric=False)]
    cells = [list(first) for _, _, first in rows]
    for title, measure, unit in _STRUCTURE:
        names = [f"{measure}[{pair}]" for _, pair, _ in rows]
        metrics = [one.metrics.get(key) for (one, _, _), key in zip(rows, names, strict=True)]
        exponent = common_exponent(metric.value for metric in metrics if metric is not None)
        columns += [
            Column(title, unit, exponent=exponent),
            Column("noise", unit, exponent=exponent),
        ]
        for row, (one, _, _), key, metric in zip(cells, rows, names, metrics, strict=True):
            noise = number_cell(one.noise(key), exponent=exponent, digits=2)
            row += [metric_cell(metric, exponent=exponent), noise]
        if measure == _STRUCTURE[0][1]:
            columns.append(Column("over noise", "×"))
            for row, (one, _, _), key in zip(cells, rows, names, strict=True):
                row.append(number_cell(one.times_noise(key), digits=2))
    return Table(name, caption, columns, cells)


def structure(study: Study) -> Section:
    """RDFs over the reference's, and the distances between them."""
    section = Section(
        "structure",
        "Structure against the reference",
        "The Wasserstein-1 distance leads: it keeps growing as a peak moves away, where the others "
        "saturate, and hardly depends on the bins. The noise beside each difference is what "
        "statistical errors alone would give between equal structures, or, for runs too short to "
        "tell, what the two halves of the reference differ by. A difference near its noise is not "
        "resolved.",
        short="Structure",
    )
    compared = [one for one in study.simulations if "wasserstein[total]" in one.metrics]
    if compared:
        rows = [(one, "total", [text_cell(one.name), text_cell(one.reference)]) for one in compared]
        caption = "All pairs together. Wright factor in the plain form (no root) unless marked."
        section.tables.append(_structure_table("structure", caption, "Reference", rows))
        rows = [
            (one, str(pair), [text_cell(one.name), text_cell(str(pair))])
            for one in compared
            for pair in one.curves.get("rdf/pairs", ())
            if str(pair) != "total"
        ]
        caption = "Each species pair by itself."
        section.details.append(_structure_table("structure-pairs", caption, "Pair", rows))
    for index, group in enumerate(_by_reference(study, "rdf/pairs")):
        against = f" against {group[0].reference}" if group[0].reference else ""
        what = (
            "Radial distribution functions"
            if bool(group[0].curves["rdf/periodic"])
            else "Pair-distance distributions over those of points uniform in a sphere of the "
            "plotted range"
        )
        section.drawings.append(
            Drawing(
                f"rdf-{index + 1}",
                f"{what}{against}; bands are two standard errors.",
                lambda palette, group=group: figures.rdf(group, palette),
            )
        )
    return section


def replay(study: Study) -> Section:
    """Energy and force violation along reference trajectories."""
    section = Section(
        "replay",
        "Replay of the reference",
        "The model evaluated at the positions of the labelled reference trajectory. EV depends on "
        "the zero of energy and is comparable only within one data set; its offset-free form and "
        "FV are comparable between sets. FV is 0.707 for unrelated forces of equal size.",
        short="Replay",
    )
    replayed: dict[tuple, Simulation] = {}
    for one in study.simulations:
        if "replay/ev" in one.curves:
            replayed.setdefault((one.run.record.get("model_sha256"), one.reference_sha256), one)
    measures = (
        ("replay_fv", "FV", ""),
        ("replay_ev", "EV", ""),
        ("replay_ev_offset_free", "EV, offset-free", ""),
        ("replay_energy_mae", "Energy MAE", "meV/atom"),
        ("replay_force_mae", "Force MAE", "meV/Å"),
    )
    if not replayed:
        return section
    exponents = [
        common_exponent(one.metrics[name].value for one in replayed.values() if name in one.metrics)
        for name, _, _ in measures
    ]
    rows = [
        [
            text_cell(one.model),
            text_cell(one.reference),
            *(
                metric_cell(one.metrics.get(name), exponent=exponent)
                for (name, _, _), exponent in zip(measures, exponents, strict=True)
            ),
        ]
        for one in replayed.values()
    ]
    columns = [
        Column("Model", numeric=False),
        Column("Reference", numeric=False),
        *(
            Column(title, unit, exponent=exponent)
            for (_, title, unit), exponent in zip(measures, exponents, strict=True)
        ),
    ]
    caption = "EV and FV are geometric means over time, the others arithmetic means."
    section.tables.append(Table("replay", caption, columns, rows))
    groups: dict[object, list[Simulation]] = {}
    for one in replayed.values():
        groups.setdefault(one.reference_sha256, []).append(one)
    for index, group in enumerate(groups.values()):
        section.drawings.append(
            Drawing(
                f"violations-{index + 1}",
                f"Energy and force violation along {group[0].reference}.",
                lambda palette, group=group: figures.violations(group, palette),
            )
        )
    for index, one in enumerate(replayed.values()):
        section.drawings.append(
            Drawing(
                f"parity-{index + 1}",
                f"{one.model} on {one.reference}: energies about the reference’s mean, and all "
                "components of the forces; the darker, the more (logarithmic).",
                lambda palette, one=one: parity(one, palette),
            )
        )
    return section
