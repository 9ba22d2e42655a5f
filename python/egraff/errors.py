# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors that a user can act on.

Every refusal says where the problem is (file or argument, and field), what was expected, what was
found, and what to do about it. The command line prints these without a traceback.
"""

from __future__ import annotations

from os import PathLike


class EgraffError(Exception):
    """Base of all errors that egraff raises on purpose."""


class InputError(EgraffError, ValueError):
    """Something the user gave cannot be used.

    Args:
        problem: what is wrong: expected and got, in one or two sentences.
        where: the file (or command-line option) at fault.
        field: the column, key or line inside ``where``.
        fix: what the user can do.
    """

    def __init__(
        self,
        problem: str,
        *,
        where: str | PathLike[str] | None = None,
        field: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.problem = problem
        self.where = None if where is None else str(where)
        self.field = field
        self.fix = fix
        place = ": ".join(part for part in (self.where, field) if part)
        text = f"{place}: {problem}" if place else problem
        super().__init__(f"{text}\n  fix: {fix}" if fix else text)


class ModelFileError(InputError):
    """A model file is missing, truncated, not egraff's, or of a newer contract."""


class OutputError(InputError):
    """A file or folder cannot be written: no permission, no space, no such folder."""


class DisagreementError(EgraffError, RuntimeError):
    """Two implementations that must agree (eager, exported, LAMMPS) do not."""


class RunError(EgraffError, RuntimeError):
    """An external program (``lmp``, ``mpirun``) failed; the message holds the end of its output."""
