# SPDX-License-Identifier: GPL-2.0-or-later
"""Radial distributions: ideal gas, crystal shells, molecules, and two independent codes."""

import freud
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.geometry.rdf import get_rdf
from MDAnalysis.analysis.rdf import InterRDF

from egraff.analysis.rdf import RadialDistribution
from egraff.analysis.structure import compare_structures, structure_of
from egraff.analysis.structure_factor import (
    coordination_numbers,
    first_minimum,
    structure_factor,
)
from egraff.analysis.trajectory.frames import (
    default_r_max,
    frames_universe,
    half_shortest_lattice_vector,
)
from egraff.errors import InputError
from tests.analysis.systems import ideal_gas


def run(frames, **options):
    return RadialDistribution(frames_universe(frames).atoms, **options).run()


def test_ideal_gas_is_one_also_beyond_half_the_box():
    elements = ["H"] * 30 + ["O"] * 53
    analysis = run(ideal_gas(150, 83, 9.6, elements=elements), r_max=8.0, bin_width=0.5)
    results = analysis.results
    assert results.pairs == ["H-H", "H-O", "O-O", "total"]
    for row in results.g[:, 4:]:
        # far from the origin there are enough pairs for 2 %
        np.testing.assert_allclose(row, 1.0, atol=0.03)


def test_crystal_shells_of_fcc_in_a_cell_of_one_atom():
    frame = bulk("Cu", a=3.6)
    analysis = run([frame], r_max=6.5, bin_width=0.1, self_images=True)
    # neighbours of an fcc atom: 12, 6, 24, 12, 24, 8 at a sqrt(k / 2)
    per_atom = 2.0 * np.cumsum(analysis.results.counts[0, 0])
    for k, total in enumerate(np.cumsum([12, 6, 24, 12, 24, 8]), start=1):
        inside = round((3.6 * np.sqrt(k / 2) + 0.15) / 0.1)
        assert per_atom[inside] == total


def test_coordination_of_rock_salt():
    frame = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    analysis = run([frame, frame], r_max=5.0, bin_width=0.05)
    found = {m.name: m.value for m in coordination_numbers(analysis, 3.4, provenance="p")}
    assert found == {
        "coordination[Cl-Cl]": 0.0,
        "coordination[Cl-Na]": 6.0,
        "coordination[Na-Cl]": 6.0,
        "coordination[Na-Na]": 0.0,
    }
    with pytest.raises(InputError, match="expected a cutoff up to 5 A, got 9"):
        coordination_numbers(analysis, 9.0, provenance="p")


def test_a_bin_counts_for_the_share_that_is_within():
    """Six chlorines at 2.82 A around each sodium, in the bin from 2.5 to 3.0 A."""
    analysis = run([bulk("NaCl", "rocksalt", a=5.64, cubic=True)], r_max=6.0, bin_width=0.5)
    for cutoff, number in ((2.5, 0.0), (2.75, 3.0), (3.0, 6.0), (3.2, 6.0)):
        found = {m.name: m for m in coordination_numbers(analysis, cutoff, provenance="")}
        metric = found["coordination[Na-Cl]"]
        assert metric.value == pytest.approx(number)
        assert f"nearer than {cutoff:.3g} A to" in metric.definition


def test_the_place_of_the_minimum_is_part_of_the_error_of_a_number_of_neighbours():
    frames = ideal_gas(40, 60, 12.0, seed=1)
    analysis = run(frames, r_max=6.0)
    random = np.random.default_rng(2)

    def error(**options):
        return coordination_numbers(analysis, 4.0, provenance="p", **options)[0].error

    # the number within r grows by 4 pi r^2 rho for each A
    slope = 4.0 * np.pi * 4.0**2 * 59 / 12.0**3
    minima = random.normal(4.0, 0.1, size=400)
    assert error(minima=minima) == pytest.approx(np.hypot(error(), 0.1 * slope), rel=0.1)
    # known minima that many samples do not have, or none at all
    for unsure in (np.where(np.arange(400) < 40, np.nan, minima), np.empty(0)):
        assert error(minima=unsure) is None


def test_tilted_cells_of_any_orientation_give_the_same():
    frame = bulk("NaCl", "rocksalt", a=5.64).repeat((3, 3, 3))
    frame.rattle(0.1, seed=1)
    turned = frame.copy()
    turned.rotate(33.0, (1, 2, 3), rotate_cell=True)
    sheared = frame.copy()  # the same lattice by other vectors
    sheared.set_cell(np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ np.array(frame.cell))
    one, two, three = (run([f], r_max=7.0).results.counts for f in (frame, turned, sheared))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one, three)


@pytest.fixture(scope="module")
def two_species():
    return ideal_gas(5, 200, 14.0, seed=4, elements=["H"] * 80 + ["O"] * 120)


def test_agrees_with_mdanalysis_where_that_is_right(two_species):
    analysis = run(two_species, r_max=6.0, bin_width=0.1)
    universe = frames_universe(two_species)
    h, o = (universe.select_atoms(f"element {name}") for name in "HO")
    for pair, groups, block in (("H-O", (h, o), None), ("O-O", (o, o), (1, 1))):
        theirs = InterRDF(*groups, nbins=60, range=(0.0, 6.0), exclusion_block=block).run()
        ours = analysis.results.g[analysis.results.pairs.index(pair)]
        np.testing.assert_allclose(ours, theirs.results.rdf, rtol=1e-3, atol=1e-3)


def test_agrees_with_freud_where_that_is_right(two_species):
    analysis = run(two_species, r_max=6.0, bin_width=0.1)
    theirs = freud.density.RDF(bins=60, r_max=6.0, normalization_mode="finite_size")
    for frame in two_species:
        theirs.compute((freud.box.Box.cube(14.0), frame.positions - 7.0), reset=False)
    np.testing.assert_allclose(analysis.results.g[-1], theirs.rdf, rtol=2e-3, atol=2e-3)


def test_agrees_with_ase_where_that_is_right(two_species):
    ours = run(two_species, r_max=6.0, bin_width=0.1).results
    for pair, elements, n_like in (
        ("H-H", ("H", "H"), 80),
        ("H-O", ("H", "O"), None),
        ("O-O", ("O", "O"), 120),
        ("total", None, 200),
    ):
        theirs, r = get_rdf(two_species, 6.0, 60, elements=elements)
        np.testing.assert_allclose(ours.r, r)
        # an atom has N - 1 others of its kind, where ASE divides by N
        scale = 1.0 if n_like is None else n_like / (n_like - 1)
        np.testing.assert_allclose(ours.g[ours.pairs.index(pair)], scale * theirs, rtol=1e-9)


def test_several_processes_give_the_same(two_species):
    universe = frames_universe(two_species)
    options = {"r_max": 5.0, "bin_width": 0.1}
    serial = RadialDistribution(universe.atoms, **options).run()
    parallel = RadialDistribution(universe.atoms, **options).run(
        backend="multiprocessing", n_workers=2
    )
    np.testing.assert_array_equal(serial.results.counts, parallel.results.counts)
    np.testing.assert_allclose(serial.results.g, parallel.results.g)


def test_molecule_counts_every_pair_once():
    water = molecule("H2O")
    analysis = run([water], r_max=3.0, bin_width=0.05)
    counts = analysis.results.counts[0].sum(axis=1)
    assert dict(zip(analysis.results.pairs, counts, strict=True)) == {
        "H-H": 1.0,
        "H-O": 2.0,
        "total": 3.0,
    }
    assert not analysis.results.periodic
    # V is that of the sphere of r_max: the distribution integrates to one over it
    volume = 4 / 3 * np.pi * 3.0**3
    shells = 4 / 3 * np.pi * np.diff(analysis.results.edges**3)
    np.testing.assert_allclose((analysis.results.g * shells).sum(axis=1) / volume, 1.0)


def test_molecule_pairs_beyond_the_range_are_counted():
    analysis = run([molecule("H2O")], r_max=1.2, bin_width=0.05)
    assert analysis.results.beyond[0].tolist() == [1.0, 0.0, 1.0]


def test_lone_atom_of_a_species_has_no_pair():
    assert run([molecule("H2O")], r_max=3.0).results.pairs == ["H-H", "H-O", "total"]
    with pytest.raises(InputError, match="expected at least two atoms, got one"):
        run([Atoms("Ar")], r_max=3.0)


@pytest.mark.parametrize(("name", "value"), [("r_max", 0.0), ("bin_width", -0.1)])
def test_lengths_must_be_positive(name, value):
    universe = frames_universe([molecule("H2O")])
    with pytest.raises(InputError, match=f"{name}: expected a length above 0 A, got {value}"):
        RadialDistribution(universe.atoms, **{"r_max": 3.0, "bin_width": 0.1, name: value})


def test_range_of_comparison():
    thin = np.array([[10.0, 0, 0], [9.0, 4.0, 0], [0, 0, 12.0]])
    # the shortest lattice vector is b - a = (-1, 4, 0)
    assert half_shortest_lattice_vector(thin) == pytest.approx(np.sqrt(17.0) / 2)
    assert default_r_max(ideal_gas(1, 5, 14.3), 0.05) == pytest.approx(7.15)
    assert default_r_max(ideal_gas(1, 5, 50.0), 0.05) == pytest.approx(10.0)
    assert default_r_max([molecule("H2O")], 0.05) > 1.25 * 1.52 + 0.9


def test_reference_must_be_one_system():
    with pytest.raises(InputError, match=r"frame 1: expected the atoms of frame 0 \(H2O\)"):
        frames_universe([molecule("H2O"), molecule("CH4")])
    with pytest.raises(InputError, match="expected at least one frame, got none"):
        frames_universe([])


def test_structure_factor_of_hard_sphere_hole():
    # g = 0 inside sigma, 1 outside: S(q) = 1 - 4 pi rho (sin x - x cos x) / q^3
    sigma, density, width = 3.0, 0.02, 0.01
    r = (np.arange(1000) + 0.5) * width
    q = np.linspace(0.05, 8.0, 40)
    found = structure_factor(q, r, (r > sigma).astype(float), density)
    x = q * sigma
    np.testing.assert_allclose(
        found, 1 - 4 * np.pi * density * (np.sin(x) - x * np.cos(x)) / q**3, atol=1e-9
    )
    np.testing.assert_allclose(structure_factor(q, r, np.ones(1000), density, window=True), 1.0)
    with pytest.raises(InputError, match=r"expected wave vectors above 0, got 0\.0"):
        structure_factor([0.0], r, np.ones(1000), density)


def test_first_minimum():
    r = np.linspace(0.05, 10, 200)
    g = 1 + np.where(r > 2.0, 2 * np.cos(2 * np.pi * (r - 3.0) / 3.0) * np.exp(-r / 5), -1.0)
    assert first_minimum(r, g) == pytest.approx(4.5, abs=0.15)
    assert first_minimum(r, np.zeros(200)) is None
    # noise of 0.1 per bin makes minima of its own, but none that it explains
    noisy = g + np.random.default_rng(1).normal(scale=0.1, size=200)
    assert first_minimum(r, noisy, np.full(200, 0.1 / np.sqrt(5))) == pytest.approx(4.5, abs=0.35)
    assert first_minimum(r, np.exp(-r) + 1.0 + (r < 3)) is None


def test_a_cell_and_its_supercell_have_the_same_curve():
    random = np.random.default_rng(3)
    cell = bulk("Cu", "fcc", a=3.61, cubic=True)  # no lattice vector on the edge of a bin
    small = []
    for _ in range(6):
        frame = cell.copy()
        frame.positions += random.normal(scale=0.05, size=(4, 3))
        small.append(frame)
    curves = [
        structure_of(run(frames, r_max=8.0, bin_width=0.05, self_images=True))
        for frames in (small, [frame * (3, 3, 3) for frame in small])
    ]
    metrics = compare_structures(*curves, provenance="p")
    assert all(metric.value < 1e-4 for metric in metrics if "sqrt" not in metric.name)
    assert all("r < 8 A in bins of 0.05 A" in metric.definition for metric in metrics)
