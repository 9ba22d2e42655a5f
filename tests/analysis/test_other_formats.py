# SPDX-License-Identifier: GPL-2.0-or-later
"""The analyses on DCD, XTC and extended XYZ: the same numbers as on the frames themselves."""

import ase.io
import MDAnalysis
import numpy as np
import pytest

from egraff.analysis.angles import AngleDistribution
from egraff.analysis.bonds import BondLengths
from egraff.analysis.diffusion import MeanSquareDisplacement
from egraff.analysis.rdf import RadialDistribution
from egraff.analysis.trajectory.frames import frames_universe
from egraff.data.frames import read_frames
from tests.analysis.systems import ideal_gas

N_FRAMES = 20


@pytest.fixture(scope="module")
def frames():
    made = ideal_gas(N_FRAMES, 40, 11.0, elements=["O", "H"] * 20)
    for index, frame in enumerate(made):
        frame.info["time_ps"] = 0.5 * index
        frame.set_cell([[11.0, 0, 0], [1.5, 11.0, 0], [0, 0, 12.0]])
        # coarser than any of the formats keeps them, so that no pair changes its bin by rounding
        frame.positions = np.round(frame.positions, 2) + 0.0
    return made


@pytest.fixture(params=["dcd", "xtc", "xyz"])
def universe(request, frames, tmp_path):
    own = frames_universe(frames)
    path = tmp_path / f"trajectory.{request.param}"
    if request.param == "xyz":
        ase.io.write(path, frames)
        return frames_universe([frame.to_atoms() for frame in read_frames(path)])
    with MDAnalysis.Writer(str(path), len(own.atoms), dt=0.5) as writer:
        for _ in own.trajectory:
            writer.write(own.atoms)
    opened = frames_universe(frames[:1])  # what atoms there are, as a topology file would say
    opened.load_new(str(path))
    return opened


def test_frames_and_times(universe, frames):
    assert len(universe.trajectory) == N_FRAMES
    times = [ts.time for ts in universe.trajectory]
    np.testing.assert_allclose(times, 0.5 * np.arange(N_FRAMES), rtol=1e-5)
    np.testing.assert_allclose(universe.atoms.positions, frames[0].positions, atol=1e-3)


def test_same_structure(universe, frames):
    def g(atoms):
        return RadialDistribution(atoms, r_max=8.0, bin_width=0.5).run().results

    own, read = g(frames_universe(frames).atoms), g(universe.atoms)
    # rounding may move a few of some 10,000 pairs to the bin beside
    np.testing.assert_allclose(read.counts.sum(axis=0), own.counts.sum(axis=0), atol=4)
    np.testing.assert_allclose(read.volume, own.volume, rtol=1e-5)


def test_same_angles_bonds_and_displacements(universe, frames):
    own = frames_universe(frames)
    bonds = np.array([[0, 1], [2, 3]])
    angles, lengths, msd = (
        [make(atoms).run().results for atoms in (own.atoms, universe.atoms)]
        for make in (
            lambda atoms: AngleDistribution(atoms, cutoff=3.017),
            lambda atoms: BondLengths(atoms, bonds=bonds),
            lambda atoms: MeanSquareDisplacement(atoms),
        )
    )
    total = [result.counts.sum(axis=(0, 2)) for result in angles]
    np.testing.assert_allclose(total[0], total[1], atol=2)
    np.testing.assert_allclose(lengths[0].lengths, lengths[1].lengths, atol=5e-3)
    np.testing.assert_allclose(msd[0].msd, msd[1].msd, rtol=1e-3, atol=1e-2)
