# SPDX-License-Identifier: GPL-2.0-or-later
"""The generator on a run of a few steps."""

import dataclasses
import sys

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator

from egraff.data import list_embedded, read_frames, reference_energies_from_atoms
from egraff.data.generate import __main__ as command
from egraff.data.generate.output import describe_file, write_frames
from egraff.data.generate.protocols import MOLECULE, PROTOCOLS, Run
from egraff.data.generate.sampling import displace_thermally, isolated_atoms, xtb_calculator
from egraff.errors import InputError

SHORT = {"temperature_K": 300.0, "friction_per_fs": 0.01, "steps_per_frame": 2}
TINY = dataclasses.replace(
    MOLECULE,
    runs=(
        Run(split="train", seed=1, equilibration_steps=3, n_frames=4, **SHORT),
        Run(split="path", seed=2, equilibration_steps=0, n_frames=3, time_ordered=True, **SHORT),
    ),
)


class Springs(Calculator):
    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=None, system_changes=None):
        super().calculate(atoms)
        self.results = {"energy": np.sum(atoms.positions**2), "forces": -2 * atoms.positions}


def test_the_command_writes_files_and_manifest_and_repeats_itself(tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(PROTOCOLS, "molecule", TINY)
    for folder in ("first", "second"):
        arguments = ["generate", "--set", "molecule", "--out", str(tmp_path / folder)]
        monkeypatch.setattr(sys, "argv", arguments)
        command.main()
    # the calculator is silent: only progress is printed
    lines = capfd.readouterr().out.splitlines()
    assert all(line.startswith(("train", "path", str(tmp_path))) for line in lines)
    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert names == ["isolated_atoms.xyz.gz", "manifest.json", "path.xyz.gz", "train.xyz.gz"]
    for name in names:
        first, second = tmp_path / "first" / name, tmp_path / "second" / name
        assert first.read_bytes() == second.read_bytes(), name
    frames = read_frames(tmp_path / "first" / "path.xyz.gz")
    assert [frame.info["time_fs"] for frame in frames] == [0.0, 1.0, 2.0]
    assert "momenta" in frames[0].label_keys
    assert len(read_frames(tmp_path / "first" / "train.xyz.gz")) == 4


def test_isolated_atoms_are_the_shipped_ones(tmp_path):
    write_frames(tmp_path / "atoms.xyz.gz", isolated_atoms(MOLECULE))
    energies = reference_energies_from_atoms(tmp_path / "atoms.xyz.gz")
    # half of the bond of H2 away from the molecule
    assert energies["H"] == pytest.approx(-11.6817, abs=1e-3)
    assert set(energies) == {"C", "H", "O"}
    assert "spin-polarised" in list_embedded()["molecule"]["isolated_atoms"]


def test_thermal_displacements_cost_three_halves_kt():
    atoms = Atoms("Ar50", np.zeros((50, 3)), calculator=Springs())
    width = displace_thermally(atoms, 300.0, np.random.default_rng(0))
    wanted = 1.5 * 50 * units.kB * 300.0
    assert atoms.get_potential_energy() == pytest.approx(wanted, rel=1e-9)
    assert width == pytest.approx(np.sqrt(units.kB * 300.0 / 2), rel=0.1)


def test_a_missing_tblite_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "tblite.ase", None)
    with pytest.raises(InputError, match=r"tblite, which is not installed\n  fix: pip install"):
        xtb_calculator("GFN2-xTB", accuracy=1.0)


def test_the_pressure_of_a_file_is_without_motion(tmp_path):
    frames = []
    for size in (0.01, 0.03):
        frame = Atoms("Ar2", positions=[[0, 0, 0], [2, 0, 0]], cell=[5.0] * 3, pbc=True)
        stress = [-size, -size, -size, 0.0, 0.0, 0.0]
        labels = {"energy": 1.0, "forces": np.zeros((2, 3)), "stress": stress}
        frame.calc = SinglePointCalculator(frame, **labels)
        frames.append(frame)
    write_frames(tmp_path / "a.xyz.gz", frames)
    entry = describe_file(tmp_path / "a.xyz.gz", frames)
    assert entry["static_pressure_mean_eV_per_A3"] == pytest.approx(0.02)
    assert "pressure_mean_eV_per_A3" not in entry
