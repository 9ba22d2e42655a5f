# SPDX-License-Identifier: GPL-2.0-or-later
"""A labelled trajectory that runs are compared with."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ase import Atoms

from egraff.data.frames import read_frames
from egraff.data.labels import LabelKeys
from egraff.files import sha256


@dataclass
class Reference:
    """Frames with labels, and what several runs need to know of them.

    Attributes:
        path: where it was read from.
        frames: its frames, in order of time.
        digest: SHA-256 of the file.
        keys: names, unit and sign of the labels in it.
    """

    path: str
    frames: list[Atoms]
    digest: str
    keys: LabelKeys = field(default_factory=LabelKeys)
    _cache: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def name(self) -> str:
        """Name of the file."""
        return Path(self.path).name

    def identity(self) -> str:
        """What a result depends on: the content of the file, and how its labels were read."""
        others = self.keys.model_dump(exclude_defaults=True)
        return self.digest + (json.dumps(others, sort_keys=True) if others else "")

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """Result of ``compute``, computed the first time only: runs share their reference."""
        if key not in self._cache:
            self._cache[key] = compute()
        return self._cache[key]


def read_reference(path: Path, *, keys: LabelKeys | None = None) -> Reference:
    """Read a reference trajectory.

    Args:
        path: any file that `egraff.data.read_frames` reads.
        keys: names, unit and sign of its labels; the defaults when None.

    Raises:
        InputError: no such file, or it cannot be read.
    """
    frames = [frame.to_atoms() for frame in read_frames(path, keys=keys)]
    return Reference(str(path), frames, sha256(path), keys or LabelKeys())
