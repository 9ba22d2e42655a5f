# SPDX-License-Identifier: GPL-2.0-or-later
"""Toy data and one finished training, shared by the tests of this folder."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pytest
from rich.console import Console

from egraff.training.fit import fit
from tests.training.toy import frames, settings, write


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Return a folder with ``train.xyz`` (40 frames) and ``val.xyz`` (12 frames)."""
    folder = tmp_path_factory.mktemp("toy")
    write(folder / "train.xyz", frames(1, 40))
    write(folder / "val.xyz", frames(2, 12))
    return folder


@pytest.fixture(scope="session")
def trained(data, tmp_path_factory):
    """Return a finished training: ``out``, ``config``, ``summary``, ``printed``."""
    out = tmp_path_factory.mktemp("trained") / "run"
    text = io.StringIO()
    config = settings(data, epochs=25)
    returned = fit(config, out, console=Console(file=text, width=120))
    written = json.loads((out / "summary.json").read_text())
    return SimpleNamespace(
        out=out, config=config, returned=returned, summary=written, printed=text.getvalue()
    )
