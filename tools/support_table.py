# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of what is supported, in README.md: made from the code and its tests, not by hand.

Without options it is written into README.md. ``--check`` fails if README.md is out of date.
``--measure`` first compares with every stored number of the originals, which takes minutes, and
writes tests/parity/deviations.json; name architectures to measure only these.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
RECORD = ROOT / "tests" / "parity" / "deviations.json"
BEGIN = "<!-- support table: written by tools/support_table.py -->"
END = "<!-- end of support table -->"

# what the fixtures' pins call the package that was compared with
ORIGINALS = re.compile(r"^(nequip==|nequip-allegro==|mace-torch==|torchmd-net==|botnet )")


def originals(architecture: str) -> tuple[str, int]:
    """Return what the stored numbers came from, and how many configurations there are."""
    import numpy as np

    paths = sorted((ROOT / "tests" / "parity" / architecture / "fixtures").glob("*_float64.npz"))
    names = set()
    for path in paths:
        with np.load(path) as file:
            case = json.loads(str(file["case"]))
        found = [pin.replace("==", " ") for pin in case["pins"] if ORIGINALS.match(pin)]
        # the last pin builds on the others; a repository is named by its commit
        names.add(found[-1] if found else f"{architecture} {case['commit'][:7]}")
    return ", ".join(sorted(names)), len(paths)


def contract_tests() -> dict[str, int]:
    """Return how many test functions each architecture inherits from the shared contract."""
    folder = ROOT / "tests" / "models"
    tree = ast.parse((folder / "contract.py").read_text(encoding="utf-8"))
    contract = next(
        n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "ModelContract"
    )
    functions = [n.name for n in contract.body if isinstance(n, ast.FunctionDef)]
    n_tests = sum(name.startswith("test_") for name in functions)
    counts = {}
    for path in sorted(folder.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and "ModelContract" in map(ast.unparse, node.bases):
                counts[path.stem.removeprefix("test_")] = n_tests
    return counts


def measure(names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Compare the converted models with the stored numbers; return the worst deviations."""
    sys.path.insert(0, str(ROOT))
    from importlib import import_module

    from ase.data import chemical_symbols

    from egraff.models import ARCHITECTURES
    from tests.parity.comparison import converted, deviations, fixtures, original

    worst: dict[str, dict[str, float]] = {}
    for name in names:
        convert = import_module(f"egraff.interop.{name}").convert_state
        for parameter in fixtures(name):
            reference = original(parameter.values[0])
            config, extra = dict(reference.case["config"]), {}
            if name == "nequip":
                config["model_dtype"] = reference.case["dtype"]
            if ARCHITECTURES[name].original.needs_elements:
                numbers = reference.case["elements"]
                extra["elements"] = [chemical_symbols[number] for number in numbers]
            model = converted(name, *convert(config, reference.weights, **extra))
            entry = worst.setdefault(name, {})
            for structure in reference.structures:
                found = deviations(model, structure)
                # energies and forces: some stresses were differenced in the original
                value = max(found[key] for key in ("energies", "forces") if key in found)
                entry[model.dtype] = max(entry.get(model.dtype, 0.0), value)
    return worst


def recorded() -> dict[str, dict[str, float]]:
    """Return the deviations measured last, by architecture and type."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}


def table() -> str:
    """Return the table as markdown, markers included."""
    from egraff.models import ARCHITECTURES, build, preset

    record = recorded()
    contract = contract_tests()
    rows = [
        "| architecture | paper | compared with (configurations) | worst deviation, float64 / "
        "float32 | exchanges of `small` (columns) | contract tests | presets |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, architecture in sorted(ARCHITECTURES.items()):
        model = build(name, elements=["H", "O"], r_max=4.0, seed=0, **preset(name, "small"))
        original, n_cases = originals(name)
        widths = ", ".join(str(width) for width in model.exchange_widths) or "none: local"
        cells = [
            f"`{name}`",
            architecture.citations[0],
            f"{original} ({n_cases})",
            " / ".join(f"{record[name][dtype]:.0e}" for dtype in ("float64", "float32"))
            if name in record
            else "not recorded",
            widths,
            str(contract.get(name, 0)),
            ", ".join(architecture.Config.presets),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join([BEGIN, *rows, END])


def updated(readme: str) -> str:
    """Return the text of the README with a new table between its markers."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise SystemExit(f"{README.name}: expected the markers {BEGIN!r} and {END!r} once each")
    before, rest = readme.split(BEGIN)
    return before + table() + rest.split(END)[1]


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail if out of date")
    parser.add_argument("--measure", nargs="*", help="measure the deviations of these, or of all")
    options = parser.parse_args()
    if options.measure is not None:
        from egraff.models import ARCHITECTURES

        worst = recorded() | measure(options.measure or sorted(ARCHITECTURES))
        RECORD.write_text(json.dumps(worst, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    old = README.read_text(encoding="utf-8")
    new = updated(old)
    if options.check:
        if new != old:
            print("README.md: the table is out of date\n  fix: python tools/support_table.py")
        return int(new != old)
    README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
