# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiled operators `egraff::ghost_exchange` and `egraff::ghost_reduce`.

A model reads features of neighbours that may live on other MPI ranks. It gets them through

    torch.ops.egraff.ghost_exchange(x_local, n_nodes)   # [n_local, w] -> [n_nodes, w]

whose derivative is `egraff::ghost_reduce`. In Python, and on one rank, all nodes are local and
both are the identity; in LAMMPS the pair style connects them to the other ranks.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from importlib import metadata
from pathlib import Path
from types import ModuleType

from egraff.errors import EgraffError

REBUILD = (
    "build egraff again in this environment: "
    "pip install --no-build-isolation --no-deps --force-reinstall egraff"
)


def library_directory() -> Path:
    """Return the directory of the compiled libraries (`libegraff_ops.so` and others).

    Does not import torch.

    Raises:
        EgraffError: egraff was not compiled in this environment.
    """
    # the compiled module is what the installer puts beside the libraries; in an editable install
    # that is not where the Python sources are
    spec = importlib.util.find_spec("egraff._core")
    if spec is None or spec.origin is None:
        raise EgraffError(
            "expected the compiled module egraff._core, found only the Python sources of egraff\n"
            f"  fix: {REBUILD}"
        )
    directory = Path(spec.origin).parent / "lib"
    if not (directory / "libegraff_ops.so").exists():
        raise EgraffError(
            f"expected libegraff_ops.so in {directory}, found none: incomplete installation\n"
            f"  fix: {REBUILD}"
        )
    return directory


def build_facts(directory: Path | None = None) -> dict[str, str]:
    """Return the versions the libraries were compiled against: keys `egraff`, `torch`, `lammps`.

    Raises:
        EgraffError: the libraries are missing, or their record is.
    """
    directory = library_directory() if directory is None else directory
    record = directory / "build.json"
    try:
        return json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EgraffError(
            f"expected the build record {record}, could not read it ({error})\n  fix: {REBUILD}"
        ) from error


def check_torch(directory: Path | None = None) -> None:
    """Refuse libraries that were compiled for another torch than the installed one.

    Only major and minor version count: patch releases, and builds with and without CUDA, share
    one binary interface. Does not import torch.

    Raises:
        EgraffError: the versions differ.
    """
    built = build_facts(directory)["torch"]
    installed = metadata.version("torch")
    if built.split(".")[:2] != installed.split(".")[:2]:
        raise EgraffError(
            f"expected torch {built}, for which egraff's libraries were compiled, "
            f"got torch {installed}\n  fix: {REBUILD}; or install torch {built}"
        )


@functools.cache
def load() -> None:
    """Make `torch.ops.egraff` available. May be called any number of times.

    Raises:
        EgraffError: the library is missing, was compiled for another torch, or does not load.
    """
    directory = library_directory()
    check_torch(directory)
    import torch

    library = directory / "libegraff_ops.so"
    try:
        torch.ops.load_library(str(library))
    except OSError as error:
        raise EgraffError(f"{library} does not load: {error}\n  fix: {REBUILD}") from error


def core() -> ModuleType:
    """Return the compiled module ``egraff._core``, which loads and evaluates exported models.

    Raises:
        EgraffError: as for :func:`load`.
    """
    load()
    from egraff import _core

    return _core
