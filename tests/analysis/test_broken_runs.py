# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs that broke, were stopped, or are no bulk: they are analysed as far as they can be."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import fcc111, molecule

from egraff.analysis.angles import AngleDistribution
from egraff.analysis.conservation import Conservation
from egraff.analysis.pipeline import CURVES
from egraff.analysis.rdf import RadialDistribution
from egraff.analysis.reference import read_reference
from egraff.analysis.runs import read_run
from egraff.analysis.trajectory.frames import default_r_max, frames_universe
from egraff.errors import InputError
from tests.analysis.dumps import frame_text, write_run
from tests.analysis.runs import CELL, analyse_run, atoms_moving, make_run, result_of, run_of
from tests.analysis.systems import with_data

WATER = molecule("H2O")


def shaking(atoms, n_frames=12, seed=0):
    """Copies of a structure with noise."""
    random = np.random.default_rng(seed)
    for _ in range(n_frames):
        moved = atoms.copy()
        moved.positions += random.normal(scale=0.03, size=moved.positions.shape)
        yield moved


def test_positions_that_are_no_numbers_end_the_run_and_not_the_analysis(tmp_path):
    frames = [atoms.positions for atoms in atoms_moving(3, 4)]
    frames[2][1, 0] = np.nan
    texts = [frame_text(10 * i, positions, CELL) for i, positions in enumerate(frames)]
    run = write_run(tmp_path / "run", texts, n_atoms=8)
    analyse_run(read_run(run))
    content, metrics = result_of(run)
    assert [violation["criterion"] for violation in content["violations"]] == ["not-finite"]
    assert metrics["stability_time"].value == pytest.approx(0.04)
    # what was healthy is analysed
    assert (
        "stability: means and structure are of the run before 0.04 ps, when it came apart "
        "(not-finite)"
    ) in content["problems"]
    with np.load(run / CURVES) as curves:
        assert str(curves["rdf/provenance"]) == "dump.lammpstrj: 2 of 4 frames, from 0 ps"


@pytest.mark.parametrize("what", ["velocities", "forces"])
def test_velocities_and_forces_that_are_no_numbers_are_said(what):
    values = np.ones((2, 3, 3))
    values[1, 2] = np.inf
    data = {"velocities": np.ones((2, 3, 3)), what: values}
    universe = with_data(frames_universe([WATER, WATER]), **data)
    with pytest.raises(InputError, match=rf"frame 1: expected finite {what}, got inf, inf, inf"):
        Conservation(universe.atoms).run()


@pytest.mark.parametrize("distance", [1e4, 1e7, 1e12])
def test_an_atom_that_flew_off_is_told_of(tmp_path, distance):
    frames = list(shaking(WATER))
    frames[8].positions[1, 0] += distance
    run = run_of(tmp_path / "run", frames)
    analyse_run(read_run(run))
    content, _ = result_of(run)
    (violation,) = content["violations"]
    assert (violation["criterion"], violation["frame"]) == ("bond-break", 8)
    with np.load(run / CURVES) as curves:
        assert curves["rdf/g"].any()


def test_atoms_in_one_place_have_no_angle():
    atoms = Atoms("Ar4", positions=[[0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 1, 0]])
    counts = AngleDistribution(frames_universe([atoms]).atoms, cutoff=1.2).run().results.counts
    # at each of the first two 90 degrees; at each of the others the two above in one direction
    assert counts.sum() == 4
    assert counts[0, 0, 90] == 2
    assert counts[0, 0, 0] == 2


@pytest.mark.parametrize("status", ["interrupted", "running"])
def test_a_run_that_was_stopped_did_not_break(tmp_path, status):
    run = make_run(tmp_path / "run", status=status)
    analyse_run(read_run(run))
    content, metrics = result_of(run)
    assert content["violations"] == []
    assert "a lower bound" in metrics["stability_time"].note
    assert not read_run(run).failed


def slab():
    return fcc111("Cu", (3, 3, 3), a=3.6, vacuum=8.0)


@pytest.mark.parametrize("third", [True, False], ids=["cell", "no third vector"])
def test_a_slab_is_compared(tmp_path, third):
    frames = list(shaking(slab(), seed=1))
    others = list(shaking(slab(), seed=2))
    for frame in others:
        frame.pbc = [True, True, False]
        if not third:
            frame.cell[2] = 0.0
    ase.io.write(tmp_path / "reference.xyz", others)
    texts = [
        frame_text(
            10 * i,
            frame.positions,
            np.array(frame.cell),
            elements=["Cu"] * len(frame),
            boundary="pp pp ff",
        )
        for i, frame in enumerate(frames)
    ]
    record = {"elements": ["Cu"], "n_atoms": len(slab()), "pbc": [True, True, False]}
    run = write_run(tmp_path / "run", texts, **record)
    analyse_run(read_run(run), reference=read_reference(tmp_path / "reference.xyz"))
    content, metrics = result_of(run)
    assert not any(problem.startswith("structure") for problem in content["problems"])
    assert 0.0 <= metrics["jensen_shannon[Cu-Cu]"].value < 0.05
    assert metrics["wasserstein[Cu-Cu]"].value < 0.1


def test_range_of_a_slab_is_that_of_its_lattice():
    frame = slab()
    # its lattice is 3 x 3 of nearest neighbours, 2.55 A apart
    assert default_r_max([frame], 0.05) == pytest.approx(5.0)
    wide = slab().repeat((2, 2, 1))
    assert default_r_max([wide], 0.05) == pytest.approx(3.0 * 3.6 / np.sqrt(2), abs=0.05)
    results = RadialDistribution(frames_universe([frame]).atoms, r_max=9.0).run().results
    assert not results.periodic
    assert results.counts[0, -1].sum() > len(frame) * (len(frame) - 1) / 2
    assert results.beyond.tolist() == [[0.0, 0.0]]


def test_a_reference_of_one_frame_has_no_noise_floor(tmp_path):
    ase.io.write(tmp_path / "reference.xyz", atoms_moving(9, 1))
    run = make_run(tmp_path / "run")
    analyse_run(read_run(run), reference=read_reference(tmp_path / "reference.xyz"))
    content, metrics = result_of(run)
    assert metrics["wright_factor[total]"].value > 0.0
    assert any(
        "structure: noise floor left out: reference.xyz" in problem
        and "expected at least 2 frames to compare halves, got 1" in problem
        for problem in content["problems"]
    )
    assert not any("noise_floor" in name for name in metrics)
