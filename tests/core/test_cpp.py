# SPDX-License-Identifier: GPL-2.0-or-later
"""Run the C++ unit tests (cpp/tests), which an editable install builds."""

from __future__ import annotations

import subprocess

import pytest

from egraff.ops import library_directory

PROGRAM = library_directory() / "egraff_cpp_tests"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=120)


NAMES = run().stdout.split() if PROGRAM.exists() else []


@pytest.mark.skipif(not NAMES, reason="egraff was built without -DEGRAFF_TESTS=ON")
@pytest.mark.parametrize("name", NAMES)
def test_cpp(name):
    done = run(name)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not NAMES, reason="egraff was built without -DEGRAFF_TESTS=ON")
def test_a_name_of_no_test_fails():
    assert run("no_such_test").returncode == 2
