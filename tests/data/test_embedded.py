# SPDX-License-Identifier: GPL-2.0-or-later
"""The shipped files are what their manifest says, and right."""

import re
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from ase import units

from egraff.data import (
    check_overlap,
    dataset_identity,
    embedded,
    energy_force_slope,
    fit_reference_energies,
    list_embedded,
    read_frames,
    read_images,
    reference_energies_from_atoms,
    validate_frames,
)
from egraff.data.generate.protocols import PROTOCOLS
from egraff.data.generate.sampling import xtb_calculator
from egraff.errors import InputError
from egraff.files import sha256

ELEMENTS = {"molecule": ["C", "H", "O"], "crystal": ["Na", "Cl"]}
HOT = {"molecule": "test_600K", "crystal": "test_1000K"}
SETS = sorted(ELEMENTS)


@cache
def frames_of(name, split):
    return read_frames(embedded(name, split))


def test_both_sets_are_there_and_small():
    assert sorted(list_embedded()) == SETS
    sizes = [file["bytes"] for m in list_embedded().values() for file in m["files"].values()]
    assert sum(sizes) < 3e6


@pytest.mark.parametrize("name", SETS)
def test_files_match_the_manifest(name):
    files = list_embedded()[name]["files"]
    expected = {"train", "val", "test", HOT[name], "trajectory", "isolated_atoms"}
    assert set(files) == expected
    for split, entry in files.items():
        path = embedded(name, split)
        assert sha256(path) == entry["sha256"]
        assert path.stat().st_size == entry["bytes"]
        frames = frames_of(name, split)
        assert len(frames) == entry["n_frames"]
        assert {len(frame) for frame in frames} == {entry["n_atoms_per_frame"]}
        if split != "isolated_atoms":
            assert {f.info["temperature_K"] for f in frames} == {entry["run"]["temperature_K"]}
            assert np.mean([f.energy for f in frames]) == pytest.approx(entry["energy_mean_eV"])


@pytest.mark.parametrize("name", SETS)
def test_the_manifest_is_of_the_protocol_in_the_code(name):
    manifest, protocol = list_embedded()[name], PROTOCOLS[name]
    assert manifest["method"] == protocol.method
    assert manifest["program"].startswith("tblite ")
    for run in protocol.runs:
        entry = manifest["files"][run.split]
        assert entry["n_frames"] == run.n_frames
        assert entry["run"]["seed"] == run.seed
        assert entry["run"]["temperature_K"] == run.temperature_K
    seeds = [run.seed for p in PROTOCOLS.values() for run in p.runs]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("name", SETS)
def test_frames_pass_validation_and_splits_do_not_overlap(name):
    train = frames_of(name, "train")
    require = ("energy", "forces", "stress") if name == "crystal" else ("energy", "forces")
    for split in ("train", "val", "test", HOT[name], "trajectory"):
        frames = frames_of(name, split)
        assert validate_frames(frames, elements=ELEMENTS[name], require=require) == []
        if split != "train":
            assert check_overlap(train, frames, name=split) == []


@pytest.mark.parametrize("name", SETS)
def test_forces_are_the_derivative_of_the_energy_along_the_trajectory(name):
    frames = frames_of(name, "trajectory")
    fine = energy_force_slope(frames)
    assert fine.n_pairs == len(frames) - 1
    assert fine.slope == pytest.approx(1.0, abs=0.02)
    assert fine.correlation > 0.995
    # the error of the trapezoidal rule goes with the square of the spacing: extrapolate to none
    coarse = energy_force_slope(frames[::2], max_displacement=1.0)
    assert (4 * fine.slope - coarse.slope) / 3 == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("name", SETS)
def test_the_trajectory_is_in_time_and_at_its_temperature(name):
    images = read_images(embedded(name, "trajectory"))
    run = list_embedded()[name]["files"]["trajectory"]["run"]
    times = np.array([atoms.info["time_fs"] for atoms in images])
    np.testing.assert_allclose(np.diff(times), run["time_between_frames_fs"])
    assert times[0] == 0.0
    # velocities belong to the positions: x(t + dt) - x(t) = (v(t) + v(t + dt)) dt / 2
    step = np.array([b.positions - a.positions for a, b in pairwise(images)])
    velocity = np.array([atoms.get_velocities() for atoms in images]) * units.fs
    travelled = (velocity[1:] + velocity[:-1]) / 2 * run["time_between_frames_fs"]
    assert np.sqrt(np.mean((step - travelled) ** 2)) < 0.15 * np.sqrt(np.mean(step**2))
    degrees = 3 * len(images[0]) - 3
    kinetic = [2 * atoms.get_kinetic_energy() / (degrees * units.kB) for atoms in images]
    target = run["temperature_K"]
    # Fluctuations of the kinetic energy that outlast the exchange with the potential energy die
    # out with the friction; about half of the variance 2/degrees is of this slow kind.
    duration = times[-1] * run["friction_per_fs"]
    error = target * np.sqrt(1.0 / degrees / (duration / 2))
    assert np.mean(kinetic) == pytest.approx(target, abs=4 * error)


@pytest.mark.parametrize("name", SETS)
def test_hot_frames_are_hotter(name):
    # equipartition: the mean potential energy of nearly harmonic atoms is 3/2 kT above the minimum
    def mean(split):
        return np.mean([frame.energy / len(frame) for frame in frames_of(name, split)])

    files = list_embedded()[name]["files"]
    rise = files[HOT[name]]["run"]["temperature_K"] - files["train"]["run"]["temperature_K"]
    modes = 1.5 if name == "crystal" else (3 * 9 - 6) / 9 / 2
    assert mean(HOT[name]) - mean("train") == pytest.approx(modes * units.kB * rise, rel=0.3)


@pytest.mark.parametrize("name", SETS)
def test_labels_come_out_again(name):
    protocol = PROTOCOLS[name]
    frames = frames_of(name, "test")[:: 60 if name == "molecule" else 40]
    for frame in frames:
        atoms = frame.to_atoms()
        atoms.calc = xtb_calculator(protocol.method, accuracy=protocol.accuracy)
        assert atoms.get_potential_energy() == pytest.approx(frame.energy, abs=1e-6)
        np.testing.assert_allclose(atoms.get_forces(), frame.forces, atol=5e-6)
        if frame.stress is not None:
            np.testing.assert_allclose(atoms.get_stress(voigt=False), frame.stress, atol=1e-8)


def test_forces_of_the_molecule_are_finite_differences_of_its_energy():
    frame = frames_of("molecule", "test")[7]
    atoms = frame.to_atoms()
    atoms.calc = xtb_calculator("GFN2-xTB", accuracy=0.01)
    step = 1e-3
    for atom, axis in ((0, 0), (2, 1), (8, 2)):
        energies = []
        for sign in (1, -1):
            atoms.positions = frame.positions
            atoms.positions[atom, axis] += sign * step
            energies.append(atoms.get_potential_energy())
        difference = -(energies[0] - energies[1]) / (2 * step)
        assert difference == pytest.approx(frame.forces[atom, axis], abs=1e-4)


@pytest.mark.slow
def test_stress_of_the_crystal_is_the_derivative_of_its_energy_by_strain():
    frame = frames_of("crystal", "test")[0]
    volume = np.linalg.det(frame.cell)
    step = 2e-3
    for a, b in ((0, 0), (0, 1)):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * step / 2
            strain[b, a] += sign * step / 2
            atoms = frame.to_atoms()
            atoms.calc = xtb_calculator("GFN1-xTB", accuracy=0.1)
            atoms.set_cell(frame.cell @ strain, scale_atoms=True)
            energies.append(atoms.get_potential_energy())
        # a diagonal strain component is 1 + step, an off-diagonal pair is two of step/2
        stress = (energies[0] - energies[1]) / (2 * step) / volume
        assert stress == pytest.approx(frame.stress[a, b], abs=2e-6)


@pytest.mark.parametrize("name", SETS)
def test_isolated_atoms_lie_above_the_bound_system(name):
    atoms = reference_energies_from_atoms(embedded(name, "isolated_atoms"), elements=ELEMENTS[name])
    frame = frames_of(name, "train")[0]
    bound = sum(atoms[symbol] for symbol in frame.symbols) - frame.energy
    assert 2.0 < bound / len(frame) < 8.0  # eV per atom; ethanol has 3.7 in experiment
    fitted = fit_reference_energies([frame], ELEMENTS[name])
    assert sum(fitted[symbol] for symbol in frame.symbols) == pytest.approx(frame.energy)


def test_unknown_names_list_what_there_is():
    with pytest.raises(InputError, match=r"no embedded data set 'water'\n.*crystal, molecule"):
        embedded("water", "train")
    text = "the embedded data set molecule has no split 'hot'"
    with pytest.raises(InputError, match=re.escape(text)):
        embedded("molecule", "hot")


def test_identity_of_files():
    paths = [embedded("molecule", "train"), embedded("molecule", "val")]
    identity = dataset_identity(paths)
    assert identity["n_frames"] == 350
    assert [file["name"] for file in identity["files"]] == ["train.xyz.gz", "val.xyz.gz"]
    assert identity["files"][0]["sha256"] == sha256(paths[0])
    assert identity["files"][1]["n_frames"] == 50
