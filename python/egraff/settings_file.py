# SPDX-License-Identifier: GPL-2.0-or-later
"""Settings in a YAML file, as ``--config`` names it; what they mean is for each verb to say."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import yaml

from egraff.errors import InputError


def read_settings(path: str | PathLike[str], *, example: str) -> dict[str, Any]:
    """Return the content of a file of settings, unchecked; nothing of an empty one.

    Args:
        path: the file.
        example: a line that it could hold, for messages.

    Raises:
        InputError: the file cannot be read, or does not hold `name: value` lines.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
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
