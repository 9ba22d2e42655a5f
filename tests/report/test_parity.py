# SPDX-License-Identifier: GPL-2.0-or-later
"""Parity plots: every component once, by element."""

from pathlib import Path

import numpy as np

from egraff.analysis.runs import Run
from egraff.report.collect import Simulation, collect
from egraff.report.parity_figures import parity
from egraff.report.style import PAGE, rc, to_svg


def replayed(**more):
    random = np.random.default_rng(3)
    forces = random.normal(size=(5, 9))
    curves = {
        "replay/energy": random.normal(size=5),
        "replay/energy_ref": random.normal(size=5),
        "replay/forces": forces,
        "replay/forces_ref": forces + 0.1 * random.normal(size=(5, 9)),
    }
    return Simulation("r", Run(Path("r"), {}), curves=curves | more)


def counts(panel):
    return int(panel.collections[0].get_array().sum())


def test_each_element_has_a_panel_with_all_its_components():
    # the atoms may stand in another order in another frame
    elements = np.array([["O", "H", "H"]] * 4 + [["H", "O", "H"]])
    panels = parity(replayed(**{"replay/elements": elements}), PAGE).axes
    assert [panel.get_title(loc="left") or panel.get_title() for panel in panels] == [
        "energy",
        "forces on H",
        "forces on O",
    ]
    assert [counts(panel) for panel in panels[1:]] == [5 * 2 * 3, 5 * 1 * 3]


def test_an_older_analysis_that_names_no_elements():
    panels = parity(replayed(), PAGE).axes
    assert counts(panels[1]) == 5 * 9


def test_densities_follow_the_theme():
    with rc(PAGE):
        svg = to_svg(parity(replayed(), PAGE), "parity")
    assert "#0101" not in svg
    assert "fill: var(--series-2); fill-opacity" in svg


def test_the_analysis_names_the_elements(study):
    (first,) = (one for one in collect(study).simulations if one.name == "runs/first")
    elements = first.curves["replay/elements"]
    assert elements.size * 3 == first.curves["replay/forces"].size
    assert set(elements.ravel()) == {"Ar"}
