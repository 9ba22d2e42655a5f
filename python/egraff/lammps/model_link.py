# SPDX-License-Identifier: GPL-2.0-or-later
"""A plain name for the model in the directory where LAMMPS runs.

LAMMPS's parser drops bytes outside ASCII from a script's lines and gives `$`, `#`, `&` and quotes a
meaning, so a script cannot name every path. It names a link beside itself instead.
"""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from egraff.errors import InputError
from egraff.files import atomic_path, sha256, writing

MODEL_FILE = "model.egraff.pt"
"""The link's name; what format the model has is told from its content."""

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)
"""How file systems without symbolic links refuse one."""


def link_model(model: Path, directory: Path) -> str:
    """Link a model into a directory, or copy it where the file system has no links.

    Args:
        model: the exported model.
        directory: where LAMMPS will run.

    Returns:
        The name to write into the input script.

    Raises:
        InputError: the directory holds another file of that name.
        OutputError: the link cannot be made.
    """
    place = directory / MODEL_FILE
    model = model.resolve()
    if place.is_symlink():
        place.unlink()
    if place.exists():
        if not place.samefile(model) and (found := sha256(place)) != sha256(model):
            raise InputError(
                f"expected a free name for a link to {model}, got a file with other content "
                f"(SHA-256 {found[:12]}...)",
                where=place,
                fix="move it away, or choose another --out",
            )
        return MODEL_FILE
    with writing(place):
        try:
            place.symlink_to(model)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            with atomic_path(place) as partial:
                shutil.copyfile(model, partial)
    return MODEL_FILE
