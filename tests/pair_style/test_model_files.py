# SPDX-License-Identifier: GPL-2.0-or-later
"""Model files that `lmp` must not run; tests/test_model_file.py has more of them."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
import torch

from tests.model_files import DIGEST, METADATA, altered, records, write
from tests.pair_style.conftest import SETUP
from tests.pair_style.engine import must_fail

CHANGED = "the file was damaged or changed"


def truncated(good: Path, path: Path) -> str:
    path.write_bytes(good.read_bytes()[:-100])
    return "expected a complete archive, got a truncated or damaged one"


def bit_flip(good: Path, path: Path) -> str:
    content = bytearray(good.read_bytes())
    weights = max((content for name, content in records(good).items() if "/data/" in name), key=len)
    content[content.index(weights) + 5] ^= 1
    path.write_bytes(content)
    return CHANGED


def other_order(good: Path, path: Path) -> str:
    altered(good, path, sealed=False, elements=["O", "H"])
    return CHANGED


def other_order_sealed(good: Path, path: Path) -> str:
    altered(good, path, elements=["O", "H"])
    return "check_frame: expected the energy and forces stored with the check frame"


def smaller_cutoff_sealed(good: Path, path: Path) -> str:
    altered(good, path, r_max=2.5)
    return "check_frame: expected the energy and forces stored with the check frame"


def foreign_program(good: Path, path: Path) -> str:
    class Double(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

    torch.jit.save(torch.jit.script(Double()), path)
    ours = {name: data for name, data in records(good).items() if name.endswith((METADATA, DIGEST))}
    write(path, {**records(path), **ours})
    return CHANGED


def earlier_version(good: Path, path: Path) -> str:
    write(path, {name: data for name, data in records(good).items() if not name.endswith(DIGEST)})
    return "export it again: egraff export best.ckpt -o model.egraff.pt"


def zip_bomb(good: Path, path: Path) -> str:
    contents = records(good)
    contents["archive/data/0"] = bytes(64 << 20)
    write(path, contents, compression=zipfile.ZIP_DEFLATED)
    return "expected a record that is stored as it is, got a compressed one"


def named_pipe(_good: Path, path: Path) -> str:
    os.mkfifo(path)
    return "got something that is not a regular file"


def directory(_good: Path, path: Path) -> str:
    path.mkdir()
    return "expected an exported model, got a directory"


ONE_RANK = [
    truncated,
    bit_flip,
    other_order,
    other_order_sealed,
    smaller_cutoff_sealed,
    foreign_program,
    earlier_version,
    zip_bomb,
    named_pipe,
    directory,
]
# every rank reads the file, and only the first evaluates its check frame
TWO_RANKS = [bit_flip, other_order_sealed]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("make", "ranks"), [(make, 1) for make in ONE_RANK] + [(make, 2) for make in TWO_RANKS]
)
def test_lmp_refuses(here, make, ranks):
    message = make(here / "m.pt", here / "bad.pt")
    script = f"{SETUP}\npair_style egraff\npair_coeff * * bad.pt O H\nrun 0\n"
    text = must_fail(script, here, ranks=ranks, timeout=60)
    assert message in text
    assert "bad.pt" in text
