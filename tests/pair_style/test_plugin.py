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
from egraff import doctor, ops
from egraff.errors import EgraffError
from egraff.lammps import plugin
from tests.pair_style.conftest import START
from tests.pair_style.engine import BIN, must_run, run_lmp


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
    """Compile a line of C++ into a shared library and return its path."""
    source = library.with_suffix(".cpp")
    source.write_text(code)
    command = ["c++", "-shared", "-fPIC", "-std=c++17", "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    return str(library)


# What another LAMMPS, MPI or torch would answer, in a library that is loaded before them.
GIT = 'namespace LAMMPS_NS {{ struct LAMMPS {{ static const char *git_descriptor(); }}; \
const char *LAMMPS::git_descriptor() {{ return "{}"; }} }}'
TORCH = ".".join(ops.build_facts()["torch"].split(".")[:2])
UNKNOWN_UPDATE = GIT.format("(unknown)")
OTHERS = {
    "release": (
        'extern "C" int lammps_version(void *handle) { return handle ? 20200101 : 0; }',
        "expected LAMMPS 20250722 update 4, for which the plugin was compiled, "
        "got LAMMPS 20200101 update 4",
    ),
    "update": (
        GIT.format("stable_22Jul2025_update1-13-g0123456"),
        "expected LAMMPS 20250722 update 4, for which the plugin was compiled, "
        "got LAMMPS 20250722 update 1",
    ),
    "no update": (
        GIT.format("stable_22Jul2025"),
        "expected LAMMPS 20250722 update 4, for which the plugin was compiled, got LAMMPS 20250722",
    ),
    "integers": (
        """#include <string>
extern "C" int lammps_extract_setting(void *, const char *name) {
    return std::string(name) == "world_rank" ? 0 : 8;
}""",
        "expected LAMMPS with 32-bit atom IDs, 64-bit counts and 32-bit image flags, for which "
        "the plugin was compiled, got LAMMPS with 64-bit atom IDs, 64-bit counts and 64-bit image "
        "flags",
    ),
    "MPI": (
        """#include <cstring>
extern "C" int MPI_Get_library_version(char *text, int *length) {
    *length = std::strlen(std::strcpy(text, "Open MPI v5.0.7, package: Open MPI"));
    return 0;
}""",
        "expected MPI of the kind MPICH, for which the plugin was compiled, "
        "got MPI of the kind Open MPI",
    ),
    "torch": (
        """#include <string>
namespace at { std::string show_config() { return "C++ 17, TORCH_VERSION=1.9.1, USE_CUDA=0"; } }""",
        f"expected torch {TORCH}, for which the plugin was compiled, got torch 1.9",
    ),
    "fields of Pair": (
        UNKNOWN_UPDATE
        + "namespace LAMMPS_NS { struct Pair { virtual void ev_setup(int, int, int); }; \
void Pair::ev_setup(int, int, int) {} }",
        "expected classes as in its headers, for which the plugin was compiled, "
        "got another layout of class Pair",
    ),
    "fields of Atom": (
        """static int elsewhere;
extern "C" void *lammps_extract_global(void *, const char *) { return &elsewhere; }""",
        "expected classes as in its headers, for which the plugin was compiled, "
        "got another place of natoms",
    ),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_the_plugin_was_not_compiled_for_is_refused_aloud(here, tmp_path, other):
    code, problem = OTHERS[other]
    library = compiled(code, tmp_path / "other.so")
    done = run_lmp(START + "run 0\n", here, LD_PRELOAD=library)
    assert done.returncode > 0, done.stdout + done.stderr  # no crash
    assert f"ERROR: pair_style egraff is not available: {problem}\n" in done.stderr
    assert "fix: install what it was compiled for, or compile egraff for this LAMMPS" in done.stderr
    assert "EGRAFF_ALLOW_LAMMPS=1" in done.stderr
    assert "Unrecognized pair style 'egraff'" in done.stdout + done.stderr


def test_what_does_not_tell_its_update_may_fit(here, tmp_path):
    """LAMMPS that was not built from git; the layout of its classes decides."""
    library = compiled(UNKNOWN_UPDATE, tmp_path / "other.so")
    must_run(START + "run 0\n", here, LD_PRELOAD=library)


def test_other_version_of_lammps_can_be_allowed(here, tmp_path):
    library = compiled(OTHERS["release"][0], tmp_path / "other.so")
    done = run_lmp(START + "run 0\n", here, LD_PRELOAD=library, EGRAFF_ALLOW_LAMMPS="1")
    assert done.returncode == 0
    assert "WARNING: pair_style egraff may crash or give wrong results" in done.stderr


def test_doctor_names_another_update_of_lammps(tmp_path, monkeypatch):
    library = compiled(OTHERS["update"][0], tmp_path / "other.so")
    monkeypatch.setenv("LD_PRELOAD", library)
    version = metadata.version
    packages = {"lammps": "2025.7.22.1.0"}
    monkeypatch.setattr(
        doctor.metadata, "version", lambda name: packages.get(name) or version(name)
    )
    findings = {finding.what: finding for finding in doctor.examine()}

    package, style = findings["LAMMPS"], findings["pair_style egraff"]
    assert (package.verdict, style.verdict) == ("bad", "bad")
    assert package.found == "2025.7.22.1.0, but the plugin was built for 20250722 update 4"
    assert "build egraff again" in package.fix
    assert OTHERS["update"][1] in style.found


def test_doctor_says_that_lammps_crashed(tmp_path, monkeypatch):
    crash = """#include <csignal>
extern "C" int lammps_version(void *) { return std::raise(SIGSEGV); }"""
    monkeypatch.setenv("LD_PRELOAD", compiled(crash, tmp_path / "other.so"))
    (style,) = (it for it in doctor.examine() if it.what == "pair_style egraff")
    assert (style.verdict, style.found) == ("bad", "lmp crashed: SIGSEGV")
