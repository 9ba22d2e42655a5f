# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers as text: as many digits as the error allows, powers of ten set properly."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

MINUS = "\N{MINUS SIGN}"
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
THIN = "\N{NARROW NO-BREAK SPACE}"
#: Further decimals of a double are rounding errors.
_MOST_DECIMALS = 15
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@dataclass(frozen=True)
class Number:
    """A value in parts that a table can align.

    Attributes:
        value: digits of the value, with a true minus sign.
        error: digits of the error, or empty.
        power: such as ``×10⁻⁴``, or empty.
    """

    value: str
    error: str = ""
    power: str = ""

    def __str__(self) -> str:
        text = f"{self.value} {PLUS_MINUS} {self.error}" if self.error else self.value
        if self.power:
            text = f"({text})" if self.error else text
            text = f"{text}{THIN}{self.power}"
        return text


def power_of_ten(exponent: int) -> str:
    """Such as ``10⁻³``."""
    return f"10{str(exponent).translate(_SUPERSCRIPTS)}"


def common_exponent(values: Iterable[float | None]) -> int:
    """Exponent that a column of numbers can share: 0, or the multiple of 3 that fits its largest.

    Only columns of small or very large numbers get one.
    """
    sizes = [abs(value) for value in values if value and math.isfinite(value)]
    if not sizes or 1e-2 <= max(sizes) < 1e5:
        return 0
    return 3 * math.floor(math.log10(max(sizes)) / 3.0)


def _digits(value: float, decimals: int) -> str:
    text = f"{value:,.{max(0, decimals)}f}" if decimals >= 0 else f"{round(value, decimals):,.0f}"
    return text.replace(",", THIN).replace("-", MINUS)


def format_number(value: float, error: float | None = None, *, digits: int = 3) -> Number:
    """Round a value to its error (two digits of it), or to ``digits`` significant digits.

    Values below 0.001 or from 100000 on are written with a power of ten.
    """
    if not math.isfinite(value):
        return Number(str(value))
    largest = max(abs(value), error or 0.0)
    if largest == 0.0:
        return Number("0")
    exponent = math.floor(math.log10(largest))
    power = ""
    if exponent < -3 or exponent >= 5:
        value, error = value / 10.0**exponent, None if error is None else error / 10.0**exponent
        power = f"×{power_of_ten(exponent)}"
        exponent = 0
    if error:
        decimals = 1 - math.floor(math.log10(error))
        # 0.0996 rounds to 0.10: one digit more than wanted
        if round(error, decimals) >= 10.0 ** (2 - decimals):
            decimals -= 1
        decimals = min(decimals, _MOST_DECIMALS)
        return Number(_digits(value, decimals), _digits(error, decimals), power)
    return Number(_digits(value, min(digits - 1 - exponent, 8)), power=power)
