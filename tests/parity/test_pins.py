# SPDX-License-Identifier: GPL-2.0-or-later
"""The originals' environments can be made: their pins do not contradict egraff's constraints."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from packaging.requirements import Requirement

HERE = Path(__file__).parent
CONSTRAINTS = HERE.parents[1] / "constraints.txt"


def versions(lines: list[str]) -> dict[str, str]:
    """Return the exact version of each requirement."""
    found = {}
    for line in lines:
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        found[requirement.name.lower()] = specifier.version
    return found


@pytest.mark.parametrize("script", sorted(HERE.glob("*/generate.py")), ids=lambda p: p.parent.name)
def test_pins_agree_with_the_constraints(script):
    pins = versions(runpy.run_path(str(script))["PINS"])
    lines = [line.strip() for line in CONSTRAINTS.read_text().splitlines()]
    constraints = versions([line for line in lines if line and not line.startswith("#")])
    assert pins["torch"] == constraints["torch"]
    assert {name: constraints.get(name, pin) for name, pin in pins.items()} == pins
