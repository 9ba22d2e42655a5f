# SPDX-License-Identifier: GPL-2.0-or-later
"""Which runs are of one system, and a figure for each of them."""

from pathlib import Path

from matplotlib.figure import Figure

from egraff.analysis.runs import Run
from egraff.report.collect import Simulation
from egraff.report.parts import Section
from egraff.report.style import PRINT
from egraff.report.systems import draw_each, systems


def run(name, structure, reference=None, elements=("Li", "F"), n_atoms=64):
    record = {"structure_sha256": structure, "elements": list(elements), "n_atoms": n_atoms}
    return Simulation(name, Run(Path(name), record), reference_sha256=reference)


def names(found):
    return [[one.name for one in system.simulations] for system in found]


def test_systems_are_told_apart_by_structure():
    runs = [run("a", "salt"), run("b", "ethanol", elements=("C", "H", "O"), n_atoms=9)]
    found = systems([*runs, run("c", "salt")])
    assert names(found) == [["a", "c"], ["b"]]
    assert [system.name for system in found] == ["Li, F; 64 atoms", "C, H, O; 9 atoms"]


def test_one_reference_is_one_system_and_joins_runs_without_it():
    # c was not compared, but began where b did; a and b share the reference
    runs = [run("c", "late"), run("a", "early", "r"), run("x", "other"), run("b", "late", "r")]
    assert names(systems(runs)) == [["c", "a", "b"], ["x"]]


def test_every_system_has_a_figure_of_its_own():
    drawn = []

    def draw(simulations, palette):
        drawn.append([one.name for one in simulations])
        return Figure()

    section = Section("s", "S")
    draw_each(section, [run("a", "1"), run("b", "2"), run("c", "1")], "energy", "Energy.", draw)
    assert [drawing.name for drawing in section.drawings] == ["energy-1", "energy-2"]
    assert section.drawings[0].caption == "Li, F; 64 atoms: energy."
    for drawing in section.drawings:
        drawing.draw(PRINT)
    assert drawn == [["a", "c"], ["b"]]


def test_a_single_system_needs_no_name():
    section = Section("s", "S")
    draw_each(section, [run("a", "1")], "energy", "Energy.", lambda simulations, palette: Figure())
    assert section.drawings[0].caption == "Energy."
