# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules of the verdict: which metric, from which size on, and why there; data in ``rules.yaml``."""

from __future__ import annotations

from importlib.resources import files
from os import PathLike
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from egraff.errors import InputError
from egraff.settings_file import parse_yaml, read_settings


class Rule(BaseModel):
    """One thing that is looked at; see ``rules.yaml`` for what the fields mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str
    look: float | None = Field(default=None, ge=0.0)
    unsound: float | None = Field(default=None, ge=0.0)
    per: str | None = None
    noise: tuple[float, float] = (0.0, 0.0)
    exact: bool = False
    weight: float = 50.0
    says: str = "{of} is {value}"
    source: str = "your own"

    @model_validator(mode="after")
    def _in_order(self) -> Rule:
        if self.look is not None and self.unsound is not None and self.look > self.unsound:
            raise ValueError(f"expected look <= unsound, got {self.look:g} > {self.unsound:g}")
        return self


def standard_rules() -> dict[str, dict[str, Any]]:
    """The rules that egraff brings, as the file has them."""
    return parse_yaml(files(__package__).joinpath("rules.yaml").read_text(encoding="utf-8"))


def read_rules(path: str | PathLike[str] | None = None) -> dict[str, Rule]:
    """Rules by name: those that egraff brings, with what a file of one's own changes.

    Args:
        path: YAML of the form of ``rules.yaml``; None for none.

    Raises:
        InputError: the file cannot be read, or a rule has an unknown field, no metric, or limits
            in the wrong order.
    """
    content = standard_rules()
    own = {} if path is None else read_settings(path, example="drift: {look: 0.05}")
    for name, fields in own.items():
        if not isinstance(fields, dict):
            raise InputError(
                f"expected the fields of a rule, got {fields!r}",
                where=path,
                field=name,
                fix=f"write `{name}: {{look: 0.1, unsound: 1.0}}`",
            )
        content[name] = {**content.get(name, {}), **fields}
    rules = {}
    for name, fields in content.items():
        try:
            rules[name] = Rule(**fields)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(
                first["msg"].removeprefix("Value error, "),
                where=path,
                field=".".join([name, *map(str, first["loc"])]),
                fix=f"a rule has the fields {', '.join(Rule.model_fields)}",
            ) from None
    return rules
