# SPDX-License-Identifier: GPL-2.0-or-later
"""README's table of what is supported is what the code and its tests say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("support_table", ROOT / "tools" / "support_table.py")
support_table = importlib.util.module_from_spec(spec)
spec.loader.exec_module(support_table)


def test_readme_is_up_to_date():
    readme = support_table.README.read_text(encoding="utf-8")
    assert support_table.updated(readme) == readme, "run python tools/support_table.py"


def test_every_architecture_inherits_the_contract():
    from egraff.models import ARCHITECTURES

    counts = support_table.contract_tests()
    assert set(counts) == set(ARCHITECTURES)
    assert all(count > 15 for count in counts.values())


def test_recorded_deviations_are_within_what_is_promised():
    for name, worst in support_table.recorded().items():
        assert worst["float64"] < 1e-10, name
        assert worst["float32"] < 1e-5, name


def test_missing_markers_are_an_error():
    with pytest.raises(SystemExit, match=r"README\.md: expected the markers .* once each"):
        support_table.updated("# a README without markers")
