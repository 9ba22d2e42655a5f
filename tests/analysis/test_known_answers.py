# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers and units that `egraff analyse` writes of runs whose answers are plain arithmetic."""

import ase.io
import numpy as np
import pytest
from ase import Atoms

from egraff.analysis.equivariance import equivariance_errors
from egraff.analysis.parameters import Parameters
from egraff.analysis.reference import read_reference
from egraff.analysis.runs import read_run
from tests.analysis.dumps import log_text, write_run
from tests.analysis.runs import analyse_run, result_of, run_of
from tests.analysis.systems import Broken

WIDTH = 0.1


def dimers(*lengths):
    return [Atoms("Ar2", positions=[[0.0, 0.0, 0.0], [length, 0.0, 0.0]]) for length in lengths]


def compared(tmp_path, run, reference):
    """Metrics of a run of dimers against a reference of dimers."""
    ase.io.write(tmp_path / "reference.xyz", reference)
    directory = run_of(tmp_path / "run", run)
    parameters = Parameters(bin_width=WIDTH, r_max=4.0)
    analyse_run(
        read_run(directory),
        reference=read_reference(tmp_path / "reference.xyz"),
        parameters=parameters,
    )
    return result_of(directory)[1]


def shell(low):
    return (low + WIDTH) ** 3 - low**3


# half an Angstrom apart without overlap: g is one over the volume of its shell
_PLAIN = 1.0 + (shell(3.0) / shell(2.5)) ** 2
APART = {
    "wright_factor": (_PLAIN, "1"),
    "wright_factor_sqrt": (np.sqrt(_PLAIN), "1"),
    "jensen_shannon": (np.log(2.0), "nat"),
    "wasserstein": (0.5, "A"),
}


def test_structures_without_a_common_distance(tmp_path):
    metrics = compared(tmp_path, dimers(*[2.55] * 30), dimers(*[3.05] * 30))
    for name, (value, unit) in APART.items():
        found = metrics[f"{name}[Ar-Ar]"]
        assert found.value == pytest.approx(value, rel=1e-9), name
        assert found.unit == unit, name


def test_structures_that_are_the_same(tmp_path):
    metrics = compared(tmp_path, dimers(*[2.55] * 30), dimers(*[2.55] * 30))
    for name in ("wright_factor", "wright_factor_sqrt", "jensen_shannon", "wasserstein"):
        for prefix in ("", "noise_floor_"):
            assert metrics[f"{prefix}{name}[Ar-Ar]"].value == pytest.approx(0.0, abs=1e-12), name
    assert metrics["wright_factor[Ar-Ar]"].noise == pytest.approx(0.0, abs=1e-12)


def test_noise_floor_of_a_reference_whose_halves_differ(tmp_path):
    metrics = compared(tmp_path, dimers(*[2.55] * 30), dimers(*[3.05] * 15, *[2.55] * 15))
    for name, (value, unit) in APART.items():
        found = metrics[f"noise_floor_{name}[Ar-Ar]"]
        assert found.value == pytest.approx(value, rel=1e-9), name
        assert (found.unit, found.error) == (unit, None), name


def test_thermo_output(tmp_path):
    # deviations of equal size and random sign: the mean and the scatter are known
    sign = np.random.default_rng(0).permutation(np.repeat([-1.0, 1.0], 500))
    columns = ("Step", "Temp", "Press", "Volume")
    rows = [(i, 300.0 + 9.0 * s, -50.0 + 70.0 * s, 200.0 - 4.0 * s) for i, s in enumerate(sign)]
    run = write_run(
        tmp_path / "run", [], log=log_text(columns, rows), ensemble="npt", temperature_K=300.0
    )
    analyse_run(read_run(run))
    metrics = result_of(run)[1]
    expected = {
        "temperature": (300.0, 9.0, "K"),
        "pressure": (-50.0, 70.0, "bar"),
        "volume": (200.0, 4.0, "A^3"),
    }
    for name, (mean, scatter, unit) in expected.items():
        found = metrics[name]
        assert found.value == pytest.approx(mean, abs=4.0 * found.error), name
        assert found.error == pytest.approx(scatter / np.sqrt(1000), rel=0.3), name
        assert found.unit == unit, name
    assert metrics["pressure_fluctuation"].value == pytest.approx(70.0, rel=1e-2)
    assert metrics["pressure_fluctuation"].unit == "bar"
    # ns/day as the run recorded it
    assert (metrics["speed"].value, metrics["speed"].unit) == (1.5, "ns/day")


class PushesFirstAtom(Broken):
    """Off by 70 meV/A on whichever atom is first, along x: neither order nor frame matter to it."""

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["forces"][0, 0] += 0.07


class PushesWhereAtomsAre(Broken):
    """Off by 20 meV/A for each Angstrom of an atom's x coordinate."""

    def calculate(self, atoms=None, *args, **kwargs):
        super().calculate(atoms, *args, **kwargs)
        self.results["forces"][:, 0] += 0.02 * atoms.positions[:, 0]


def test_errors_of_a_model_without_symmetry():
    atoms = Atoms("Ar3", positions=[[0, 0, 0], [4, 0, 0], [0, 5, 1]])
    of = {m.name: m for m in equivariance_errors(atoms, PushesFirstAtom(), provenance="p")}
    # another atom is first in at least one of the permutations
    assert of["permutation_error"].value == pytest.approx(70.0, rel=1e-6)
    assert of["translation_error"].value == pytest.approx(0.0, abs=1e-6)
    of = {m.name: m for m in equivariance_errors(atoms, PushesWhereAtomsAre(), provenance="p")}
    assert of["permutation_error"].value == pytest.approx(0.0, abs=1e-6)
    # translations reach 5 A either way
    assert 1.0 < of["translation_error"].value <= 100.0
    assert {m.unit for m in of.values()} == {"meV/A", "meV/atom"}
