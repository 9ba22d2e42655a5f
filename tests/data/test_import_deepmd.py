# SPDX-License-Identifier: GPL-2.0-or-later
import numpy as np
import pytest

from egraff.data.importers import ImportOptions, import_data
from tests.data.imports import agrees, imported, refused
from tests.data.trajectories import crystal


def deepmd(folder, arrays, raw=False, sets=1):
    folder.mkdir(parents=True)
    n_frames = len(arrays["pos"])
    (folder / "type.raw").write_text("".join(f"{t}\n" for t in [0] * 4 + [2] * 4))
    (folder / "type_map.raw").write_text("Li\nP\nS\n")
    stress = np.array([[0.1, 0.02, 0.0], [0.02, -0.3, 0.0], [0.0, 0.0, 0.2]])
    rows = {
        "coord": arrays["pos"].reshape(n_frames, -1),
        "force": arrays["forces"].reshape(n_frames, -1),
        "energy": arrays["energy"],
        "box": np.tile(arrays["cell"].ravel(), (n_frames, 1)),
        "virial": np.tile(-(stress * 216.0).ravel(), (n_frames, 1)),
    }
    for number in range(1 if raw else sets):
        part = folder if raw else folder / f"set.{number:03d}"
        part.mkdir(exist_ok=True)
        for name, values in rows.items():
            if raw:
                np.savetxt(part / f"{name}.raw", values)
            else:
                np.save(part / f"{name}.npy", np.array_split(values, sets)[number])
    return stress


@pytest.mark.parametrize("shape", [{"raw": True}, {"sets": 1}, {"sets": 3}])
def test_deepmd_systems_are_read_whole_with_their_stress(tmp_path, shape):
    arrays = crystal()
    stress = deepmd(tmp_path / "copy" / "Li4S4", arrays, **shape)
    frames = imported(tmp_path / "copy", "deepmd", tmp_path / "out", "Li4S4")
    agrees(frames, arrays)
    # virial = -stress volume; a tension is positive
    np.testing.assert_allclose(frames[0].stress, stress, atol=1e-12)
    np.testing.assert_array_equal(frames[0].cell, 6.0 * np.eye(3))


def test_deepmd_boxes_may_mean_nothing(tmp_path):
    deepmd(tmp_path / "copy", crystal())
    (tmp_path / "copy" / "nopbc").touch()
    frames = imported(tmp_path / "copy", "deepmd", tmp_path / "out", "copy", frames="0:2")
    assert len(frames) == 2
    assert not frames[0].pbc.any()
    assert frames[0].stress is None


def test_what_is_not_read_of_a_system_is_told(tmp_path):
    deepmd(tmp_path / "copy", crystal())
    np.save(tmp_path / "copy" / "set.000" / "spin.npy", np.zeros((30, 24)))
    result = import_data(tmp_path / "copy", "deepmd", tmp_path / "out", ImportOptions())
    assert "copy: not read: spin" in result.remarks


def _elements(folder):
    (folder / "type_map.raw").unlink()


def _short(folder):
    np.save(folder / "set.000" / "energy.npy", np.zeros(3))


def _cut(folder):
    path = folder / "set.000" / "coord.npy"
    path.write_bytes(path.read_bytes()[:500])


def _pickle(folder):
    np.save(folder / "set.000" / "coord.npy", np.array([{}], dtype=object))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_elements, "expected type_map.raw.*\n.*--elements"),
        (lambda f: (f / "type_map.raw").write_text("Li\nXx\nS\n"), "got Xx as element"),
        (lambda f: (f / "type_map.raw").write_text("Li\nP\n"), r"got types \[0, 2\] for 2 el"),
        (lambda f: (f / "type.raw").write_text("a\n"), "type.raw: expected rows of numbers"),
        (lambda f: (f / "set.000" / "coord.npy").unlink(), "expected coord.npy in set.*neither"),
        (lambda f: (f / "set.000" / "box.npy").unlink(), "expected box.npy in set.*found neither"),
        (lambda f: (f / "set.000" / "real_atom_types.npy").touch(), "found mixed types"),
        (lambda f: np.save(f / "set.000" / "force.npy", np.zeros((30, 5))), "expected 24 numbers"),
        (_short, "energy: expected 30 frames, as coord has, got 3"),
        (_cut, "coord.npy: expected an array, got"),
        (_pickle, "coord.npy: a Python pickle"),
    ],
)  # fmt: skip
def test_deepmd_systems_that_are_not_whole_are_refused(tmp_path, change, text):
    deepmd(tmp_path / "copy", crystal())
    change(tmp_path / "copy")
    refused(text, tmp_path / "copy", "deepmd", tmp_path / "out")


def test_deepmd_elements_are_given_or_there(tmp_path):
    deepmd(tmp_path / "copy", crystal())
    refused("--elements says H,P,S", tmp_path / "copy", "deepmd", tmp_path / "out",
            elements=("H", "P", "S"))  # fmt: skip
    _elements(tmp_path / "copy")
    agrees(
        imported(tmp_path / "copy", "deepmd", tmp_path / "out", "copy", elements=("Li", "P", "S")),
        crystal(),
    )
    (tmp_path / "none").mkdir()
    refused("expected a folder with type.raw", tmp_path / "none", "deepmd", tmp_path / "o")
