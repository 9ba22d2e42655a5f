# SPDX-License-Identifier: GPL-2.0-or-later
"""How the plugin is found, and what is said when it cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import egraff
from egraff import ops
from egraff.errors import EgraffError
from egraff.lammps import plugin
from tests.lammps.conftest import START
from tests.lammps.engine import BIN, must_run, run_lmp


def python(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": f"{BIN}:/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_entry_point_gives_the_directory_of_the_plugin():
    (entry,) = metadata.entry_points(group="lammps.plugins", name="egraff")
    directory = Path(entry.load()())
    assert (directory / "egraffplugin.so").exists()
    assert directory.parent == ops.library_directory()


def test_entry_point_does_not_import_torch():
    modules = python("import sys, lammps; print(sorted(sys.modules))")
    assert "'egraff.lammps.plugin'" in modules
    assert "'torch'" not in modules


def test_installed_files_hold_no_absolute_paths():
    directory = ops.library_directory()
    files = [*directory.rglob("*.so"), *directory.parent.glob("_core*.so")]
    assert len(files) == 4
    for file in files:
        header = subprocess.run(["readelf", "-d", str(file)], capture_output=True, text=True)
        paths = [line for line in header.stdout.splitlines() if "PATH" in line]
        assert len(paths) == 1, file
        entries = paths[0].split("[")[1].rstrip("]").split(":")
        assert all(entry.startswith("$ORIGIN") for entry in entries), paths
        assert str(Path(egraff.__file__).parents[2]).encode() not in file.read_bytes()


def test_nothing_but_path_in_the_environment(here):
    """pair_style egraff with no plugin command and a clean environment."""
    text = must_run(START + "run 0\n", here)
    assert "Loaded 1 plugins" in text
    assert "ERROR" not in text


def test_missing_plugin_is_reported_and_lammps_goes_on(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(plugin, "library_directory", lambda: tmp_path)
    monkeypatch.setattr(plugin, "check_torch", lambda directory: None)
    assert Path(plugin.directory()) == plugin.NO_PLUGINS
    text = capsys.readouterr().err
    assert "pair_style egraff is not available: expected egraffplugin.so in" in text
    assert "fix: build egraff with the LAMMPS plugin" in text
    assert not list(plugin.NO_PLUGINS.glob("*plugin.so"))


def test_other_torch_is_reported_and_lammps_goes_on(monkeypatch, capsys):
    def refuse(directory):
        raise EgraffError("expected torch 1, got torch 2")

    monkeypatch.setattr(plugin, "check_torch", refuse)
    assert Path(plugin.directory()) == plugin.NO_PLUGINS
    assert "not available: expected torch 1, got torch 2" in capsys.readouterr().err


def test_torch_elsewhere(monkeypatch, tmp_path):
    """egraff and torch in different places: LAMMPS programs started from here find torch."""
    monkeypatch.setenv("LD_LIBRARY_PATH", "/somewhere")
    plugin._make_torch_findable(tmp_path / "egraff" / "lib")
    first, *rest = os.environ["LD_LIBRARY_PATH"].split(":")
    assert (Path(first) / "libtorch_cpu.so").exists()
    assert rest == ["/somewhere"]


def test_mpi_is_loaded_once(tmp_path):
    """A process that already has an MPI library, whichever, is left alone."""
    look = "print(sum('libmpi.so.12' in line for line in open('/proc/self/maps')))\n"
    announce = "from egraff.lammps import plugin; plugin.directory()\n"
    assert int(python(look)) == 0
    assert int(python(announce + look)) > 0
    other = compiled("int MPI_Other(void) { return 0; }", tmp_path / "libmpi.so.40")
    load = f"import ctypes; ctypes.CDLL({other!r})\n"
    assert int(python(load + announce + look)) == 0


def compiled(code: str, library: Path) -> str:
    """Compile a line of C into a shared library and return its path."""
    source = library.with_suffix(".c")
    source.write_text(code)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return str(library)


@pytest.fixture
def other_lammps(tmp_path):
    """A library that pretends to be another version of LAMMPS."""
    code = "int lammps_version(void *handle) { return handle ? 20200101 : 0; }"
    return compiled(code, tmp_path / "other.so")


def test_other_version_of_lammps_is_refused_aloud(here, other_lammps):
    done = run_lmp(START + "run 0\n", here, LD_PRELOAD=other_lammps)
    assert done.returncode != 0
    assert (
        "ERROR: pair_style egraff is not available: expected LAMMPS 20250722, for which the plugin "
        "was compiled, got 20200101"
    ) in done.stderr
    assert "fix: compile egraff for this LAMMPS" in done.stderr
    assert "EGRAFF_ALLOW_LAMMPS=1" in done.stderr
    assert "Unrecognized pair style 'egraff'" in done.stdout + done.stderr


def test_other_version_of_lammps_can_be_allowed(here, other_lammps):
    done = run_lmp(START + "run 0\n", here, LD_PRELOAD=other_lammps, EGRAFF_ALLOW_LAMMPS="1")
    assert done.returncode == 0
    assert "WARNING: pair_style egraff may crash or give wrong results" in done.stderr
