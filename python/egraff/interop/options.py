# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of an original's options: every one is renamed, read, assumed or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ase.data import atomic_numbers
from e3nn import o3

from egraff.errors import InputError


@dataclass(frozen=True)
class OptionTable:
    """The options of an original.

    Attributes:
        architecture: whose they are, as messages name it.
        renamed: original option -> egraff's option, where the value is the same.
        assumed: original option -> the values that egraff's architecture stands for.
        elsewhere: options that the converter itself reads, or that do not change the numbers.
    """

    architecture: str
    renamed: Mapping[str, str]
    assumed: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()

    def translate(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the renamed options; those without a value keep egraff's default.

        Raises:
            InputError: an option that egraff lacks, or a value other than the assumed ones.
        """
        converted = {}
        for name, value in config.items():
            if name in self.renamed:
                if value is not None:
                    converted[self.renamed[name]] = value
            elif name in self.assumed:
                self.require(name, value, *self.assumed[name])
            elif name not in self.elsewhere:
                raise unsupported(self.architecture, name, value)
        return converted

    def require(self, name: str, value: Any, *allowed: Any) -> None:
        """Refuse every value but these.

        Raises:
            InputError: another value.
        """
        if value not in allowed:
            raise unsupported(self.architecture, name, value, *allowed)

    def choice(self, name: str, value: Any, translations: Mapping[Any, Any]) -> Any:
        """Return the translation of a value.

        Raises:
            InputError: there is none.
        """
        self.require(name, value, *translations)
        return translations[value]

    def scalar_width(self, name: str, irreps: str) -> int:
        """Return the number of channels of irreps that have to be even scalars.

        Raises:
            InputError: there are other irreps among them.
        """
        parsed = o3.Irreps(irreps)
        if len(parsed) != 1 or parsed[0].ir != o3.Irrep("0e"):
            raise unsupported(self.architecture, name, irreps, "even scalars alone, as in 16x0e")
        return parsed[0].mul


def same(names: str) -> dict[str, str]:
    """Return the names in a text as options that egraff has under the same name."""
    return {name: name for name in names.split()}


def unsupported(architecture: str, name: str, value: Any, *allowed: Any) -> InputError:
    """Return the error that refuses an option of the original.

    Args:
        architecture: whose option it is.
        name: of the option.
        value: what the original has.
        *allowed: what could be converted, if anything.
    """
    values = dict.fromkeys(str(value) for value in allowed)
    expected = f"; expected {' or '.join(values)}" if allowed else ""
    return InputError(
        f"egraff's {architecture} has no {name} = {value!r}{expected}",
        field=name,
        fix="this model cannot be converted",
    )


def embedded_numbers(elements: Sequence[str], n_embedded: int, *, where: str) -> list[int]:
    """Return atomic numbers, which index the embedding of an original that has all elements.

    Args:
        elements: chemical symbols.
        n_embedded: rows of the embedding, from atomic number zero on.
        where: the original, for the message.

    Raises:
        InputError: an element without a row.
    """
    numbers = [atomic_numbers[symbol] for symbol in elements]
    too_heavy = [s for s, z in zip(elements, numbers, strict=True) if z >= n_embedded]
    if too_heavy:
        raise InputError(
            f"expected atomic numbers below {n_embedded}, got {', '.join(too_heavy)}",
            where=where,
            field="elements",
            fix="name only elements that the model has weights for",
        )
    return numbers
