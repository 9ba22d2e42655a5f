# SPDX-License-Identifier: GPL-2.0-or-later
"""YAML as egraff reads it: plain values, and no name twice in one place.

What the settings of a ``--config`` mean is for each verb to say.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import yaml

from egraff.errors import InputError


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a name given twice, of which YAML's would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            line = key.start_mark.line + 1
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None,
                    None,
                    f"{key.value} is given twice, in lines {seen[key.value]} and {line}",
                )
            seen[key.value] = line
        return super().construct_mapping(node, deep)


def parse_yaml(text: str) -> Any:
    """Return what a YAML text says; plain values, lists and dictionaries only.

    Raises:
        yaml.YAMLError: no YAML, or a name that is given twice.
    """
    return yaml.load(text, Loader=_Loader)


def line_numbers(text: str) -> dict[tuple[str | int, ...], int]:
    """Return the line of every entry of a YAML text, counted from 1.

    Keys are paths of names and positions: ``("sets", "acac", "tests", 0)``.

    Raises:
        yaml.YAMLError: no YAML.
    """
    found: dict[tuple[str | int, ...], int] = {}

    def walk(node: yaml.Node | None, path: tuple[str | int, ...]) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = (*path, key.value)
                found[inner] = key.start_mark.line + 1
                walk(value, inner)
        elif isinstance(node, yaml.SequenceNode):
            for position, value in enumerate(node.value):
                inner = (*path, position)
                found[inner] = value.start_mark.line + 1
                walk(value, inner)

    walk(yaml.compose(text, Loader=_Loader), ())
    return found


def read_settings(path: str | PathLike[str], *, example: str) -> dict[str, Any]:
    """Return the content of a file of settings, unchecked; nothing of an empty one.

    Args:
        path: the file.
        example: a line that it could hold, for messages.

    Raises:
        InputError: the file cannot be read, does not hold `name: value` lines, or gives a name
            twice.
    """
    try:
        content = parse_yaml(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(
            f"expected a YAML file, got: {error.strerror}", where=path, fix="check --config"
        ) from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(
            f"expected YAML, got: {' '.join(str(error).split())}",
            where=path,
            fix=f"write one `name: value` per line, for example `{example}`",
        ) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(
            f"expected `name: value` lines, got {type(content).__name__}",
            where=path,
            fix=f"write one `name: value` per line, for example `{example}`",
        )
    return content
