# SPDX-License-Identifier: GPL-2.0-or-later
"""One study and one report for all tests of the report."""

import pytest

from egraff.report.page import write_report
from tests.report.study import make_study


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("report") / "my study")


@pytest.fixture(scope="session")
def page(study):
    return write_report(study)
