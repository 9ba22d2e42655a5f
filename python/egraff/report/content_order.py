# SPDX-License-Identifier: GPL-2.0-or-later
"""The sections about local order, relabelled rollouts and the models' own checks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from egraff.report import order_figures
from egraff.report.collect import Simulation, Study
from egraff.report.content_wide import wide_table
from egraff.report.parts import Drawing, Section
from egraff.report.systems import draw_each
from egraff.report.tables import Column, Table, metric_cell, text_cell


def _species(name: str) -> str:
    """What is in the brackets of a metric's name."""
    return name[name.index("[") + 1 : -1]


def _matching(simulations: Iterable[Simulation], prefix: str) -> list[str]:
    return sorted(
        {name for one in simulations for name in one.metrics if name.startswith(f"{prefix}[")}
    )


def order(study: Study) -> Section:
    """Coordination numbers, angles, bonds, S(q) and density."""
    section = Section(
        "order",
        "Local order",
        "Neighbours are atoms nearer than the first minimum of g(r) (in molecules, than 1.3 times "
        "the sum of covalent radii). S(q) follows from g(r) within Lorch’s window, and is only as "
        "sharp as the range of g(r) allows.",
        short="Order",
    )
    _long_table(
        section,
        study,
        ("coordination", "coordination", "Pair", "Neighbours", ""),
        ("In the reference", "reference_coordination"),
        "Mean number of the second species around the first.",
    )
    _long_table(
        section,
        study,
        ("angles", "angle_mean", "Angle", "Mean", "°"),
        ("JSD to the reference (nat)", "angle_jensen_shannon"),
        "Angles between neighbours, the central atom in the middle.",
    )
    wide = (
        ("density", "Density", "g/cm³"),
        ("structure_factor_peak", "Largest S(q)", ""),
        ("bond_length_deviation", "Bond lengths off by", "Å"),
        ("bond_length_worst", "Worst bond", "Å"),
        ("pressure_fluctuation", "σ(pressure)", "bar"),
    )
    wide_table(
        section,
        study.simulations,
        wide,
        ("order", "Density, structure factor, bonds of molecules against the reference’s."),
    )
    for name, key, caption, draw in (
        ("adf", "adf/density", "Distributions of angles; grey: reference.", order_figures.angles),
        (
            "sq",
            "sq/s",
            "Structure factor of all species.",
            order_figures.scattering,
        ),
    ):
        groups: dict[object, list[Simulation]] = {}
        for one in study.simulations:
            if key in one.curves:
                group = one.reference_sha256 or tuple(one.curves["rdf/pairs"].tolist())
                groups.setdefault(group, []).append(one)
        for index, group in enumerate(groups.values()):
            section.drawings.append(
                Drawing(
                    f"{name}-{index + 1}",
                    caption,
                    lambda palette, draw=draw, group=group: draw(group, palette),
                )
            )
    pressed = [
        one
        for one in study.simulations
        if "thermo/press" in one.curves and "pressure" in one.metrics
    ]
    caption = "Distribution of the instantaneous pressure over the whole run."
    draw_each(section, pressed, "pressure", caption, order_figures.pressure)
    return section


def _long_table(
    section: Section,
    study: Study,
    what: tuple[str, str, str, str, str],
    beside: tuple[str, str],
    caption: str,
) -> None:
    """One row for each run and species, among the details because it may be long."""
    name, metric, title, value, unit = what
    rows = [
        [
            text_cell(one.name),
            text_cell(_species(key).replace("-", "–")),
            metric_cell(one.metrics[key]),
            metric_cell(one.metrics.get(f"{beside[1]}[{_species(key)}]")),
        ]
        for one in study.simulations
        for key in _matching([one], metric)
    ]
    if rows:
        columns = [
            Column("Run", numeric=False),
            Column(title, numeric=False),
            Column(value, unit),
            Column(beside[0]),
        ]
        section.details.append(Table(name, caption, columns, rows))


def conservation(study: Study) -> Section:
    """What must be conserved or shared equally, for every run."""
    section = Section(
        "conservation",
        "Momentum and equipartition",
        "All forces together must vanish, the centre of mass must rest, and every species must "
        "have the temperature of all: its excess is 0 within errors.",
        short="Conservation",
    )
    species = _matching(study.simulations, "temperature_excess")
    measures = [
        ("centre_of_mass_speed", "Speed of the centre of mass", "Å/ps"),
        ("net_force", "Net force", "meV/Å"),
        *((name, f"T({_species(name)}) − T", "K") for name in species),
    ]
    what = ("conservation", "Largest values in any frame, and mean excess temperatures.")
    wide_table(section, study.simulations, measures, what)
    return section


def rollouts(study: Study) -> Section:
    """EV and FV of runs whose frames were labelled by another method."""
    section = Section(
        "rollouts",
        "Relabelled rollouts",
        "Frames that the runs themselves visited, labelled by another method: the model’s errors "
        "where its own dynamics takes it.",
        short="Rollouts",
    )
    having = [one for one in study.simulations if "rollout/fv" in one.curves]
    measures = (
        ("rollout_fv", "FV", ""),
        ("rollout_ev", "EV", ""),
        ("rollout_ev_offset_free", "EV, offset-free", ""),
        ("rollout_energy_mae", "Energy MAE", "meV/atom"),
        ("rollout_force_mae", "Force MAE", "meV/Å"),
    )
    caption = "EV and FV are geometric means over time, the others arithmetic means."
    wide_table(section, having, measures, ("rollouts", caption))
    if having:
        section.drawings.append(
            Drawing(
                "rollouts",
                "Violations along the runs.",
                lambda palette: order_figures.rollouts(having, palette),
            )
        )
    return section


def models(study: Study) -> Section:
    """Smoothness and symmetry of every model, once."""
    section = Section(
        "models",
        "The models themselves",
        "Dimers pulled apart and atoms pushed along a line, where force and energy must belong to "
        "each other, and errors under rotation, translation and permutation. Lone dimers are not "
        "in most training data: their curves show smoothness, not accuracy.",
        short="Models",
    )
    checked: dict[object, Simulation] = {}
    for one in study.simulations:
        if "dimer/pairs" in one.curves:
            pairs = tuple(one.curves["dimer/pairs"].tolist())
            checked.setdefault((one.run.record.get("model_sha256"), pairs), one)
    measures = (
        ("rotation_error", "Rotation", "meV/Å"),
        ("translation_error", "Translation", "meV/Å"),
        ("permutation_error", "Permutation", "meV/Å"),
        ("invariance_error", "Energy", "meV/atom"),
    )

    def label(one: Simulation) -> str:
        return f"{Path(one.run.record.get('model') or '?').name} ({one.name})"

    caption = "Largest errors under symmetries, of the model on the first frame of a run."
    wide_table(section, checked.values(), measures, ("symmetry", caption), label)
    kinds = ("force_energy_mismatch", "force_jump", "force_flips", "tortuosity")
    rows = [
        [
            text_cell(label(one)),
            text_cell(_species(key).replace("-", "–")),
            *(metric_cell(one.metrics.get(f"{kind}[{_species(key)}]")) for kind in kinds),
        ]
        for one in checked.values()
        for key in _matching([one], kinds[0])
    ]
    if rows:
        columns = [
            Column("Model", numeric=False),
            Column("Line", numeric=False),
            Column("|F + dE/dx| / rms F"),
            Column("Largest step of F / median"),
            Column("Sign changes of F"),
            Column("Variation / range of E"),
        ]
        section.details.append(
            Table("smoothness", "Smoothness along dimers and a line.", columns, rows)
        )
    if checked:
        section.drawings.append(
            Drawing(
                "dimers",
                "Energy of two lone atoms about its value at the largest distance.",
                lambda palette: order_figures.dimers(list(checked.values()), label, palette),
            )
        )
    return section
