# SPDX-License-Identifier: GPL-2.0-or-later
"""The exported file: what it says of itself, and that it is the model that was trained."""

import json
import zipfile

import pytest
import torch
from ase import Atoms
from ase.build import bulk

from egraff import export
from egraff.calculator import EgraffCalculator
from egraff.errors import DisagreementError
from egraff.export import agreement, prepare, torchscript
from egraff.forces import predict
from egraff.graph import build_graph
from egraff.metadata import read_metadata
from tests.conftest import tiny_nequip
from tests.pair_style.toy import Toy, toy


def cluster() -> Atoms:
    return Atoms("OHH", positions=[[0, 0, 0], [0.9, 0.3, 0.1], [-0.2, 0.8, 0.3]])


def test_metadata_says_what_an_engine_must_know(exported):
    path = exported("float32")
    metadata = read_metadata(path)
    assert metadata["contract"] == 2
    assert metadata["architecture"] == "nequip"
    assert metadata["elements"] == ["Li", "F"]
    assert metadata["r_max"] == 4.0
    assert metadata["dtype"] == "float32"
    assert metadata["exchange_widths"] == [18, 30]
    assert metadata["units"] == {"energy": "eV", "length": "Angstrom"}
    assert metadata["torch_version"] == torch.__version__.split("+")[0]
    assert any("NequIP" in citation for citation in metadata["citations"])
    assert metadata["weights_sha256"] == prepare.weights_sha256(tiny_nequip("float32"))


def test_the_stored_frame_reproduces(exported):
    frame = read_metadata(exported("float64"))["check_frame"]
    model = tiny_nequip("float64")
    graph = build_graph(
        frame["symbols"],
        frame["positions"],
        frame["cell"],
        frame["pbc"],
        elements=model.elements,
        r_max=model.r_max,
    )
    result = predict(model, graph)
    assert len(frame["symbols"]) > 7
    assert result.energy.item() == pytest.approx(frame["energy"], abs=frame["energy_tolerance"])
    forces = torch.tensor(frame["forces"], dtype=torch.float64)
    assert (result.forces - forces).abs().max() < frame["force_tolerance"]
    assert forces.abs().max() > 0.01, "a frame without forces would check nothing"


def test_a_frame_of_the_user_is_stored(tmp_path):
    atoms = bulk("LiF", "rocksalt", a=4.0, cubic=True)
    atoms.rattle(0.05, seed=2)
    metadata = export.export_torchscript(tiny_nequip(), tmp_path / "m.egraff.pt", structure=atoms)
    assert metadata["check_frame"]["positions"] == atoms.positions.tolist()


def test_a_frame_with_too_many_edges_is_replaced(tmp_path):
    atoms = bulk("LiF", "rocksalt", a=4.0, cubic=True) * (3, 3, 3)
    metadata = export.export_torchscript(tiny_nequip(), tmp_path / "m.egraff.pt", structure=atoms)
    made_up = prepare.made_up_structure(["Li", "F"])
    assert metadata["check_frame"]["positions"] == made_up.positions.tolist()


@pytest.mark.parametrize("elements", [["H"], ["H", "C", "N", "O", "S"], ["Cs", "F"]])
def test_made_up_structures_hold_every_element_at_sane_distances(elements):
    atoms = prepare.made_up_structure(elements)
    assert set(atoms.get_chemical_symbols()) == set(elements)
    distances = atoms.get_all_distances(mic=True)
    assert distances[distances > 0].min() > 0.5


def test_file_is_an_archive_with_readable_json(exported):
    with zipfile.ZipFile(exported("float32")) as archive:
        name = next(n for n in archive.namelist() if n.endswith("extra/egraff.json"))
        assert json.loads(archive.read(name))["contract"] == 2


def test_refuses_to_write_a_model_that_disagrees(tmp_path, monkeypatch):
    def broken(model, **options):
        scripted = scripted_truly(model, **options)
        with torch.no_grad():
            scripted.scale_shift.scale.mul_(1.001)
        return scripted

    scripted_truly = torchscript.jit.script
    monkeypatch.setattr(torchscript.jit, "script", broken)
    target = tmp_path / "m.egraff.pt"
    with pytest.raises(
        DisagreementError,
        match=r"exported and eager model, check frame: atomic_energy differ by .* eV, "
        r"expected at most .*; this is a defect of the export",
    ):
        export.export_torchscript(tiny_nequip(), target)
    assert not target.exists()


def test_not_a_number_is_a_disagreement():
    model = tiny_nequip()
    other = tiny_nequip()
    with torch.no_grad():
        other.scale_shift.scale.fill_(float("nan"))
    graph = prepare.verification_frames(model, None)[0][1]
    with pytest.raises(DisagreementError, match="differ by nan"):
        export.compare(model, other, graph, what="two models")


def test_empty_rank_and_isolated_atoms_are_verified():
    frames = prepare.verification_frames(
        tiny_nequip(), Atoms("LiF", positions=[[0, 0, 0], [2, 0, 0]])
    )
    _, apart, empty = (graph for _, graph in frames)
    assert apart.edge_index.shape[1] == 0
    assert apart.n_atoms == 2
    assert empty.n_atoms == 0


class Cancelling(Toy):
    """Its energies are what is left of two large terms, and so is what rounds."""

    def forward(self, species, edge_index, edge_vec, n_local):
        outputs = super().forward(species, edge_index, edge_vec, n_local)
        large = self.size * edge_vec[:, 0].abs().sum()
        energy = (outputs["atomic_energy"].to(edge_vec.dtype) + large) - large
        return {**outputs, "atomic_energy": energy.to(torch.float64)}


@pytest.mark.parametrize(("size", "least"), [(1e2, 1e-6), (1e3, 1e-5)])
def test_rounding_loosens_the_comparison(size, least):
    model = Cancelling(toy(dtype="float32").config)
    model.size = size
    graph = prepare.verification_frames(model, cluster())[0][1]
    allowed = agreement.tolerance_on(model, graph, least=1e-7)
    assert least < allowed <= 2 * agreement.LARGEST_ROUNDING
    assert agreement.tolerance_on(model, graph, least=1.0) == 1.0


@pytest.mark.parametrize("size", [1e6, float("nan")])
def test_a_model_of_rounding_alone_is_not_exported(tmp_path, size):
    """A tolerance that followed it would let anything pass."""
    model = Cancelling(toy(dtype="float32").config)
    model.size = size
    with pytest.raises(
        DisagreementError, match=r"within 3e-04 of its float64 form, .*, got .*\n  fix: export with"
    ):
        export.export_torchscript(model, tmp_path / "m.egraff.pt", structure=cluster())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("pbc", "cell"),
    [
        (False, None),
        (True, [[3.1, 0, 0], [0.7, 3.4, 0], [-1.2, 0.4, 3.9]]),
        ([True, True, False], [[3.1, 0, 0], [0.7, 3.4, 0], [0, 0, 0]]),
        ([False, True, False], [[0, 0, 0], [0.3, 3.2, 0.5], [0, 0, 0]]),
        ([True, False, True], [[3.1, 0.2, 0], [5, 5, 5], [0, 0.4, 3.9]]),
    ],
)
def test_the_core_finds_the_neighbours_of_the_stored_frame(tmp_path, pbc, cell):
    """Cells smaller than the cutoff, open directions, atoms outside the cell, cutoffs of pairs."""
    atoms = Atoms("OHHO", positions=[[0, 0, 0], [1, 7, 0.2], [-6, 0.3, 1], [0.5, 1.2, 9]])
    atoms.set_cell(cell)
    atoms.pbc = pbc
    for options in ({}, {"pair_cutoffs": {"H": 2.6, "O": {"H": 3.1}}}):
        path = tmp_path / "m.egraff.pt"
        export.export_torchscript(toy(**options), path, structure=atoms)
        frame = read_metadata(path)["check_frame"]
        assert frame["positions"] == atoms.positions.tolist()
        assert frame["energy_tolerance"] < 1e-6
        EgraffCalculator(path)  # which would refuse another energy
