# SPDX-License-Identifier: GPL-2.0-or-later
"""A run that stops itself, with the configuration saved, and `check yes`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch

from egraff.calculator import EgraffCalculator
from egraff.export import export_torchscript
from egraff.models.base import ForceField, ModelConfig
from tests.pair_style.conftest import SETUP, START, STYLE
from tests.pair_style.engine import must_fail, must_run, read_dump, run_lmp, write_data
from tests.pair_style.systems import SYSTEMS
from tests.pair_style.toy import ToyConfig

RANKS = pytest.mark.parametrize("ranks", [1, 2, 4])
GRAPH = pytest.mark.parametrize("graph", ["host", "device"])


def with_options(options: str, setup: str = SETUP) -> str:
    return setup + STYLE.replace("egraff", f"egraff {options}", 1)


def forces():
    """Return the model's forces on the atoms of system.data."""
    atoms = SYSTEMS["orthogonal"].copy()
    atoms.calc = EgraffCalculator("m.pt")
    return atoms.get_forces()


@pytest.fixture(autouse=True)
def _inside(here, monkeypatch):
    monkeypatch.chdir(here)


@RANKS
@GRAPH
def test_short_distances_stop_the_run(here, ranks, graph):
    distances = SYSTEMS["orthogonal"].get_all_distances(mic=True)
    np.fill_diagonal(distances, np.inf)
    shortest = distances.min()

    def script(limit: float) -> str:
        return with_options(f"min_distance {limit} graph {graph}") + "run 0\n"

    must_run(script(shortest - 1e-6), here, ranks=ranks)
    text = must_fail(script(shortest + 1e-6), here, ranks=ranks)

    assert f"m.pt: expected distances of at least min_distance {shortest + 1e-6:g}" in text
    assert f"got {shortest:.6g} at step 0 between atom " in text
    assert "the configuration is in egraff_stopped.lammpstrj" in text
    pair = np.unravel_index(distances.argmin(), distances.shape)
    assert any(f"between atom {k + 1} of type" in text for k in pair)
    saved = read_dump(here / "egraff_stopped.lammpstrj")
    assert np.abs(saved["x"] - SYSTEMS["orthogonal"].positions[:, 0]).max() < 1e-12


@pytest.mark.parametrize(
    ("names", "ranks", "graph"), [("H-O", 2, "host"), ("O-O", 1, "device"), ("H-H", 1, "host")]
)
def test_every_pair_of_elements_has_a_limit_of_its_own(here, names, ranks, graph):
    """The pair named is held to its limit, and no other, however close those come."""
    system = SYSTEMS["orthogonal"]
    distances = system.get_all_distances(mic=True)
    symbols = np.array(system.get_chemical_symbols())
    pair = np.array([["-".join(sorted((a, b))) == names for b in symbols] for a in symbols])
    shortest = distances[pair & (distances > 0)].min()

    def script(limit: float) -> str:
        back = "-".join(reversed(names.split("-")))
        return with_options(f"min_distance {back}:{limit:.9g} graph {graph}") + "run 0\n"

    must_run(script(shortest - 1e-6), here, ranks=ranks)
    text = must_fail(script(shortest + 1e-6), here, ranks=ranks)

    assert f"of at least min_distance {shortest + 1e-6:g}, got {shortest:.6g} at step 0" in text


@RANKS
@GRAPH
def test_large_forces_stop_the_run(here, ranks, graph):
    """Forces on an atom, summed over ranks and periodic images, not those of single edges."""
    sizes = np.linalg.norm(forces(), axis=1)
    largest = sizes.max()

    def script(limit: float) -> str:
        return with_options(f"max_force {limit} graph {graph}") + "run 0\n"

    must_run(script(largest * 1.0001), here, ranks=ranks)
    text = must_fail(script(largest * 0.9999), here, ranks=ranks)

    assert "expected forces of at most max_force" in text
    assert f"got {largest:.6g} at step 0 on atom {sizes.argmax() + 1} of type" in text


def test_limits_are_in_the_units_of_the_input(here):
    largest = np.linalg.norm(forces(), axis=1).max()
    kcal = largest * 23.060547830619  # kcal/mol per eV, LAMMPS's own constants
    setup = SETUP.replace("metal", "real")
    must_run(with_options(f"max_force {kcal * 1.0001}", setup) + "run 0\n", here)
    text = must_fail(with_options(f"max_force {kcal * 0.999}", setup) + "run 0\n", here)
    assert f"got {kcal:.4g}"[:7] in text


def test_limits_are_for_dynamics(here):
    """A minimiser may start from what no run should visit."""
    limits = with_options("min_distance 3 max_force 1e-6")
    must_run(limits + "minimize 0 1e-3 5 10\n", here)
    assert "min_distance 3" in must_fail(limits + "minimize 0 1e-3 5 10\nrun 0\n", here)


def test_partitions_save_files_of_their_own(here):
    script = with_options("max_force 1e-6") + "run 0\n"
    done = run_lmp(script, here, ranks=2, arguments=("-partition", "2x1"))
    assert done.returncode != 0
    # whichever fails first ends the other
    assert list(here.glob("egraff_stopped.[01].lammpstrj"))


@RANKS
@pytest.mark.parametrize("mode", ["auto", "exchange", "extended"])
@pytest.mark.parametrize("more", ["", "graph device", "committee"])
def test_check_leaves_nothing_behind(here, ranks, mode, more):
    """Twenty steps on one neighbour list are the same with and without the comparison."""
    dynamics = """
velocity all create 300 1 loop geom
fix nve all nve
timestep 0.0002
thermo 20
thermo_modify format float %.16g
run 20
print "$(etotal:%.16g) $(pe:%.16g) $(pxx:%.16g) $(pyz:%.16g)" file {check}.txt
"""
    models = "m.pt second.pt" if "committee" in more else "m.pt"
    for check in ("yes", "no"):
        options = f"mode {mode} check {check} {more.removeprefix('committee')}"
        script = with_options(options).replace("m.pt", models)
        text = must_run(script + dynamics.format(check=check), here, ranks=ranks)
        assert "Neighbor list builds = 0" in text
    assert (here / "yes.txt").read_text() == (here / "no.txt").read_text()


@RANKS
@pytest.mark.parametrize("mode", ["auto", "exchange", "extended"])
@pytest.mark.parametrize("model", ["m.pt", "single.pt"])
def test_check_compares_two_modes(here, ranks, mode, model):
    script = with_options(f"mode {mode} check yes").replace("m.pt", model)
    text = must_run(script + "run 1\nprint $(pe:%.15g) file e.txt\n", here, ranks=ranks)

    second = {"exchange": "fold" if ranks == 1 else "extended", "extended": "exchange"}
    first = mode if mode != "auto" else "fold" if ranks == 1 else "exchange"
    other = "exchange" if first == "fold" else second[first]
    line = f"modes {first} and {other} on {ranks} rank(s), step 0: atomic energies differ by up to"
    assert text.count(line) == 1


class Global(ForceField):
    """Breaks the contract: energies depend on how many nodes there are, which modes change."""

    architecture: ClassVar[str] = "global"
    citations: ClassVar[list[str]] = ["Nobody"]
    Config: ClassVar[type[ModelConfig]] = ToyConfig

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.exchange_widths = [1]  # it does not pass for a local model

    def forward(
        self,
        species: torch.Tensor,
        edge_index: torch.Tensor,
        edge_vec: torch.Tensor,
        n_local: int,
    ) -> dict[str, torch.Tensor]:
        """Sum over pairs, and add a thousandth of the number of nodes to every energy."""
        pairs = (16.0 - edge_vec.pow(2).sum(1)).pow(3)
        energy = torch.zeros(n_local, dtype=torch.float64, device=edge_vec.device)
        energy = energy.index_add(0, edge_index[0], 1e-4 * pairs.to(torch.float64))
        return {"atomic_energy": energy + 1e-3 * species.shape[0]}


@RANKS
def test_check_finds_a_model_that_breaks_the_contract(here, ranks):
    model = Global(ToyConfig(elements=["H", "O"], r_max=4.0, avg_num_neighbours=20.0))
    export_torchscript(model, here / "global.pt")
    script = with_options("check yes").replace("m.pt", "global.pt")
    text = must_fail(script + "run 0\n", here, ranks=ranks)

    assert "pair_style egraff: check: expected differences of at most" in text
    assert "fix: do not trust this run" in text


def test_triclinic_boxes_are_saved_too(here):
    atoms = SYSTEMS["triclinic"]
    write_data(atoms, here / "triclinic.data", ["O", "H"])
    script = with_options("min_distance 3.9").replace("system.data", "triclinic.data")
    must_fail(script + "run 0\n", here)
    assert "xy xz yz" in (here / "egraff_stopped.lammpstrj").read_text()


def test_no_limit_costs_nothing_and_stops_nothing(here):
    must_run(START + "run 0\nprint $(pe:%.15g) file a.txt\n", here)
    must_run(
        with_options("min_distance 0 max_force 0") + "run 0\nprint $(pe:%.15g) file b.txt\n", here
    )
    assert (here / "a.txt").read_text() == (here / "b.txt").read_text()
    assert not (here / "egraff_stopped.lammpstrj").exists()
