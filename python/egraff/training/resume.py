# SPDX-License-Identifier: GPL-2.0-or-later
"""What a directory holds of a training that was interrupted, and the settings it goes on with."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from egraff.errors import InputError
from egraff.names import LAST, SETTINGS
from egraff.training.config import RESUMABLE, TrainConfig, check_config, load_config


def started(out: str | PathLike[str]) -> bool:
    """Tell whether a directory holds a training to continue; see :func:`fit`."""
    return (Path(out) / LAST).is_file()


def resumed_config(
    out: str | PathLike[str],
    overrides: dict[str, Any],
    *,
    where: str | PathLike[str] | None = None,
) -> TrainConfig:
    """Return the settings with which the training in ``out`` continues, or starts.

    Args:
        out: directory of the interrupted training, or of one that has left nothing to continue
            from.
        overrides: settings given again; they must be those of the interrupted training, except
            the ones in :data:`egraff.training.config.RESUMABLE`.
        where: file that the overrides come from, for messages.

    Raises:
        InputError: a setting that cannot change on the way, or neither a training to continue nor
            the data and the model of one to start.
    """
    saved = Path(out) / SETTINGS
    if not started(out):
        if not {"data", "model", "from_model"} & overrides.keys():
            raise InputError(
                f"expected a training to continue, found no {LAST}",
                where=out,
                field="--resume",
                fix="give the directory of an interrupted training, or data and model of a new one",
            )
        return check_config(overrides, where=where)
    if not saved.is_file():
        raise InputError(
            f"expected the settings of the training to continue, found no {SETTINGS}",
            where=out,
            field="--resume",
            fix="train anew with another --out",
        )
    old = load_config(saved)
    given = {name: value for name, value in overrides.items() if value is not None}
    new = load_config(saved, given)
    for name in TrainConfig.model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if name in RESUMABLE or _same(before, after):
            continue
        raise InputError(
            f"expected {before}, as in the training that is continued, got {after}",
            where=saved,
            field=name,
            fix=f"only these may change: {', '.join(RESUMABLE)}; or train anew with another --out",
        )
    return new


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, Path) and isinstance(after, Path):
        return before.resolve() == after.resolve()
    return before == after
