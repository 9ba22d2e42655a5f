# SPDX-License-Identifier: GPL-2.0-or-later
"""A number as egraff reports it: value, error, unit, how much data, what it means, whence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from egraff.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One reported number.

    Attributes:
        name: identifier; a qualifier in brackets, as in ``wright_factor[H-O]``.
        value: the number, or None when there is not enough data (then ``note`` says why).
        error: one standard error of ``value``, or None where it cannot be estimated.
        unit: unit of value and error; ``1`` for a dimensionless number.
        n_eff: number of statistically independent samples behind the value.
        noise: of a difference, the value that statistical errors alone would give.
        definition: what was computed, with the formula.
        provenance: the files and rows it was computed from.
        note: anything a reader must know before using the number.
    """

    name: str
    value: float | None
    unit: str
    definition: str
    provenance: str
    error: float | None = None
    n_eff: float | None = None
    noise: float | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        for name in ("value", "error", "n_eff", "noise"):
            number = getattr(self, name)
            if number is None:
                continue
            if not math.isfinite(number):
                raise InputError(
                    f"expected a finite {name}, got {number}",
                    where=f"metric {self.name}",
                    fix="give None and say why in the note",
                )
            object.__setattr__(self, name, float(number))
        if self.value is None and not self.note:
            raise InputError(
                "expected a note with a value of None, got none", where=f"metric {self.name}"
            )

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form; ``note`` and ``noise`` are left out when there is none."""
        content = asdict(self)
        for name in ("note", "noise"):
            if content[name] is None:
                del content[name]
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Metric:
        """Inverse of `as_dict`."""
        return cls(**content)


def not_enough_data(
    name: str, unit: str, definition: str, provenance: str, note: str, **other: Any
) -> Metric:
    """A metric whose answer is that there is not enough data."""
    return Metric(
        name=name,
        value=None,
        unit=unit,
        definition=definition,
        provenance=provenance,
        note=note,
        **other,
    )
