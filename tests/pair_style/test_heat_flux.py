# SPDX-License-Identifier: GPL-2.0-or-later
"""The heat flux is the time derivative of sum_i r_i e_i, or is refused; energies without E0."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from egraff.calculator import EgraffCalculator
from egraff.export import export_torchscript
from tests.pair_style.engine import must_fail, must_run, read_dump, write_data
from tests.pair_style.systems import ELEMENTS, SYSTEMS
from tests.pair_style.toy import toy

RANKS = pytest.mark.parametrize("ranks", [1, 2, 4])
SHIFT = {"H": -13.6, "O": -2041.3}  # eV, as all-electron calculations have them

# e_i from pe/atom and ke/atom, of a free cluster; three steps for a central difference
SCRIPT = """
units metal
boundary s s s
read_data cluster.data
neighbor 1.0 bin
pair_style egraff {options}
pair_coeff * * {model} O H
velocity all create 600 1 loop geom
fix move all nve
timestep {timestep}
compute kinetic all ke/atom
compute potential all pe/atom
compute energy all egraff/atom energy
compute stress all {stress} NULL virial
compute flux all heat/flux kinetic potential stress
dump atoms all custom 1 {name}.*.dump id type x y z vx vy vz fx fy fz &
    c_kinetic c_potential c_energy
dump_modify atoms sort id format float %.16g
thermo 1
thermo_style custom step pe press c_flux[1] c_flux[2] c_flux[3]
thermo_modify format float %.16g
run 2
"""
TIMESTEP = 2e-5  # ps


@pytest.fixture
def cluster(tmp_path):
    """A cluster in vacuum; `local.pt` and `second.pt` have one layer, `deep.pt` has three."""
    write_data(SYSTEMS["non-periodic"], tmp_path / "cluster.data", ELEMENTS)
    for name, options in {
        "local": {"n_layers": 1},
        "second": {"n_layers": 1, "seed": 1, "energy_shift": [-14.0, -2041.0]},
        "deep": {"n_layers": 3},
    }.items():
        model = toy(**{"energy_shift": list(SHIFT.values()), **options})
        export_torchscript(model, tmp_path / f"{name}.pt")
    return tmp_path


def script(
    model: str, options: str = "", *, stress: str = "centroid/stress/atom", name: str = "frame"
) -> str:
    return SCRIPT.format(options=options, model=model, stress=stress, timestep=TIMESTEP, name=name)


def frames(directory, name: str = "frame"):
    return [read_dump(directory / f"{name}.{step}.dump") for step in range(3)]


def vectors(frame, quantity: str):
    """Columns x, y, z of a quantity: `x`, `vx` or `fx` names the first."""
    return np.stack([frame[quantity[:-1] + axis] for axis in "xyz"], axis=1)


def moment(frame):
    """sum_i r_i e_i in eV Angstrom."""
    energies = frame["c_kinetic"] + frame["c_potential"]
    return (vectors(frame, "x") * energies[:, None]).sum(0)


def thermo(text: str):
    """Potential energy, pressure and flux (three components) at each step."""
    lines = text.splitlines()
    start = next(k for k, line in enumerate(lines) if line.split()[:2] == ["Step", "PotEng"])
    rows = np.array([line.split() for line in lines[start + 1 : start + 4]], dtype=float)
    return rows[:, 1], rows[:, 2], rows[:, 3:]


def derivative(directory):
    """d/dt sum_i r_i e_i at the second of three steps."""
    first, _, last = frames(directory)
    return (moment(last) - moment(first)) / (2 * TIMESTEP)


@RANKS
@pytest.mark.parametrize(
    ("model", "energies"), [("local.pt", "keep"), ("local.pt second.pt", "drop")]
)
def test_flux_of_a_local_model_is_exact(cluster, ranks, model, energies):
    text = must_run(script(model, f"reference_energies {energies}"), cluster, ranks=ranks)

    flux = thermo(text)[2][1]
    expected = derivative(cluster)
    assert np.abs(expected).max() > 5.0
    # the error of the central difference is 2e-6, a quarter of that for half the timestep

    assert flux == pytest.approx(expected, abs=1e-5 * np.abs(expected).max())


@RANKS
def test_flux_of_message_passing_is_refused(cluster, ranks):
    text = must_fail(script("deep.pt"), cluster, ranks=ranks, timeout=60)
    assert (
        "pair_style egraff: centroid_stress: expected a model without message passing for compute "
        "stress of style centroid/stress/atom, got deep.pt with 2 exchange(s)"
    ) in text
    assert "fix: use a strictly local model" in text
    assert "pair_style egraff centroid_stress approximate" in text
    assert not list(cluster.glob("frame.*"))  # before the first step


def test_flux_of_message_passing_is_an_approximation(cluster):
    """Accepted, it is what LAMMPS makes of the virials, and not the derivative."""
    options = "centroid_stress approximate reference_energies drop"
    text = must_run(script("deep.pt", options), cluster)
    flux, expected = thermo(text)[2][1], derivative(cluster)
    error = np.abs(flux - expected).max() / np.abs(expected).max()
    assert 0.01 < error < 0.2


def test_stress_of_pairs_is_no_heat_flux(cluster):
    warning = "WARNING: pair_style egraff: compute flux of style heat/flux has no compute centroid"
    assert warning in must_run(script("local.pt", stress="stress/atom"), cluster)
    assert warning not in must_run(script("local.pt"), cluster)


@RANKS
def test_energies_without_those_of_isolated_atoms(cluster, ranks):
    """Every energy is lower by that of an isolated atom; forces and pressure are as they were."""
    models = "local.pt second.pt"
    text = {
        name: must_run(
            script(models, f"reference_energies {name}", name=name), cluster, ranks=ranks
        )
        for name in ("keep", "drop")
    }
    alone = {}  # by type, the mean of the members
    for kind, element in enumerate(ELEMENTS, 1):
        atom = Atoms(element)
        energies = [
            EgraffCalculator(cluster / model).get_potential_energy(atom) for model in models.split()
        ]
        alone[kind] = np.mean(energies)
    for keep, drop in zip(frames(cluster, "keep"), frames(cluster, "drop"), strict=True):
        isolated = np.array([alone[kind] for kind in keep["type"]])
        # 16 digits of thousands of eV
        assert drop["c_potential"] == pytest.approx(keep["c_potential"] - isolated, abs=1e-10)
        assert (drop["c_energy"] == drop["c_potential"]).all()
        assert (vectors(drop, "fx") == vectors(keep, "fx")).all()
    (kept, kept_pressure, kept_flux), (dropped, pressure, flux) = map(thermo, text.values())
    assert dropped == pytest.approx(kept - isolated.sum(), abs=1e-8)
    assert dropped[2] == pytest.approx(drop["c_potential"].sum(), rel=1e-12)
    assert (pressure == kept_pressure).all()
    carried = (vectors(keep, "vx") * isolated[:, None]).sum(0)
    assert flux[2] == pytest.approx(kept_flux[2] - carried, abs=1e-8)


def test_what_is_dropped_is_logged(cluster):
    line = "energies are relative to isolated atoms, in eV: H="
    text = must_run(script("local.pt second.pt", "reference_energies drop"), cluster)
    assert text.count(line) == 2  # members
    energy = EgraffCalculator(cluster / "local.pt").get_potential_energy(Atoms("H"))
    assert f"{line}{energy:.10g} O=" in text
    assert line not in must_run(script("local.pt"), cluster)
