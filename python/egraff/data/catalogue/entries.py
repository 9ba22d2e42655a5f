# SPDX-License-Identifier: GPL-2.0-or-later
"""What the catalogue says of a set, of a file of ours, and of where it comes from."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from egraff.data.selection import check_selection, select


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Repository(_Entry):
    """Where data can be had.

    Attributes:
        title: what it is.
        address: where it is.
        revision: the state that the catalogue describes; None where there are no states.
        licence: as stated there, or that none is stated.
        cite: what to cite.
    """

    title: str
    address: str
    revision: str | None = None
    licence: str
    cite: list[str] = Field(min_length=1)


class Source(_Entry):
    """Frames of a public repository that make up a file of ours.

    Attributes:
        repository: its key in ``repositories.yaml``.
        path: file or folder in it.
        frames: which, see `egraff.data.selection`.
    """

    repository: str
    path: str
    frames: str = "all"

    @field_validator("frames")
    @classmethod
    def _is_a_selection(cls, value: str) -> str:
        return check_selection(value)

    def select(self, n_frames: int) -> np.ndarray:
        """Return the numbers of the frames that are meant, of ``n_frames``."""
        return select(self.frames, n_frames, where=self.path)


class FileRecord(_Entry):
    """A file of ours.

    Attributes:
        frames: number of frames.
        digest: of the frames, see `egraff.data.digest`; None for frames that were not at hand.
        content: what it is.
        temperature_K: of the sampling, where the origin states it.
        sources: where it can be made from; any one will do.
        structure_only: positions to 1e-4 Angstrom without labels, to compare structure with.
        unverified: why there is no digest.
    """

    frames: int | None = Field(default=None, ge=1)
    digest: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    content: str
    temperature_K: float | None = Field(default=None, gt=0)
    sources: list[Source] = Field(default_factory=list)
    structure_only: bool = False
    unverified: str | None = None

    @model_validator(mode="after")
    def _verifiable_or_not(self) -> FileRecord:
        if (self.digest is None) == (self.unverified is None):
            raise ValueError("a file has a digest, or a reason why it has none")
        return self


class Entry(_Entry):
    """A data set.

    Attributes:
        title: in words.
        status: ``identified``; ``partial`` where not all of it can be had; or ``unidentified``.
        system: what the atoms are.
        formulas: chemical formulas, or names and formulas.
        atoms: smallest and largest number of atoms of a frame.
        temperature: in words, in K.
        periodic: in all directions, or in none; None where unknown.
        cell: in words.
        method: level of theory and sampling, with who says so.
        units: of energy, forces and lengths where it comes from.
        published: number of frames of the benchmark's own splits; None where unknown.
        repositories: keys of where it can be had.
        licence: as far as it is stated.
        cite: what to cite.
        defects: what is wrong with it, and what follows from that.
        not_at_hand: parts that could not be had.
        files: ours, by name.
    """

    title: str
    status: Literal["identified", "partial", "unidentified"]
    system: str
    formulas: list[str] = Field(default_factory=list)
    atoms: tuple[int, int] | None = None
    temperature: str
    periodic: bool | None = None
    cell: str
    method: str
    units: str
    published: dict[str, int | None] = Field(default_factory=dict)
    repositories: list[str] = Field(default_factory=list)
    licence: str
    cite: list[str] = Field(default_factory=list)
    defects: list[str] = Field(default_factory=list)
    not_at_hand: list[str] = Field(default_factory=list)
    files: dict[str, FileRecord] = Field(default_factory=dict)
