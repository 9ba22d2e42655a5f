# SPDX-License-Identifier: GPL-2.0-or-later
"""Motion whose answer is known: Brownian, harmonic, free flight; angles of crystals."""

import MDAnalysis
import numpy as np
import pytest
import tidynamics
from ase import Atoms
from ase.build import bulk, molecule
from scipy.constants import speed_of_light

from egraff.analysis.angles import AngleDistribution, edge_pairs
from egraff.analysis.bonds import BondLengths, bond_length_deviation, bond_lengths, find_bonds
from egraff.analysis.conservation import Conservation, internal_motion, kinetic_temperature
from egraff.analysis.context import AnalysisContext
from egraff.analysis.diffusion import (
    MeanSquareDisplacement,
    diffusion_coefficient,
    diffusive_exponent,
    finite_size_correction,
    followed,
    mean_square_displacement,
)
from egraff.analysis.parameters import Parameters
from egraff.analysis.runs import read_run
from egraff.analysis.sections.dynamics import diffusion
from egraff.analysis.trajectory.fields import even_interval, frame_forces, frame_velocities
from egraff.analysis.trajectory.frames import frames_universe
from egraff.analysis.trajectory.reader import open_universe
from egraff.analysis.vibrations import (
    VibrationalDensityOfStates,
    velocity_autocorrelation,
)
from egraff.errors import InputError
from tests.analysis.dumps import frame_text, write_run
from tests.analysis.systems import with_data

RANDOM = np.random.default_rng(11)
WAVENUMBER_PER_THZ = 1e10 / speed_of_light  # 1/cm


def universe_of(positions, dt_ps, velocities=None, forces=None, elements=None):
    """A trajectory in memory, with velocities and forces if given."""
    n_atoms = positions.shape[1]
    elements = elements or ["Ar"] * n_atoms
    frames = [Atoms(elements, positions=p, cell=[50.0] * 3, pbc=True) for p in positions]
    return with_data(frames_universe(frames, dt_ps=dt_ps), velocities, forces)


def test_msd_by_definition_and_by_tidynamics():
    positions = RANDOM.normal(size=(60, 3, 3)).cumsum(axis=0)
    found = mean_square_displacement(positions)
    for lag in (1, 13, 59):
        moves = positions[lag:] - positions[: 60 - lag]
        np.testing.assert_allclose(found[lag], np.sum(moves**2, axis=2).mean(axis=0))
    for atom in range(3):
        np.testing.assert_allclose(
            found[:, atom], tidynamics.msd(positions[:, atom]), rtol=1e-8, atol=1e-10
        )


def test_brownian_motion_has_its_diffusion_coefficient():
    # steps of variance 2 D dt in each direction
    d, dt = 0.37, 0.02
    steps = RANDOM.normal(scale=np.sqrt(2 * d * dt), size=(4000, 40, 3))
    universe = universe_of(steps.cumsum(axis=0), dt)
    analysis = MeanSquareDisplacement(universe.atoms, remove_drift=False).run()
    (metric,) = analysis.diffusion(window_ps=(dt, 30 * dt), provenance="p")
    assert metric.unit == "A^2/ps"
    assert metric.value == pytest.approx(d, rel=0.03)
    assert 0.0 < metric.error < 0.03 * d
    (metric,) = analysis.diffusion(provenance="p")
    assert abs(metric.value - d) < 4 * metric.error
    (larger,) = analysis.diffusion(viscosity_mPa_s=0.9, temperature_K=300.0, provenance="p")
    length = np.cbrt(universe.trajectory.ts.volume)
    assert larger.value - metric.value == pytest.approx(
        finite_size_correction(300.0, 0.9, length), rel=1e-6
    )
    assert "of it the correction of Yeh and Hummer to an infinite cell" in larger.definition


def test_caged_atoms_do_not_diffuse():
    universe = universe_of(RANDOM.normal(size=(400, 5, 3)), 0.1)
    (metric,) = MeanSquareDisplacement(universe.atoms).run().diffusion(provenance="p")
    assert metric.value is None
    assert "not diffusive within the run: the displacement grows as t^" in metric.note
    assert metric.note.endswith("A^2/ps")  # the bound


def damped_oscillators(n_frames, dt, frequency, seed):
    """Atoms on springs, 0.3 A wide, with friction: their D is exactly 0."""
    random = np.random.default_rng(seed)
    omega, friction, n_sub = 2 * np.pi * frequency, 3.0, 10
    h = dt / n_sub
    x = random.normal(0, 0.3, (64, 3))
    v = random.normal(0, 0.3 * omega, (64, 3))
    frames = []
    for _ in range(n_frames):
        for _ in range(n_sub):
            kick = np.sqrt(2 * friction * h) * 0.3 * omega * random.normal(size=v.shape)
            v += -(omega**2) * x * h - friction * v * h + kick
            x = x + v * h
        frames.append(x.copy())
    return np.array(frames)


@pytest.mark.parametrize(
    ("n_frames", "dt", "note"),
    [
        (750, 0.004, "of 2.996 ps lags up to 0.2996 ps can be told, and below 1 ps atoms do not"),
        (1500, 0.02, "atoms have moved by 0.5"),
    ],
)
@pytest.mark.parametrize("frequency", [0.5, 1.0])
def test_a_solid_has_no_diffusion_coefficient(n_frames, dt, note, frequency):
    """Neither in 3 ps, where atoms on their way back look like diffusion, nor in 30 ps."""
    universe = universe_of(damped_oscillators(n_frames, dt, frequency, seed=1), dt)
    analysis = MeanSquareDisplacement(universe.atoms, remove_drift=False).run()
    (metric,) = analysis.diffusion(provenance="p")
    assert metric.value is None
    assert metric.note.startswith("not diffusive within the run: ")
    assert note in metric.note


def test_a_sharp_line_is_as_wide_as_the_longest_lag_allows():
    times = 0.002 * np.arange(4000)
    velocities = np.cos(2 * np.pi * 10.0 * times)[:, None, None] * np.ones((1, 2, 3))
    universe = universe_of(np.zeros((4000, 2, 3)) + np.arange(2)[:, None], 0.002, velocities)
    results = VibrationalDensityOfStates(universe.atoms, longest_ps=1.0).run().results
    line = results.vdos[-1]
    inside = results.frequency_THz[line > 0.5 * line.max()]
    assert results.frequency_THz[line.argmax()] == pytest.approx(10.0, abs=0.1)
    assert np.ptp(inside) == pytest.approx(1.0, abs=0.25)  # within the spacing of frequencies


def test_slopes_that_change_are_no_diffusion():
    """Atoms that leave their cages now and then, on top of a fast motion within: MSD 3 + t."""
    random = np.random.default_rng(4)
    hops = random.normal(scale=np.sqrt(2 * 0.15 * 0.05), size=(4000, 60, 3)).cumsum(axis=0)
    a = np.exp(-0.05 / 4.0)  # a cage that is explored in 4 ps
    cage = np.empty_like(hops)
    cage[0] = random.normal(size=(60, 3))
    for t in range(1, len(cage)):
        cage[t] = a * cage[t - 1] + np.sqrt(1 - a * a) * random.normal(size=(60, 3))
    universe = universe_of(hops + 1.5 * cage, 0.05)
    analysis = MeanSquareDisplacement(universe.atoms, remove_drift=False).run()
    (metric,) = analysis.diffusion(provenance="p")
    assert metric.value is None
    assert "not diffusive within the run" in metric.note
    assert "A^2/ps" in metric.note


def test_free_flight_grows_as_the_square():
    lag = np.linspace(0.1, 1.0, 10)
    assert diffusive_exponent(lag, 3 * lag**2, (0.1, 1.0)) == pytest.approx(2.0)
    assert diffusive_exponent(lag, 3 * lag, (2.0, 3.0)) == 0.0


def test_drift_is_removed():
    drift = np.arange(100.0)[:, None, None] * np.ones(3)
    noise = RANDOM.normal(size=(100, 8, 3))
    still = MeanSquareDisplacement(universe_of(noise, 1.0).atoms).run().results.msd
    moving = MeanSquareDisplacement(universe_of(noise + drift, 1.0).atoms).run().results.msd
    np.testing.assert_allclose(still, moving, rtol=1e-9, atol=1e-12)


def fluctuating(n_frames, n_atoms, seed, d=0.5, dt=0.1):
    """Brownian atoms in a cell that breathes by 1 %: unwrapped with image flags, and the truth."""
    random = np.random.default_rng(seed)
    length = 10.0 * (1.0 + 0.01 * random.normal(size=n_frames))
    steps = random.normal(scale=np.sqrt(2 * d * dt), size=(n_frames, n_atoms, 3))
    wrapped = np.empty_like(steps)
    images = np.zeros_like(steps)
    wrapped[0] = random.uniform(0, length[0], (n_atoms, 3))
    for t in range(1, n_frames):
        # the barostat moves every atom with the cell
        moved = wrapped[t - 1] * length[t] / length[t - 1] + steps[t]
        crossed = np.floor(moved / length[t])
        wrapped[t] = moved - crossed * length[t]
        images[t] = images[t - 1] + crossed
    cells = length[:, None, None] * np.eye(3)
    return wrapped, images, cells, steps


def test_followed_is_the_sum_of_the_steps():
    wrapped, images, cells, _ = fluctuating(400, 6, seed=1, d=4.0)
    positions = wrapped + images @ cells
    assert np.abs(images).max() >= 5
    moves = np.diff(wrapped, axis=0) + np.diff(images, axis=0) @ cells[1:]
    expected = wrapped[0] + np.cumsum(np.concatenate([0.0 * wrapped[:1], moves]), axis=0)
    np.testing.assert_allclose(followed(positions, cells), expected, atol=1e-9)
    assert np.abs(positions - expected).max() > 1.0
    still = np.broadcast_to(np.eye(3) * 10.0, cells.shape)
    np.testing.assert_array_equal(followed(positions, still), positions)


def test_diffusion_in_a_cell_that_breathes(tmp_path):
    wrapped, images, cells, steps = fluctuating(1500, 20, seed=2)
    positions = wrapped + images @ cells
    truth = mean_square_displacement(np.cumsum(steps, axis=0)).mean(axis=1)
    texts = []
    for t, cell in enumerate(cells):
        texts.append(frame_text(t, positions[t], cell, coordinates="xu yu zu"))
    (tmp_path / "d").write_text("".join(texts))
    universe = open_universe(tmp_path / "d", timestep_fs=100.0, unwrap=True)
    analysis = MeanSquareDisplacement(universe.atoms, remove_drift=False).run()
    (metric,) = analysis.diffusion(window_ps=(2.0, 12.0), provenance="p")
    lag = analysis.results.lag_ps
    assert metric.value == pytest.approx(diffusion_coefficient(lag, truth, (2.0, 12.0)), rel=0.05)
    assert analysis.results.msd[0, 1] == pytest.approx(truth[1], rel=0.15)


def test_a_given_viscosity_corrects_the_coefficient_of_a_run(tmp_path):
    # far apart, so that no two of them meet
    positions = np.random.default_rng(6).normal(scale=0.4, size=(600, 27, 3)).cumsum(axis=0)
    positions += np.array(list(np.ndindex(3, 3, 3))) * 100.0
    cell = 300.0 * np.eye(3)
    texts = [frame_text(t, x, cell, coordinates="xu yu zu") for t, x in enumerate(positions)]
    run = write_run(
        tmp_path / "run", texts, n_atoms=27, ensemble="nvt", temperature_K=300.0, timestep_fs=100.0
    )
    plain, corrected = (
        diffusion(AnalysisContext(read_run(run), Parameters(viscosity_mPa_s=value))).metrics[0]
        for value in (None, 0.9)
    )
    assert plain.value > 0.0
    expected = finite_size_correction(300.0, 0.9, 300.0)
    assert corrected.value - plain.value == pytest.approx(expected, rel=1e-6)


def test_a_window_without_lags_is_not_enough_data():
    universe = universe_of(RANDOM.normal(size=(100, 4, 3)).cumsum(axis=0), 0.1)
    (metric,) = (
        MeanSquareDisplacement(universe.atoms)
        .run()
        .diffusion(window_ps=(0.32, 0.38), provenance="p")
    )
    assert metric.value is None
    assert "expected at least 2 lags between 0.32 and 0.38 ps, got 0" in metric.note


def test_too_few_lags():
    with pytest.raises(
        InputError, match=r"expected at least 2 lags between 0\.1 and 0\.2 ps, got 0"
    ):
        diffusion_coefficient(np.arange(5.0), np.arange(5.0), (0.1, 0.2))


def test_finite_size_correction_of_water():
    # 298 K, 0.89 mPa s, 20 A: 2.837297 k T / (6 pi eta L) = 3.479e-10 m^2/s = 0.0348 A^2/ps
    assert finite_size_correction(298.0, 0.89, 20.0) == pytest.approx(0.03479, rel=1e-3)


def test_oscillator_has_its_frequency():
    # a C-H stretch near 90 THz, sampled every fs
    frequency, dt, n = 90.0, 0.001, 4000
    phase = RANDOM.uniform(0, 2 * np.pi, (1, 6, 3))
    time = np.arange(n)[:, None, None] * dt
    velocities = np.cos(2 * np.pi * frequency * time + phase)
    universe = universe_of(np.zeros((n, 6, 3)) + np.arange(6)[:, None], dt, velocities)
    results = VibrationalDensityOfStates(universe.atoms).run().results
    spectrum = results.vdos[-1]
    peak = results.frequency_THz[np.argmax(spectrum)]
    assert peak == pytest.approx(frequency, abs=0.5)
    assert np.trapezoid(spectrum, results.frequency_THz) == pytest.approx(1.0)
    np.testing.assert_allclose(
        results.vacf[-1][:100], np.cos(2 * np.pi * frequency * results.lag_ps[:100]), atol=0.02
    )
    assert peak * WAVENUMBER_PER_THZ == pytest.approx(3002, abs=20)


def test_vacf_by_definition_and_by_tidynamics():
    velocities = RANDOM.normal(size=(50, 4, 3))
    masses = np.array([1.0, 2.0, 3.0, 4.0])
    found = velocity_autocorrelation(velocities, masses)
    expected = sum(m * tidynamics.acf(velocities[:, i]) for i, m in enumerate(masses))
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert found[0] == pytest.approx(np.mean(np.sum(velocities**2, axis=2) @ masses))


def test_temperature_and_equipartition():
    # sigma = sqrt(k T / m) in each direction
    n, kelvin = 4000, 350.0
    elements = ["H"] * n + ["O"] * n
    masses = np.repeat([1.008, 15.999], n)
    sigma = np.sqrt(8.617333262e-5 * kelvin / (masses * 1.0364269e-4))  # A/ps
    velocities = RANDOM.normal(size=(3, 2 * n, 3)) * sigma[:, None]
    forces = RANDOM.normal(size=(3, 2 * n, 3))
    forces -= forces.mean(axis=1, keepdims=True)
    forces[1, 0, 2] += 0.004
    positions = np.zeros((3, 2 * n, 3))
    universe = universe_of(positions, 1.0, velocities + [0.0, 3.0, 0.0], forces, elements)
    metrics = {m.name: m for m in Conservation(universe.atoms).run().metrics(provenance="p")}
    assert metrics["temperature[H]"].value == pytest.approx(kelvin, rel=0.02)
    assert metrics["temperature[O]"].value == pytest.approx(kelvin, rel=0.02)
    assert metrics["centre_of_mass_speed"].value == pytest.approx(3.0, abs=0.3)
    assert metrics["net_force"].value == pytest.approx(4.0, abs=1e-6)
    assert metrics["net_force"].unit == "meV/A"
    with pytest.raises(InputError, match="expected at least 2 atoms, got 1"):
        Conservation(universe.atoms[:1])


def test_kinetic_temperature_of_one_atom():
    # m v^2 = 3 k T: argon at 100 K moves at 2.499 A/ps
    assert kinetic_temperature(39.948 * 2.4988**2, 3.0) == pytest.approx(100.0, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "rotation", "n_dof"), [("H2O", False, 6), ("H2O", True, 3), ("CO2", True, 4)]
)
def test_every_atom_of_a_molecule_has_the_temperature_of_its_degrees_of_freedom(
    name, rotation, n_dof
):
    atoms = molecule(name)
    masses, positions = atoms.get_masses(), atoms.positions if rotation else None
    velocities = RANDOM.normal(size=(20_000, 3, 3)) / np.sqrt(masses)[:, None]
    energies = np.mean([internal_motion(v, masses, positions)[0] for v in velocities], axis=0)
    _, dof = internal_motion(velocities[0], masses, positions)
    assert dof.sum() == pytest.approx(n_dof)
    # k T = 1; an atom's energy of n degrees of freedom fluctuates by sqrt(2 n)
    np.testing.assert_allclose(energies, dof, atol=5 * np.sqrt(2 * 3 / len(velocities)))
    if not rotation:
        np.testing.assert_allclose(dof, 3 * (1 - masses / masses.sum()))


def test_rigid_motion_has_no_temperature():
    atoms = molecule("CH3CH2OH")
    masses, positions = atoms.get_masses(), atoms.positions
    velocities = [0.3, -0.2, 0.5] + np.cross([1.0, 2.0, -0.5], positions)
    energies, _ = internal_motion(velocities, masses, positions)
    np.testing.assert_allclose(energies, 0.0, atol=1e-20)
    assert internal_motion(velocities, masses)[0].max() > 1.0


def test_equipartition_in_a_molecule():
    atoms = molecule("CH3CH2OH")
    masses = atoms.get_masses()
    velocities = RANDOM.normal(size=(1500, 9, 3)) / np.sqrt(masses)[:, None]
    frames = [atoms.copy() for _ in velocities]
    universe = with_data(frames_universe(frames, dt_ps=1.0), velocities)
    metrics = {m.name: m for m in Conservation(universe.atoms).run().metrics(provenance="p")}
    for element in "CHO":
        excess = metrics[f"temperature_excess[{element}]"]
        assert abs(excess.value) < 4 * excess.error


def test_edge_pairs():
    first, second = edge_pairs(np.array([0, 0, 0, 2, 2, 5]))
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [
        (0, 1),
        (0, 2),
        (1, 2),
        (3, 4),
    ]
    assert edge_pairs(np.zeros(0, dtype=int))[0].size == 0


def test_angles_of_diamond_and_fcc():
    analysis = AngleDistribution(
        frames_universe([bulk("C", cubic=True)]).atoms, cutoff=1.7, bin_width=1.0
    ).run()
    occupied = analysis.results.angle[analysis.results.density[0] > 0]
    assert occupied.tolist() == [109.5]  # arccos(-1/3) = 109.471
    assert analysis.results.counts.sum() == 8 * 6
    fcc = AngleDistribution(frames_universe([bulk("Cu", a=3.6)]).atoms, cutoff=2.8).run()
    counts = {a: c for a, c in zip(fcc.results.angle, fcc.results.counts[0, 0], strict=True) if c}
    # 66 pairs of 12 neighbours; each pair of 60, 90, 120 and 180 degrees
    assert [sum(c for a, c in counts.items() if abs(a - x) < 1.01) for x in (60, 90, 120, 180)] == [
        24,
        12,
        24,
        6,
    ]


def test_angle_of_water_with_its_own_cutoff():
    frame = molecule("H2O")
    universe = frames_universe([frame])
    results = AngleDistribution(universe.atoms, cutoff={"H-O": 1.2}).run().results
    row = results.density[results.triplets.index("H-O-H")]
    assert results.angle[np.argmax(row)] == pytest.approx(frame.get_angle(1, 0, 2), abs=0.5)
    assert row.sum() * 1.0 == pytest.approx(1.0)
    assert results.density.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("cutoff", "message"),
    [
        ({"H-N": 1.0}, "expected species pairs of H, O, got H-N"),
        ({"H-O": 0.0}, "H-O: expected a length above 0 A, got 0.0"),
    ],
)
def test_bad_angle_cutoffs(cutoff, message):
    with pytest.raises(InputError, match=message):
        AngleDistribution(frames_universe([molecule("H2O")]).atoms, cutoff=cutoff)


def test_bonds_of_molecules_and_crystals():
    ethanol = molecule("CH3CH2OH")
    bonds = find_bonds(
        ethanol.positions, np.zeros((3, 3)), (False,) * 3, np.array(ethanol.symbols, dtype=object)
    )
    assert len(bonds) == 8
    # a tilted cell: the nearest image is not the one that rounding gives
    cell = np.array([[4.0, 0, 0], [3.4, 3.0, 0], [0, 0, 5.0]])
    positions = np.array([[0.0, 0, 0], [3.7, 1.5, 0.0]])
    atoms = Atoms("CC", positions=positions, cell=cell, pbc=True)
    found = bond_lengths(positions, cell, (True,) * 3, np.array([[0, 1]]))
    assert found[0] == pytest.approx(atoms.get_distance(0, 1, mic=True))


def test_bond_length_deviation():
    frames = []
    for stretch in (0.05, -0.01, 0.02):
        frame = molecule("H2")
        frame.positions[1, 2] -= stretch
        frames.append(frame)
    analysis = BondLengths(frames_universe(frames).atoms).run()
    length = molecule("H2").get_distance(0, 1)
    np.testing.assert_allclose(
        analysis.results.lengths[:, 0], length + np.array([0.05, -0.01, 0.02]), atol=1e-12
    )
    mean, worst = bond_length_deviation(
        analysis.results.lengths, np.full((4, 1), length), provenance="p"
    )
    assert mean.value == pytest.approx(0.02)
    assert worst.value == pytest.approx(0.05)
    with pytest.raises(InputError, match="expected at least one bond, got none"):
        BondLengths(frames_universe([Atoms("Ar2", positions=[[0, 0, 0], [9, 0, 0]])]).atoms)


def test_bond_length_deviation_has_the_errors_of_both_means():
    sign = np.random.default_rng(0).permutation(np.repeat([-1.0, 1.0], 200))[:, None]
    still, moving = np.full((400, 1), 1.5), 1.5 + 0.1 * sign
    mean, _ = bond_length_deviation(1.6 + 0.1 * sign, moving, provenance="p")
    assert mean.value == pytest.approx(0.1)
    # each mean has an error of 0.1 / sqrt(400)
    # as far as eight to eighteen blocks tell
    assert mean.error == pytest.approx(0.005 * np.sqrt(2.0), rel=0.25)
    mean, _ = bond_length_deviation(1.6 + 0.1 * sign, still, provenance="p")
    assert mean.error == pytest.approx(0.005, rel=0.25)
    mean, _ = bond_length_deviation(1.6 + 0.1 * sign, moving[:1], provenance="p")
    assert mean.note.startswith("without the error of the reference")


def test_uneven_frames_are_refused():
    assert even_interval(np.array([0.0, 0.1, 0.2]), "x") == pytest.approx(0.1)
    with pytest.raises(
        InputError, match=r"expected frames at even times, got intervals from 0\.1 to 0\.2"
    ):
        even_interval(np.array([0.0, 0.1, 0.3]), "x")
    with pytest.raises(InputError, match="x: expected at least 2 frames, got 1"):
        even_interval(np.array([0.0]), "x")


def test_missing_velocities_and_forces_are_said():
    universe = MDAnalysis.Universe.empty(2, trajectory=True)
    with pytest.raises(InputError, match="expected velocities in the trajectory, got none"):
        frame_velocities(universe.atoms)
    with pytest.raises(InputError, match="expected forces in the trajectory, got none"):
        frame_forces(universe.atoms)


@pytest.mark.parametrize(
    "make",
    [
        lambda atoms: MeanSquareDisplacement(atoms),
        lambda atoms: BondLengths(atoms, bonds=np.array([[0, 1]])),
        lambda atoms: AngleDistribution(atoms, cutoff=20.0),
    ],
)
def test_several_processes_give_the_same(make):
    frames = [
        Atoms("Ar4", positions=RANDOM.uniform(0, 30, (4, 3)), cell=[50.0] * 3, pbc=True)
        for _ in range(6)
    ]
    atoms = frames_universe(frames).atoms
    serial = make(atoms).run().results
    parallel = make(atoms).run(backend="multiprocessing", n_workers=2).results
    for name in ("msd", "lengths", "density"):
        if name in serial:
            np.testing.assert_array_equal(serial[name], parallel[name])
