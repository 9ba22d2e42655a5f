# SPDX-License-Identifier: GPL-2.0-or-later
import json
import pickle
import zlib

import ase.db
import lmdb
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from egraff.data.importers.units import ENERGIES
from tests.data.imports import agrees, imported, refused
from tests.data.trajectories import crystal, molecule

KCAL = ENERGIES["kcal/mol"]


def images(arrays):
    cell = arrays.get("cell")
    return [
        Atoms(arrays["atomic_numbers"], positions, cell=cell, pbc=cell is not None)
        for positions in arrays["pos"]
    ]


def test_databases_of_ase_are_in_ev(tmp_path):
    arrays = crystal()
    with ase.db.connect(tmp_path / "a.db") as database:
        for atoms, energy, forces in zip(
            images(arrays), arrays["energy"], arrays["forces"], strict=True
        ):
            atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
            database.write(atoms)
    agrees(imported(tmp_path / "a.db", "ase-db", tmp_path / "out", "a"), arrays)


def schnetpack(path, arrays, metadata, unit=KCAL):
    with ase.db.connect(path) as database:
        database.metadata = metadata
        for atoms, energy, forces in zip(
            images(arrays), arrays["energy"], arrays["forces"], strict=True
        ):
            database.write(
                atoms, data={"energy": np.array([energy / unit]), "forces": forces / unit}
            )
    return path


def test_databases_of_schnetpack_state_their_units(tmp_path):
    arrays = molecule()
    units = {"_property_unit_dict": {"energy": "kcal/mol", "forces": "kcal/mol/Ang"},
             "_distance_unit": "Ang"}  # fmt: skip
    source = schnetpack(tmp_path / "a.db", arrays, units)
    agrees(imported(source, "ase-db", tmp_path / "out", "a"), arrays)


def test_databases_without_units_are_refused(tmp_path):
    source = schnetpack(tmp_path / "a.db", molecule(), {})
    text = "found none; their size is that of energies in kcal/mol"
    refused(text, source, "ase-db", tmp_path / "out")


def test_labels_of_other_shapes_are_refused(tmp_path):
    with ase.db.connect(tmp_path / "a.db") as database:
        database.write(Atoms("H2", [[0, 0, 0], [0, 0, 0.7]]), data={"forces": np.zeros((3, 3))})
    refused(r"frame 0, forces: expected shape \(2, 3\), got \(3, 3\)",
            tmp_path / "a.db", "ase-db", tmp_path / "out")  # fmt: skip


def test_a_crystal_whose_cell_was_lost_is_refused(tmp_path):
    arrays = crystal()
    arrays["pos"] = (arrays["pos"] - 0.1) % 6.0
    del arrays["cell"]
    units = {"_property_unit_dict": {"energy": "eV", "forces": "eV/Ang"}}
    source = schnetpack(tmp_path / "a.db", arrays, units, unit=1.0)
    out = tmp_path / "out"
    refused(r"atoms that leap by \d\.\d A.*whose cell was lost", source, "ase-db", out)
    frames = imported(source, "ase-db", out, "a", periodic=False)
    assert len(frames) == 30


def test_files_that_are_no_databases_are_refused(tmp_path):
    (tmp_path / "a.db").write_text("nothing of the kind, but long enough to be one of those")
    refused("expected an ASE database, got", tmp_path / "a.db", "ase-db", tmp_path / "out")
    ase.db.connect(tmp_path / "b.db").metadata = {}
    refused("holds no rows", tmp_path / "b.db", "ase-db", tmp_path / "out")


def write_lmdb(path, records):
    with (
        lmdb.open(str(path), subdir=False, map_size=1 << 24) as environment,
        environment.begin(write=True) as transaction,
    ):
        for key, value in records.items():
            transaction.put(key.encode(), value)
    return path


def rows(arrays):
    return {
        str(i + 1): {
            "numbers": arrays["atomic_numbers"].tolist(),
            "positions": arrays["pos"][i].tolist(),
            "cell": arrays["cell"].tolist(),
            "pbc": [True] * 3,
            "energy": float(arrays["energy"][i]),
            "forces": arrays["forces"][i].tolist(),
            "data": {},
            "key_value_pairs": {},
        }
        for i in range(len(arrays["pos"]))
    }


@pytest.mark.parametrize("pack", [str.encode, lambda text: zlib.compress(text.encode())])
def test_lmdb_of_json_is_read_in_the_order_of_numbers(tmp_path, pack):
    arrays = crystal(12)
    records = {key: pack(json.dumps(row)) for key, row in rows(arrays).items()}
    records |= {"nextid": pack("13"), "metadata": pack("{}")}
    source = write_lmdb(tmp_path / "a.aselmdb", records)
    agrees(imported(source, "lmdb", tmp_path / "out", "a"), arrays)


def test_labels_of_lmdb_that_are_not_those_of_ase_need_a_unit(tmp_path):
    records = {}
    for key, row in rows(crystal(12)).items():
        row["data"] = {"energy": [row.pop("energy")]}
        records[key] = json.dumps(row).encode()
    source = write_lmdb(tmp_path / "a.lmdb", records)
    refused("unit of energy, found none", source, "lmdb", tmp_path / "out")
    agrees(imported(source, "lmdb", tmp_path / "out", "a", energy_unit="eV"), crystal(12))


def test_pickles_in_lmdb_are_refused_and_not_read(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was read",))

    source = write_lmdb(tmp_path / "a.lmdb", {"0": pickle.dumps(Trap(), protocol=5)})
    refused("record 0: this record is a Python pickle", source, "lmdb", tmp_path / "out")


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (b"\x93NUMPY", "record 0: expected JSON, plain or compressed by zlib"),
        (b"\x78\x9cnothing", "record 0: expected JSON"),
        (b"[1, 2]", "record 0: expected the fields of a row, got list"),
        (b'{"numbers": [1]}', "frame 0: expected numbers, positions, cell and pbc, got KeyError"),
    ],
)
def test_other_records_in_lmdb_are_refused(tmp_path, record, text):
    source = write_lmdb(tmp_path / "a.lmdb", {"0": record})
    refused(text, source, "lmdb", tmp_path / "out")


def test_records_that_swell_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("egraff.data.importers.lmdb_file._LARGEST", 1 << 20)
    source = write_lmdb(tmp_path / "a.lmdb", {"0": zlib.compress(b" " * (2 << 20))})
    refused("more than 1 MiB", source, "lmdb", tmp_path / "out")


def test_files_that_are_no_lmdb_are_refused(tmp_path):
    (tmp_path / "a.lmdb").write_bytes(b"0" * 8192)
    refused("expected an LMDB file, got", tmp_path / "a.lmdb", "lmdb", tmp_path / "out")
    refused("holds no frames", write_lmdb(tmp_path / "b.lmdb", {}), "lmdb", tmp_path / "out")


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    source = write_lmdb(tmp_path / "a.lmdb", {})
    monkeypatch.setitem(__import__("sys").modules, "lmdb", None)
    refused(r"expected the package lmdb.*\n.*egraff\[data\]", source, "lmdb", tmp_path / "out")
