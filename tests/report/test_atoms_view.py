# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames for the rotatable view."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from egraff.analysis.runs import read_run
from egraff.report import atoms_view
from egraff.report.collect import Simulation, Study
from tests.analysis.dumps import write_run


@pytest.fixture
def study(tmp_path):
    run = write_run(tmp_path / "run", [])
    (run / "analysis").mkdir()
    broken = molecule("CH3CH2OH")
    broken.positions[2, 0] = np.nan
    crystal = Atoms("Ar2", positions=[[0, 0, 0], [1, 2, 3]], cell=[4, 5, 6], pbc=True)
    ase.io.write(run / "analysis" / "final_frame.xyz", crystal)
    ase.io.write(run / "analysis" / "first_bad_frame.xyz", broken)
    return Study(tmp_path, simulations=[Simulation("run", read_run(run))])


def test_bad_frames_come_first(study):
    frames, left_out = atoms_view.frames_of(study)
    assert [frame["label"] for frame in frames] == ["run: first bad frame", "run: final frame"]
    assert left_out == []
    # the atom without a position is left out, and a molecule has no box
    assert frames[0]["xyz"].startswith("8\n")
    assert frames[0]["edges"] == []
    assert frames[1]["xyz"] == "2\n\nAr 0.0000 0.0000 0.0000\nAr 1.0000 2.0000 3.0000"


def test_edges_of_a_cell(study):
    cell = np.array([[4.0, 0, 0], [1.0, 5.0, 0], [0, 0, 6.0]])
    edges = np.array(atoms_view.cell_edges(cell))
    assert edges.shape == (12, 2, 3)
    vectors = edges[:, 1] - edges[:, 0]
    for row in cell:
        assert np.sum(np.all(np.isclose(vectors, row), axis=1)) == 4


def test_what_is_too_much_is_said(study, monkeypatch):
    monkeypatch.setattr(atoms_view, "MOST_ATOMS", 5)
    frames, left_out = atoms_view.frames_of(study)
    assert [frame["label"] for frame in frames] == ["run: final frame"]
    assert left_out == ["run: first bad frame has 9 atoms, more than 5."]
    monkeypatch.setattr(atoms_view, "MOST_FRAMES", 0)
    assert atoms_view.frames_of(study)[1][-1] == "Not shown: 1 more, of 1 frames."
