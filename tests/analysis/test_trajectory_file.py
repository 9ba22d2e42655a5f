# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff analyse`` on extended XYZ, DCD and XTC: the numbers of the dump, and what is missing."""

import json

import ase.io
import MDAnalysis
import numpy as np
import pytest
from ase import Atoms
from typer.testing import CliRunner

from egraff.analysis.metric import Metric
from egraff.analysis.parameters import Parameters
from egraff.analysis.pipeline import CURVES, RESULT
from egraff.analysis.runs import read_run
from egraff.analysis.sources import GivenOptions, runs_at
from egraff.analysis.trajectory.formats import (
    run_of_trajectory,
    trajectory_universe,
    unwrapped,
)
from egraff.analysis.trajectory.frames import frames_universe
from egraff.cli import app
from egraff.data.lammps.elements import GIVE_ELEMENTS
from egraff.errors import InputError
from tests.analysis.dumps import frame_text, write_run
from tests.analysis.runs import analyse_run

LENGTH, N_FRAMES, INTERVAL_PS = 12.0, 80, 0.02
CELL = np.diag([LENGTH] * 3)
#: Coordinates are multiples of 0.01 A, which every format keeps; no distance between such atoms is
#: on an edge of these bins, where rounding would choose the bin.
BIN_WIDTH = 0.053717


@pytest.fixture(scope="module")
def frames():
    """Brownian atoms of two elements that cross the boundaries of their box."""
    random = np.random.default_rng(3)
    sites = np.array([[x, y, z] for x in (1, 7) for y in (1, 7) for z in (1, 7)], float)
    walk = sites + np.cumsum(random.normal(scale=0.1, size=(N_FRAMES, 8, 3)), axis=0)
    made = []
    for index, positions in enumerate(walk):
        atoms = Atoms("ArNe" * 4, positions=np.round(positions, 2), cell=CELL, pbc=True)
        atoms.wrap()
        atoms.info["time_ps"] = INTERVAL_PS * index
        made.append(atoms)
    return made


def write(path, frames):
    """The frames in the format of the suffix."""
    if path.suffix == ".extxyz":
        ase.io.write(path, frames)
        return path
    atoms = frames_universe(frames).atoms
    with MDAnalysis.Writer(str(path), len(atoms), dt=INTERVAL_PS) as writer:
        for _ in atoms.universe.trajectory:
            writer.write(atoms)
    return path


def results(directory):
    content = json.loads((directory / RESULT).read_text())
    with np.load(directory / CURVES) as curves:
        return content, {m["name"]: Metric.from_dict(m) for m in content["metrics"]}, dict(curves)


@pytest.fixture(scope="module")
def of_dump(frames, tmp_path_factory):
    """Results of the same frames in a LAMMPS dump with image flags."""
    followed = unwrapped(frames, where="test")
    texts = []
    for index, (frame, whole) in enumerate(zip(frames, followed, strict=True)):
        images = np.round((whole.positions - frame.positions) / LENGTH).astype(int)
        extra = dict(zip(("ix", "iy", "iz"), images.T, strict=True))
        symbols = frame.get_chemical_symbols()
        texts.append(frame_text(10 * index, frame.positions, CELL, elements=symbols, extra=extra))
    run = write_run(
        tmp_path_factory.mktemp("dump") / "run", texts, n_atoms=8, elements=["Ar", "Ne"]
    )
    analyse_run(read_run(run), parameters=Parameters(bin_width=BIN_WIDTH))
    return results(run)


@pytest.mark.parametrize("suffix", [".extxyz", ".dcd", ".xtc"])
def test_same_numbers_as_of_the_dump(suffix, frames, of_dump, tmp_path):
    path = write(tmp_path / f"water{suffix}", frames)
    options = ["--no-replay", "--no-model-checks", "--bin-width", str(BIN_WIDTH)]
    arguments = ["analyse", str(path), *options]
    if suffix != ".extxyz":
        ase.io.write(tmp_path / "start.data", frames[0], format="lammps-data", masses=True)
        arguments += ["--structure", str(tmp_path / "start.data")]
    if suffix == ".dcd":
        arguments += ["--interval", str(INTERVAL_PS)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    _, metrics, curves = results(tmp_path / "water")
    _, expected, expected_curves = of_dump
    np.testing.assert_allclose(curves["rdf/g"], expected_curves["rdf/g"], rtol=1e-5, atol=1e-9)
    # one and a half ps are too short for a diffusion coefficient, in every format
    assert metrics["diffusion[Ar]"].note == expected["diffusion[Ar]"].note
    np.testing.assert_allclose(curves["msd/msd"], expected_curves["msd/msd"], rtol=1e-3, atol=1e-6)
    for name in ("density", "stability_time"):
        assert expected[name].value is not None, expected[name].note
        assert metrics[name].value == pytest.approx(expected[name].value, rel=1e-3), name
    assert metrics["stability_time"].value == pytest.approx(INTERVAL_PS * (N_FRAMES - 1))
    final = ase.io.read(tmp_path / "water" / "analysis" / "final_frame.xyz")
    np.testing.assert_allclose(final.positions, frames[-1].positions, atol=1e-3)
    assert final.get_chemical_symbols() == frames[0].get_chemical_symbols()
    again = CliRunner().invoke(app, ["analyse", str(tmp_path), *options])
    assert "up to date" in again.output, again.output


def test_first_bad_frame_of_a_trajectory(frames, tmp_path):
    bad = frames[3].copy()
    bad.positions[1] = bad.positions[0] + 0.2
    analyse_run(run_of_trajectory(write(tmp_path / "a.extxyz", [*frames[:3], bad])))
    content, metrics, _ = results(tmp_path / "a")
    assert content["violations"][0]["criterion"] == "minimum-distance"
    assert metrics["stability_time"].value == pytest.approx(3 * INTERVAL_PS)
    saved = ase.io.read(tmp_path / "a" / "analysis" / "first_bad_frame.xyz")
    np.testing.assert_allclose(saved.positions, bad.positions, atol=1e-7)


@pytest.mark.parametrize("where", [np.nan, 1e8])
def test_a_trajectory_that_broke_is_analysed_not_refused(frames, tmp_path, where):
    """Frames to learn from would be refused for such a position."""
    bad = frames[3].copy()
    bad.positions[1] = where
    run = run_of_trajectory(write(tmp_path / "a.extxyz", [*frames[:3], bad]))
    analyse_run(run)
    content, _, _ = results(tmp_path / "a")
    assert bool(content["violations"]) == bool(np.isnan(where))


def test_directory_of_trajectories(frames, tmp_path):
    for name in ("one.dcd", "two.dcd"):
        write(tmp_path / name, frames[:3])
    start = write(tmp_path / "start.extxyz", frames[:1])
    given = GivenOptions(structure=start, interval_ps=0.5)
    runs = runs_at(tmp_path, given)
    assert [run.dump.resolve().name for run in runs] == ["one.dcd", "two.dcd"]
    assert [run.directory for run in runs_at(tmp_path)] == [run.directory for run in runs]
    for given, option in (
        (GivenOptions(structure=start), "--structure"),
        (GivenOptions(interval_ps=1), "--int"),
    ):
        with pytest.raises(InputError, match=f"{option}.*: not allowed with a directory"):
            runs_at(tmp_path, given)


def test_boundaries_are_followed_in_a_tilted_cell():
    cell = np.array([[10.0, 0, 0], [4.0, 9.0, 0], [-3.0, 2.0, 8.0]])
    path = np.cumsum(np.random.default_rng(1).normal(scale=0.5, size=(200, 3, 3)), axis=0)
    wrapped = [Atoms("Ar3", positions=positions, cell=cell, pbc=True) for positions in path]
    for frame in wrapped:
        frame.wrap()
    found = np.array([frame.positions for frame in unwrapped(wrapped, where="test")])
    np.testing.assert_allclose(found - found[0], path - path[0], atol=1e-9)


def test_steps_too_long_to_be_followed():
    frames = [Atoms("Ar", positions=[[x, 0, 0]], cell=CELL, pbc=True) for x in (0.0, 5.4)]
    with pytest.raises(InputError) as caught:
        unwrapped(frames, where="far.xtc")
    assert str(caught.value) == (
        "far.xtc: frame 1: expected atoms to move less than 0.4 of the cell between frames, got "
        "0.45\n  fix: write frames more often, or a LAMMPS dump with image flags ix iy iz"
    )


@pytest.fixture
def refused(tmp_path):
    def message(name, frames, **options):
        path = tmp_path / name
        if frames:
            write(path, frames)
        with pytest.raises(InputError) as caught:
            run_of_trajectory(path, **options)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return message


def test_elements_are_missing(refused, frames):
    assert refused("a.xtc", frames[:2]) == (
        "a.xtc: expected a structure file that names the elements, got none: .xtc has none\n"
        "  fix: give --structure with the same atoms in the same order"
    )


def test_masses_are_missing_from_the_data_file(refused, frames, tmp_path):
    start = tmp_path / "start.data"
    ase.io.write(start, frames[0], format="lammps-data")
    assert refused("a.xtc", frames[:2], structure=start) == (
        "start.data: Masses: expected the elements of types, got none of 1, 2\n"
        f"  fix: {GIVE_ELEMENTS}"
    )
    message = refused("a.xtc", frames[:2], structure=tmp_path / "gone.data")
    assert message.startswith("gone.data: expected a file with structures, found nothing")


@pytest.mark.parametrize("name", ["a.dcd", "a.extxyz"])
def test_times_are_missing(refused, frames, tmp_path, name):
    plain = [frame.copy() for frame in frames[:2]]
    start = write(tmp_path / "start.extxyz", plain[:1])
    for frame in plain:
        del frame.info["time_ps"]
    assert refused(name, plain, structure=start) == (
        f"{name}: expected the time between frames, got none: the file does not say it reliably\n"
        "  fix: give --interval with the time between frames in ps"
    )
    assert refused(name, plain, structure=start, interval_ps=-1.0) == (
        "interval: expected a time above 0 ps, got -1.0"
    )


def test_cell_is_missing(refused, frames, tmp_path):
    start = write(tmp_path / "start.extxyz", frames[:1])
    bare = [Atoms(frame.symbols, positions=frame.positions) for frame in frames[:2]]
    assert refused("a.xtc", bare, structure=start, interval_ps=1.0) == (
        "a.xtc: frame 0: expected a cell, as the atoms are periodic, got none\n"
        "  fix: write the cell with the trajectory, or give a structure that is not periodic"
    )


def test_atoms_do_not_match_the_structure(refused, frames, tmp_path):
    start = write(tmp_path / "start.extxyz", [frames[0][:5]])
    message = refused("a.xtc", frames[:2], structure=start)
    assert message.startswith("a.xtc: cannot be read: ")
    assert message.endswith("fix: check that it is whole and has the 5 atoms of start.extxyz")


@pytest.mark.parametrize("n_atoms", [8, 11])  # XTC stores up to 9 atoms another way
@pytest.mark.parametrize("suffix", [".dcd", ".xtc"])
def test_whole_frames_of_a_trajectory_cut_short_are_kept(suffix, n_atoms, frames, tmp_path):
    frames = [frame + Atoms("Ar3", [[4, 4, z] for z in (2, 5, 8)]) for frame in frames[:6]]
    frames = [frame[:n_atoms] for frame in frames]
    start = write(tmp_path / "start.extxyz", frames[:1])
    path = write(tmp_path / f"a{suffix}", frames)
    whole, five = path.read_bytes(), write(tmp_path / f"five{suffix}", frames[:5]).stat().st_size
    run = run_of_trajectory(path, structure=start, interval_ps=1.0)
    assert trajectory_universe(run).trajectory.problems == ()
    path.write_bytes(whole[:-50])
    run = run_of_trajectory(path, structure=start, interval_ps=1.0)
    kept = trajectory_universe(run)
    assert len(kept.trajectory) == 5
    kept.trajectory[-1]
    np.testing.assert_allclose(kept.atoms.positions, frames[-2].positions, atol=1e-3)
    left = len(whole) - 50 - five
    told = f"frame 5 left out: {left} bytes after the last whole frame ({run.dump})"
    analyse_run(run)
    content, _, _ = results(tmp_path / "a")
    assert f"trajectory: {told}" in content["problems"]
    # the log of another program is not expected
    assert not any(problem.startswith("thermo") for problem in content["problems"])


@pytest.mark.parametrize("suffix", [".dcd", ".xtc"])
def test_trajectory_of_no_whole_frame(suffix, refused, frames, tmp_path):
    start = write(tmp_path / "start.extxyz", frames[:1])
    path = write(tmp_path / f"a{suffix}", frames)
    path.write_bytes(path.read_bytes()[:60])
    message = refused(path.name, None, structure=start, interval_ps=1.0)
    assert message.startswith(f"{path.name}: cannot be read: ")
    assert message.endswith("fix: check that it is whole and has the 8 atoms of start.extxyz")


def test_files_that_are_not_trajectories(refused, frames, tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    assert refused("notes.txt", None) == (
        "notes.txt: expected a LAMMPS text dump or a trajectory in .extxyz, .xyz, .dcd, .xtc, got "
        ".txt\n  fix: convert the trajectory"
    )
    assert refused("gone.xtc", None) == "gone.xtc: no such file"


def test_directory_of_another_run_is_kept(refused, frames, tmp_path):
    write_run(tmp_path / "md", [])
    assert refused("md.extxyz", frames[:2]) == (
        "md: expected a free name for the results, got the directory of another run\n"
        "  fix: give another directory with --out, or rename md.extxyz"
    )


def test_times_that_go_back(refused, frames, tmp_path):
    again = [frame.copy() for frame in (*frames[:4], *frames[2:5])]
    assert refused("a.extxyz", again) == (
        "a.extxyz: frame 4: expected times that grow from frame to frame, got 0.06 and then 0.04 "
        "ps\n  fix: leave out what a restart wrote again, or give --interval"
    )


def test_stability_is_counted_from_the_first_frame(frames, tmp_path):
    later = [frame.copy() for frame in frames]
    for frame in later:
        frame.info["time_ps"] += 500.0
    run = run_of_trajectory(write(tmp_path / "a.extxyz", later))
    analyse_run(run)
    _, metrics, _ = results(tmp_path / "a")
    assert metrics["stability_time"].value == pytest.approx((N_FRAMES - 1) * INTERVAL_PS)
    assert run.record["timestep_fs"] == pytest.approx(1e3 * INTERVAL_PS)


def test_density_of_a_trajectory_whose_cell_changes(frames, tmp_path):
    sizes = 1.0 + 0.01 * np.random.default_rng(0).choice([-1.0, 1.0], size=len(frames))
    breathing = [frame.copy() for frame in frames]
    for frame, size in zip(breathing, sizes, strict=True):
        frame.set_cell(CELL * size, scale_atoms=True)
    analyse_run(run_of_trajectory(write(tmp_path / "a.extxyz", breathing)))
    density = results(tmp_path / "a")[1]["density"]
    mass = frames[0].get_masses().sum() * 1.66053906892
    expected = mass / (LENGTH * sizes) ** 3
    assert density.value == pytest.approx(expected.mean(), abs=4.0 * density.error)
    # an error from ten modes is known to a quarter: 2 of 100 are 1.65 times too large
    assert density.error == pytest.approx(expected.std() / np.sqrt(len(frames)), rel=0.65)
    assert density.provenance.startswith("a.extxyz: cells and masses of 80 frames")
