# SPDX-License-Identifier: GPL-2.0-or-later
"""Which frames of a file, in words that split files and command lines share.

all             every frame
2:800:5         start, stop and step, counted from 0
spread 100      100 evenly spaced frames: numbers i n // 100 for i from 0 to 99
not spread 100  all others
"""

from __future__ import annotations

import re

import numpy as np

from egraff.errors import InputError

_FORM = re.compile(r"all|\d*:\d*(:[1-9]\d*)?|(not )?spread [1-9]\d*")


def check_selection(text: str, *, where: str | None = None) -> str:
    """Return ``text`` if it is a selection.

    Raises:
        InputError: it is none.
    """
    if not _FORM.fullmatch(text):
        raise InputError(
            f"expected all, start:stop:step, spread N or not spread N, got {text!r}",
            where=where,
            fix="give, for example, 0:1000:10 or 'spread 100'",
        )
    return text


def select(text: str, n_frames: int, *, where: str | None = None) -> np.ndarray:
    """Return the numbers of the frames that are meant, ascending.

    Args:
        text: the selection.
        n_frames: number of frames that there are.
        where: file or option, for messages.

    Raises:
        InputError: no selection, more frames than there are, or none.
    """
    check_selection(text, where=where)
    everything = np.arange(n_frames)
    if text == "all":
        return everything
    if ":" in text:
        chosen = everything[slice(*(int(part) if part else None for part in text.split(":")))]
    else:
        number = int(text.split()[-1])
        if number > n_frames:
            raise InputError(
                f"asked for {number} of {n_frames} frames", where=where, fix="ask for fewer"
            )
        spread = np.arange(number) * n_frames // number
        chosen = np.setdiff1d(everything, spread) if text.startswith("not") else spread
    if not len(chosen):
        raise InputError(
            f"expected at least one frame, got none: {text!r} of {n_frames}",
            where=where,
            fix="ask for more",
        )
    return chosen
