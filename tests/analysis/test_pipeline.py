# SPDX-License-Identifier: GPL-2.0-or-later
"""From run directories to results: comparison, cache, failures, command line."""

from dataclasses import replace

import ase.io
import numpy as np
import pytest
from typer.testing import CliRunner

from egraff.analysis.parameters import Parameters
from egraff.analysis.pipeline import CURVES
from egraff.analysis.rdf import RadialDistribution
from egraff.analysis.reference import read_reference
from egraff.analysis.runs import find_runs, read_run
from egraff.analysis.structure import (
    compare_structures,
    noise_floor,
    structure_of,
)
from egraff.analysis.trajectory.frames import frames_universe
from egraff.data import LabelKeys
from egraff.errors import InputError
from tests.analysis.dumps import frame_text, log_text, write_run
from tests.analysis.runs import (
    CELL,
    LENGTH,
    N_FRAMES,
    analyse_run,
    atoms_moving,
    make_run,
    model,
    result_of,
)
from tests.analysis.systems import ideal_gas


@pytest.fixture
def reference(tmp_path):
    path = tmp_path / "reference.xyz"
    ase.io.write(path, atoms_moving(99))
    return path


def test_everything_about_a_run(tmp_path, reference):
    run = make_run(tmp_path / "run")
    assert analyse_run(read_run(run), reference=read_reference(reference), load_calculator=model)
    content, metrics = result_of(run)
    assert content["problems"] == []
    assert content["violations"] == []
    assert metrics["temperature"].value == pytest.approx(60.0, abs=2.0)
    assert metrics["nve_drift"].unit == "meV/atom/ps"
    wright = metrics["wright_factor[total]"]
    # the same distribution: no more than noise
    assert wright.value < 3 * wright.noise
    assert wright.error is not None
    # xyz files keep eight decimals
    assert metrics["replay_fv"].value < 1e-6
    assert metrics["stability_time"].value == pytest.approx(1.18)
    assert metrics["speed"].value == 1.5
    assert metrics["temperature[Ar]"].n_eff > 10
    assert metrics["diffusion[Ar]"].value is None  # shaking is no diffusion
    with np.load(run / CURVES) as curves:
        assert curves["rdf/g"].shape == curves["rdf_reference/g"].shape
        assert len(curves["replay/fv"]) == N_FRAMES
    final = ase.io.read(run / "analysis" / "final_frame.xyz")
    np.testing.assert_allclose(final.positions, atoms_moving(1)[-1].positions, atol=1e-7)


def test_result_is_kept_until_its_input_changes(tmp_path, reference):
    run = read_run(make_run(tmp_path / "run"))
    frames = read_reference(reference)
    options = {"reference": frames, "parameters": Parameters(max_frames=20)}
    assert analyse_run(run, **options)
    assert not analyse_run(run, **options)
    # threads change no result, so they do not count
    threads = replace(options["parameters"], threads=2)
    assert not analyse_run(run, **{**options, "parameters": threads})
    assert analyse_run(run, **{**options, "parameters": Parameters(max_frames=21)})
    assert analyse_run(run, **options, force=True)
    with (run.directory / "dump.lammpstrj").open("a") as stream:
        stream.write(frame_text(600, atoms_moving(2)[0].positions, CELL))
    assert analyse_run(run, **options)


def test_several_processes_give_the_same_result(tmp_path, reference):
    # one directory twice, so that provenance is the same too
    run = read_run(make_run(tmp_path / "run"))
    results = []
    for workers in (1, 2):
        parameters = Parameters(max_frames=20, workers=workers)
        analyse_run(run, reference=read_reference(reference), parameters=parameters, force=True)
        with np.load(run.directory / CURVES) as curves:
            results.append((result_of(run.directory)[0], dict(curves)))
    (serial, curves), (shared, shared_curves) = results
    assert serial == shared
    assert curves.keys() == shared_curves.keys()
    for name, values in curves.items():
        np.testing.assert_array_equal(values, shared_curves[name], err_msg=name)


def test_frames_behind_every_structure_metric_are_told(tmp_path):
    run = read_run(make_run(tmp_path / "run"))
    analyse_run(run, parameters=Parameters(max_frames=20))
    _, metrics = result_of(run.directory)
    source = "dump.lammpstrj: 20 of 60 frames, from 0 ps"
    with np.load(run.directory / CURVES) as curves:
        assert str(curves["rdf/provenance"]) == source
    assert metrics["structure_factor_peak"].provenance == source


def test_failed_run_keeps_what_it_has(tmp_path):
    rows = [(10 * i, 60.0, -1.0, 0.5, -0.5) for i in range(20)]
    log = log_text(("Step", "Temp", "PotEng", "KinEng", "TotEng"), rows, finished=False)
    run = write_run(
        tmp_path / "run",
        [],
        log=log + "ERROR: Lost atoms: original 8 current 7\n",
        status="failed",
        error="Lost atoms",
    )
    analyse_run(read_run(run))
    content, metrics = result_of(run)
    assert content["problems"][0].startswith("dump.lammpstrj: no such file; structure, order")
    assert content["violations"][0]["criterion"] == "lammps-error"
    assert metrics["temperature"].value == pytest.approx(60.0)
    assert metrics["stability_time"].value == pytest.approx(0.38)


def test_frames_that_are_left_out_are_told_whatever_fails(tmp_path):
    run = make_run(tmp_path / "run")
    dump = run / "dump.lammpstrj"
    frames = dump.read_text().split("ITEM: TIMESTEP")[:3]
    dump.write_text("ITEM: TIMESTEP".join(frames)[:-20])
    analyse_run(read_run(run))
    problems = result_of(run)[0]["problems"]
    assert any("vibrations: " in problem for problem in problems)  # too few frames
    told = [problem for problem in problems if "left out" in problem and "whole" in problem]
    assert len(told) == 1
    assert told[0].startswith("trajectory: frame of step ")


def test_first_bad_frame_is_saved(tmp_path):
    good = atoms_moving(3, 3)
    bad = good[2].positions.copy()
    bad[1] = bad[0] + 0.2
    texts = [frame_text(10 * i, p, CELL) for i, p in enumerate([good[0].positions, bad])]
    run = write_run(tmp_path / "run", texts, n_atoms=8)
    analyse_run(read_run(run))
    content, metrics = result_of(run)
    assert content["violations"][0]["criterion"] == "minimum-distance"
    assert metrics["stability_time"].note.startswith("minimum-distance: atoms 1 and 2")
    saved = ase.io.read(run / "analysis" / "first_bad_frame.xyz")
    np.testing.assert_allclose(saved.positions, bad, atol=1e-7)


def test_reference_of_another_system(tmp_path):
    path = tmp_path / "other.xyz"
    ase.io.write(path, ideal_gas(3, 8, LENGTH, elements=["Ar"] * 4 + ["Ne"] * 4))
    run = make_run(tmp_path / "run")
    analyse_run(read_run(run), reference=read_reference(path))
    content, _ = result_of(run)
    assert "expected the composition of the reference, Ar4Ne4, got Ar8" in content["problems"][0]


def test_without_a_reference_there_is_still_an_rdf(tmp_path):
    run = make_run(tmp_path / "run")
    analyse_run(read_run(run))
    with np.load(run / CURVES) as curves:
        assert "rdf/g" in curves
        assert "rdf_reference/g" not in curves


def test_model_that_is_gone(tmp_path, reference):
    run = make_run(tmp_path / "run")
    (run / "model.egraff.pt").unlink()
    analyse_run(read_run(run), reference=read_reference(reference), load_calculator=model)
    content, metrics = result_of(run)
    assert "model: no such file" in content["problems"][0]
    assert "wright_factor[total]" in metrics


def rdf_of(frames):
    return RadialDistribution(frames_universe(frames).atoms, r_max=6.0, bin_width=0.1).run()


@pytest.fixture(scope="module")
def equal_structures():
    """Differences between pairs of samples of one ideal gas: value, error, noise of each."""
    found = {}
    for seed in range(16):
        one, two = (
            structure_of(rdf_of(ideal_gas(40, 40, LENGTH, seed=1000 + 2 * seed + k)))
            for k in (0, 1)
        )
        for metric in compare_structures(one, two, provenance="p"):
            found.setdefault(metric.name, []).append((metric.value, metric.error, metric.noise))
    return {name: np.array(values).T for name, values in found.items()}


@pytest.mark.parametrize("measure", ["wasserstein", "wright_factor", "jensen_shannon"])
def test_noise_of_equal_structures_is_what_is_expected(equal_structures, measure):
    value, error, noise = equal_structures[f"{measure}[total]"]
    uncertainty = np.std(value) / np.sqrt(len(value))
    assert np.mean(noise) == pytest.approx(np.mean(value), abs=3 * uncertainty)
    # resampled data carry the noise twice, so of differences that are nothing else the error is
    # up to about twice too large
    assert 0.7 * np.std(value) < np.mean(error) < 2.5 * np.std(value)


def test_a_rare_pair_costs_its_own_errors_alone():
    # two neon atoms that meet in one frame of forty
    random = np.random.default_rng(8)

    def sample():
        frames = ideal_gas(40, 20, 30.0, seed=int(random.integers(1000)))
        for index, frame in enumerate(frames):
            frame.symbols[:2] = "Ne"
            apart = 3.0 if index == 7 else 14.0
            frame.positions[1] = frame.positions[0] + [apart, 0, 0]
        return structure_of(rdf_of(frames))

    metrics = {m.name: m for m in compare_structures(sample(), sample(), provenance="p")}
    assert metrics["jensen_shannon[Ar-Ar]"].error > 0.0
    rare = metrics["jensen_shannon[Ne-Ne]"]
    assert rare.value == pytest.approx(0.0, abs=1e-12)
    assert rare.error is None
    assert rare.note == "a pair so rare that parts of the trajectories hold none: no error"


def test_noise_floor_of_halves():
    metrics = noise_floor(rdf_of(ideal_gas(40, 40, LENGTH, seed=5)), provenance="p")
    floor = {metric.name: metric for metric in metrics}["noise_floor_wright_factor[total]"]
    assert 0 < floor.value < 0.5
    assert floor.note == "one pair of halves: no error"
    with pytest.raises(InputError, match="expected at least 2 frames to compare halves, got 1"):
        noise_floor(rdf_of(ideal_gas(1, 40, LENGTH)), provenance="p")


def test_structures_that_cannot_be_compared():
    one = structure_of(rdf_of(ideal_gas(4, 20, LENGTH)))
    other = structure_of(rdf_of(ideal_gas(4, 20, LENGTH, elements=["Ne"] * 20)))
    with pytest.raises(InputError, match="expected the species pairs Ne-Ne, total, got Ar-Ar"):
        compare_structures(one, other, provenance="p")
    universe = frames_universe(ideal_gas(4, 20, LENGTH))
    wider = structure_of(RadialDistribution(universe.atoms, r_max=5.0, bin_width=0.1).run())
    with pytest.raises(InputError, match="expected the same bins, got 50 and 60"):
        compare_structures(one, wider, provenance="p")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": "many"}, "steps: expected a int, got 'many'"),
        ({"ensemble": None}, "ensemble: expected a str, got None"),
        ({"timestep_fs": "1"}, "timestep_fs: expected a number, got '1'"),
    ],
)
def test_bad_records(tmp_path, change, message):
    run = write_run(tmp_path / "run", [], **change)
    with pytest.raises(InputError) as caught:
        read_run(run)
    assert message in str(caught.value)


def test_records_that_are_not(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_run(tmp_path)
    with pytest.raises(InputError, match=r"expected at least one run\.json at or below it, got no"):
        find_runs(tmp_path)
    with pytest.raises(InputError, match="no such directory"):
        find_runs(tmp_path / "absent")
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(InputError, match="expected a JSON object, got list"):
        read_run(tmp_path)


def test_bad_parameters():
    with pytest.raises(InputError, match="max_frames: expected a value above 0, got 0"):
        Parameters(max_frames=0)
    with pytest.raises(InputError, match="viscosity: expected a viscosity above 0 mPa s, got -1"):
        Parameters(viscosity_mPa_s=-1.0)


def test_command_line(tmp_path, reference):
    from egraff.cli import app

    make_run(tmp_path / "runs" / "one")
    make_run(tmp_path / "runs" / "two", seed=2)
    arguments = ["analyse", str(tmp_path / "runs"), "--reference", str(reference)]
    arguments += ["--no-replay", "--no-model-checks"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "one: analysed" in done.output
    again = CliRunner().invoke(app, arguments)
    assert "two: up to date" in again.output


def test_labels_of_a_reference_under_other_names(tmp_path):
    images = list(atoms_moving(3))
    for image in images:
        image.info["REF_energy"] = image.get_potential_energy()
        image.calc = None
    path = tmp_path / "reference.xyz"
    ase.io.write(path, images, format="extxyz")
    plain, named = (
        read_reference(path, keys=LabelKeys(energy_key=key)) for key in ("energy", "REF_energy")
    )
    assert plain.frames[0].calc is None
    assert named.frames[0].get_potential_energy() == images[0].info["REF_energy"]
    # what was analysed with other labels is not up to date
    assert plain.identity() == plain.digest
    assert named.identity() != plain.identity()
