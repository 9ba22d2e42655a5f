# SPDX-License-Identifier: GPL-2.0-or-later
"""Imports run downwards: in the order of packages that docs/design.md draws, without circles."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import egraff

ROOT = Path(egraff.__file__).parent
DESIGN = Path(__file__).resolve().parents[1] / "docs" / "design.md"


def modules() -> dict[str, Path]:
    """Return all modules of egraff by name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = ["egraff", *path.relative_to(ROOT).with_suffix("").parts]
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imports(source: str) -> Iterator[str]:
    """Yield the modules of egraff that a source imports, also those imported inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            # a name is a module, or something in one
            yield from (name if name in MODULES else str(node.module) for name in names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


IMPORTS = {
    name: {module for module in imports(path.read_text(encoding="utf-8")) if module in MODULES}
    for name, path in MODULES.items()
}


def package(module: str) -> str:
    """Return the part after ``egraff``; nothing for egraff itself, which holds the version."""
    return module.partition(".")[2].partition(".")[0]


def floors() -> dict[str, int]:
    """Return how high each package stands in the table of docs/design.md."""
    table = re.search(r"^```\n(__main__\n.*?)^```", DESIGN.read_text(encoding="utf-8"), re.M | re.S)
    lines = [line.split() for line in table[1].splitlines()]
    names = [name for line in lines for name in line]
    assert len(names) == len(set(names)), "a package stands on one line"
    return {name: -number for number, line in enumerate(lines) for name in line}


def test_every_package_has_its_place():
    assert set(floors()) == {package(module) for module in MODULES} - {""}


def test_packages_import_from_below():
    floor = floors()
    upward = [
        f"{module} imports {imported}"
        for module, targets in IMPORTS.items()
        for imported in targets
        if package(imported) not in ("", package(module))
        and floor[package(imported)] >= floor[package(module)]
    ]
    assert not upward


def test_modules_import_without_circles():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        raise AssertionError(" <- ".join(error.args[1])) from None


def test_imports_inside_functions_count():
    source = "def f():\n    from egraff import ops\n    from egraff.graph import Graph\n"
    assert list(imports(source)) == ["egraff.ops", "egraff.graph"]
