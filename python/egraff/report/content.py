# SPDX-License-Identifier: GPL-2.0-or-later
"""What the report says: tables and figures of each section, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

from egraff.report import figures
from egraff.report.collect import Evaluation, Simulation, Study
from egraff.report.numbers import format_number
from egraff.report.style import Palette
from egraff.report.tables import Cell, Column, Table, metric_cell, number_cell, text_cell


@dataclass(frozen=True)
class Drawing:
    """A figure to be drawn: its name, its caption, and how to draw it with a palette."""

    name: str
    caption: str
    draw: Callable[[Palette], Figure]


@dataclass
class Section:
    """One section of the page."""

    name: str
    title: str
    text: str = ""
    tables: list[Table] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)
    details: list[Table] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether there is nothing in it."""
        return not (self.tables or self.drawings or self.details)


def sections(study: Study) -> list[Section]:
    """Every section that has something to show."""
    made = [
        training(study),
        simulations(study),
        structure(study),
        replay(study),
        ranks(study),
        provenance(study),
    ]
    return [section for section in made if not section.empty]


def _ratio(values: dict, name: str) -> float | None:
    own, trivial = values.get(name), values.get(f"trivial_{name}")
    return trivial / own if own and trivial is not None else None


def _error_cells(evaluation: Evaluation, name: str) -> list[Cell]:
    values = evaluation.values
    ratio = _ratio(values, name)
    kind = "" if ratio is None else ("good" if ratio > 1.0 else "bad")
    return [
        number_cell(values.get(name), scale=1e3),
        number_cell(values.get(f"trivial_{name}"), scale=1e3),
        number_cell(ratio, digits=2, kind=kind),
    ]


def training(study: Study) -> Section:
    """Errors of the models beside the trivial predictor's, and learning curves."""
    section = Section(
        "training",
        "What training learned",
        "The trivial predictor answers with the mean energy of each element and zero forces. "
        "“Better” is its error over the model’s: 1 means that nothing was learned.",
    )
    for statistic in ("mae", "rmse"):
        keys = (f"energy_{statistic}_ev_per_atom", f"force_{statistic}_ev_per_ang")
        rows = [
            [
                text_cell(one.name),
                text_cell(one.values.get("n_frames")),
                *_error_cells(one, keys[0]),
                *_error_cells(one, keys[1]),
            ]
            for one in study.evaluations
            if any(key in one.values for key in keys)
        ]
        if rows:
            name = statistic.upper()
            columns = [
                Column("Evaluation", numeric=False),
                Column("Frames"),
                Column(f"Energy {name}", "meV/atom"),
                Column("trivial", "meV/atom"),
                Column("better", "×"),
                Column(f"Force {name}", "meV/Å"),
                Column("trivial", "meV/Å"),
                Column("better", "×"),
            ]
            caption = "Mean absolute errors." if statistic == "mae" else "Root-mean-square errors."
            section.tables.append(Table(f"errors-{statistic}", caption, columns, rows))
    for index, one in enumerate(study.trainings):
        if figures.can_draw_learning(one):
            section.drawings.append(
                Drawing(
                    f"learning-{index + 1}",
                    f"Learning curves of {one.name}.",
                    lambda palette, one=one: figures.learning(one, palette),
                )
            )
    rows = [
        [text_cell(one.name), text_cell(key), text_cell(value)]
        for one in study.trainings
        for key, value in _scalars(one.summary)
    ]
    if rows:
        columns = [Column(title, numeric=False) for title in ("Training", "Setting", "Value")]
        section.details.append(Table("training-settings", "Training summaries.", columns, rows))
    return section


def _scalars(summary: dict, prefix: str = "") -> list[tuple[str, object]]:
    """Scalar entries of a nested summary, with dotted names."""
    found: list[tuple[str, object]] = []
    for key, value in summary.items():
        if isinstance(value, dict):
            found += _scalars(value, f"{prefix}{key}.")
        elif isinstance(value, float):
            found.append((f"{prefix}{key}", format_number(value, digits=4)))
        elif isinstance(value, str | int | bool) or value is None:
            found.append((f"{prefix}{key}", value))
    return found


_STATUS_KINDS = {"completed": "good", "failed": "bad"}


def simulations(study: Study) -> Section:
    """Every run: what it was, whether it lived, temperature, drift, speed."""
    section = Section(
        "simulations",
        "Simulations",
        "Means are over the part after equilibration; errors are one standard error, corrected for "
        "correlation in time. Point at a number for its definition and provenance.",
    )
    if not study.simulations:
        return section
    rows = []
    for one in study.simulations:
        record = one.run.record
        status = record["status"]
        length = record.get("steps_done", record["steps"]) * record["timestep_fs"] * 1e-3
        rows.append(
            [
                text_cell(one.name),
                text_cell(
                    status, kind=_STATUS_KINDS.get(status, "bad"), title=record.get("error") or ""
                ),
                text_cell(record["ensemble"].upper()),
                text_cell(record["n_atoms"]),
                text_cell(record.get("ranks")),
                number_cell(length),
                number_cell(record.get("temperature_K")),
                metric_cell(one.metrics.get("temperature")),
                metric_cell(one.metrics.get("pressure")),
                metric_cell(one.metrics.get("nve_drift")),
                metric_cell(one.metrics.get("nve_drift_relative")),
                metric_cell(one.metrics.get("speed")),
            ]
        )
    columns = [
        Column("Run", numeric=False),
        Column("Status", numeric=False),
        Column("Ensemble", numeric=False),
        Column("Atoms"),
        Column("Ranks"),
        Column("Length", "ps"),
        Column("Target T", "K"),
        Column("Temperature", "K"),
        Column("Pressure", "bar"),
        Column("NVE drift", "meV/atom/ps"),
        Column("Drift / σ(E_kin)", "1/ps"),
        Column("Speed", "ns/day"),
    ]
    section.tables.append(Table("simulations", "Simulations, failed ones included.", columns, rows))
    failures = [
        [text_cell(one.name), text_cell(one.run.record.get("error") or "no reason recorded")]
        for one in study.simulations
        if one.run.failed
    ]
    if failures:
        columns = [Column("Run", numeric=False), Column("Reason", numeric=False)]
        section.tables.append(Table("failures", "Runs that failed.", columns, failures))
    _thermo_drawings(study, section)
    return section


def _thermo_drawings(study: Study, section: Section) -> None:
    with_temperature = [one for one in study.simulations if "thermo/temp" in one.curves]
    if with_temperature:
        section.drawings.append(
            Drawing(
                "temperature",
                "Temperature over time; dashed: targets of thermostatted runs.",
                lambda palette: figures.temperature(with_temperature, palette),
            )
        )
    conserved = [
        one
        for one in study.simulations
        if one.run.record["ensemble"].lower() == "nve" and "thermo/etotal" in one.curves
    ]
    if conserved:
        section.drawings.append(
            Drawing(
                "nve-energy",
                "Total energy of NVE runs about its mean; straight lines: fitted drift.",
                lambda palette: figures.energy(conserved, palette),
            )
        )


def _by_reference(study: Study, key: str) -> list[list[Simulation]]:
    """Simulations that have the curve ``key``, grouped by reference (or by species pairs)."""
    groups: dict[object, list[Simulation]] = {}
    for one in study.simulations:
        if key in one.curves:
            group = one.reference_sha256 or tuple(one.curves[key].ravel().tolist())
            groups.setdefault(group, []).append(one)
    return list(groups.values())


def structure(study: Study) -> Section:
    """RDFs over the reference's, and the distances between them."""
    section = Section(
        "structure",
        "Structure against the reference",
        "The noise floor compares the first with the second half of the reference; the expected "
        "value is what statistical errors alone would give between equal structures. Differences "
        "near these are not resolved.",
    )
    measures = (
        ("wright_factor", "Wright factor", "1"),
        ("expected_noise_wright_factor", "expected", "1"),
        ("noise_floor_wright_factor", "floor", "1"),
        ("wright_factor_sqrt", "√ form", "1"),
        ("jensen_shannon", "JSD", "nat"),
        ("noise_floor_jensen_shannon", "floor", "nat"),
        ("wasserstein", "Wasserstein-1", "Å"),
        ("noise_floor_wasserstein", "floor", "Å"),
    )
    compared = [one for one in study.simulations if "wright_factor[total]" in one.metrics]
    columns = [Column(title, "" if unit == "1" else unit) for _, title, unit in measures]

    def cells(one: Simulation, pair: str) -> list[Cell]:
        return [metric_cell(one.metrics.get(f"{name}[{pair}]")) for name, _, _ in measures]

    if compared:
        rows = [
            [text_cell(one.name), text_cell(one.reference), *cells(one, "total")]
            for one in compared
        ]
        head = [Column("Run", numeric=False), Column("Reference", numeric=False)]
        caption = "All pairs together. Wright factor in the plain form (no root) unless marked."
        section.tables.append(Table("structure", caption, [*head, *columns], rows))
        rows = [
            [text_cell(one.name), text_cell(str(pair)), *cells(one, str(pair))]
            for one in compared
            for pair in one.curves["rdf/pairs"]
            if str(pair) != "total"
        ]
        head = [Column("Run", numeric=False), Column("Pair", numeric=False)]
        section.details.append(
            Table("structure-pairs", "Each species pair by itself.", [*head, *columns], rows)
        )
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
    rows = [
        [
            text_cell(Path(one.run.record.get("model") or "?").name),
            text_cell(one.reference),
            *(metric_cell(one.metrics.get(name)) for name, _, _ in measures),
        ]
        for one in replayed.values()
    ]
    columns = [
        Column("Model", numeric=False),
        Column("Reference", numeric=False),
        *(Column(title, unit) for _, title, unit in measures),
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
        model = Path(one.run.record.get("model") or "?").name
        section.drawings.append(
            Drawing(
                f"parity-{index + 1}",
                f"{model} on {one.reference}: energies about the reference’s mean, and at most "
                "2000 force components.",
                lambda palette, one=one: figures.parity(one, palette),
            )
        )
    return section


def ranks(study: Study) -> Section:
    """Agreement between one and two MPI ranks."""
    section = Section(
        "ranks",
        "One rank against two",
        "The same frame evaluated by LAMMPS on one and on two MPI ranks.",
    )
    columns = [
        Column("Quantity", numeric=False),
        Column("Unit", numeric=False),
        Column("One rank"),
        Column("Two ranks"),
        Column("Largest difference"),
    ]
    for index, one in enumerate(study.ranks):
        rows = [
            [
                text_cell(quantity["name"]),
                text_cell(quantity.get("unit", "")),
                number_cell(quantity.get("rank1"), digits=10),
                number_cell(quantity.get("rank2"), digits=10),
                number_cell(quantity.get("max_abs_difference"), digits=2),
            ]
            for quantity in one.quantities
        ]
        section.tables.append(Table(f"ranks-{index + 1}", f"{one.name}.", columns, rows))
    return section


def provenance(study: Study) -> Section:
    """Where every number comes from."""
    section = Section("provenance", "Provenance")
    rows = []
    for one in study.simulations:
        record = one.run.record
        versions = record.get("versions") or {}
        rows.append(
            [
                text_cell(one.name),
                text_cell(Path(record.get("model") or "?").name),
                text_cell((record.get("model_sha256") or "")[:12] or None),
                text_cell(record.get("seed")),
                text_cell(", ".join(f"{name} {value}" for name, value in versions.items())),
            ]
        )
    if rows:
        columns = [
            Column("Run", numeric=False),
            Column("Model", numeric=False),
            Column("SHA-256", numeric=False),
            Column("Seed"),
            Column("Versions", numeric=False),
        ]
        section.tables.append(Table("provenance", "What ran.", columns, rows))
    rows = [
        [
            text_cell(one.name),
            text_cell(metric.name),
            metric_cell(metric),
            text_cell("" if metric.unit == "1" else metric.unit),
            number_cell(metric.n_eff, digits=2),
            text_cell(metric.definition + (f" ({metric.note})" if metric.note else "")),
            text_cell(metric.provenance),
        ]
        for one in study.simulations
        for metric in one.metrics.values()
    ]
    if rows:
        columns = [
            Column("Run", numeric=False),
            Column("Metric", numeric=False),
            Column("Value"),
            Column("Unit", numeric=False),
            Column("n_eff"),
            Column("Definition", numeric=False),
            Column("From", numeric=False),
        ]
        section.details.append(Table("metrics", "Every metric.", columns, rows))
    problems = [
        [text_cell(one.name), text_cell(problem)]
        for one in study.simulations
        for problem in one.problems
    ] + [[text_cell("–"), text_cell(problem)] for problem in study.problems]
    if problems:
        columns = [Column("Run", numeric=False), Column("What", numeric=False)]
        caption = "What could not be read or computed, and why."
        section.tables.append(Table("problems", caption, columns, problems))
    return section


@dataclass(frozen=True)
class Tile:
    """One number at the top of the page."""

    label: str
    value: str
    unit: str
    note: str
    kind: str = ""


def tiles(study: Study) -> list[Tile]:
    """The few numbers that matter most."""
    found: list[Tile] = []
    for one in study.evaluations[:2]:
        name = "force_mae_ev_per_ang"
        ratio = _ratio(one.values, name)
        if ratio is not None:
            found.append(
                Tile(
                    f"Force MAE, {one.name}",
                    str(format_number(one.values[name] * 1e3)),
                    "meV/Å",
                    f"{format_number(ratio, digits=2)} times better than trivial",
                    "good" if ratio > 1.0 else "bad",
                )
            )
    found += _metric_tiles(study.simulations)
    for one in study.ranks[:1]:
        differences = [q for q in one.quantities if q.get("max_abs_difference") is not None]
        forces = next((q for q in differences if "force" in q["name"].lower()), None)
        if forces:
            found.append(
                Tile(
                    "One rank against two, forces",
                    str(format_number(forces["max_abs_difference"], digits=2)),
                    forces.get("unit", ""),
                    "largest difference",
                )
            )
    failed = sum(one.run.failed for one in study.simulations)
    if failed:
        found.append(Tile("Failed runs", str(failed), "", f"of {len(study.simulations)}", "bad"))
    return found


def _metric_tiles(simulations: Sequence[Simulation]) -> list[Tile]:
    wanted = (
        ("wright_factor[total]", "Wright factor", "noise_floor_wright_factor[total]"),
        ("replay_fv", "Force violation, replay", None),
        ("nve_drift", "NVE drift", None),
    )
    found = []
    for name, label, floor in wanted:
        having = [
            one
            for one in simulations
            if name in one.metrics and one.metrics[name].value is not None
        ]
        if not having:
            continue
        worst = max(having, key=lambda one: abs(one.metrics[name].value))
        metric = worst.metrics[name]
        note = f"{worst.name}" + (", the worst" if len(having) > 1 else "")
        level = worst.metrics.get(floor) if floor else None
        if level is not None and level.value is not None:
            note += f"; noise floor {format_number(level.value, digits=2)}"
        unit = "" if metric.unit == "1" else metric.unit
        found.append(Tile(label, str(format_number(metric.value, metric.error)), unit, note))
    return found
