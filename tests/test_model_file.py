# SPDX-License-Identifier: GPL-2.0-or-later
"""Model files: what is loaded is what was written, and anything else is refused in words."""

from __future__ import annotations

import io
import json
import os
import random
import re
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from egraff import _model_file
from egraff.calculator import EgraffCalculator
from egraff.cli import app
from egraff.errors import EgraffError, ModelFileError
from egraff.files import sha256
from egraff.metadata import read_metadata
from egraff.training.evaluate import open_model
from tests.model_files import DIGEST, METADATA, altered, records, replaced, write

CHANGED = "expected the content that was written, with SHA-256 .*: the file was damaged or changed"
DAMAGED = "expected a complete archive, got a truncated or damaged one"
NOT_ZIP = r"expected an exported model \(a zip archive\), got something else"
NOT_OURS = "not an egraff model: the archive holds no extra/egraff.json"
NO_DIGEST = r"expected a digest of the file's content .*, got none: .*\n  fix: export it again"
COMPRESSED = "expected a record that is stored as it is, got a compressed one"


@pytest.fixture
def good(exported) -> Path:
    return exported("float64")


def refused(path: Path, message: str) -> None:
    """Check that nothing that reads model files takes this one, and that all say the same."""
    for read in (EgraffCalculator, read_metadata):
        with pytest.raises(ModelFileError, match=message) as caught:
            read(path)
        assert str(caught.value).startswith(str(path))
        assert "\n  fix: " in str(caught.value)


# ---- damage -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [0, 3, 100, 0.3, 0.9, -1])
def test_truncated(good, tmp_path, kept):
    content = good.read_bytes()
    path = tmp_path / "m.egraff.pt"
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    refused(path, NOT_ZIP if path.stat().st_size < 4 else DAMAGED)


def test_a_bit_that_flips_is_found_or_changes_nothing(good, tmp_path):
    """Dates and the like are not content; everything that is, is found."""
    content = good.read_bytes()
    digest = _model_file.digest(os.fsencode(good))
    path = tmp_path / "m.egraff.pt"
    positions = random.Random(7).sample(range(len(content)), 150)
    # headers of records, the list of them and its end are few bytes among many of weights
    positions += [*range(60), *range(len(content) - 150, len(content))]
    found = 0
    for position in positions:
        changed = bytearray(content)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        problem = None
        try:
            read_metadata(path)
        except ModelFileError as error:
            problem = str(error)
        if problem is None:
            assert _model_file.digest(os.fsencode(path)) == digest
        else:
            found += 1
            known = (CHANGED, DAMAGED, NOT_ZIP, NOT_OURS, NO_DIGEST, COMPRESSED)
            assert re.search("|".join(known), problem)
    assert found > 250


@pytest.mark.parametrize("extra", [b"junk", b"\0" * 100])
def test_bytes_before_or_after_the_archive(good, tmp_path, extra):
    path = tmp_path / "m.egraff.pt"
    path.write_bytes(good.read_bytes() + extra)
    refused(path, DAMAGED)
    path.write_bytes(extra + good.read_bytes())
    refused(path, NOT_ZIP)
    path.write_bytes(2 * good.read_bytes())
    refused(path, DAMAGED)


@pytest.mark.parametrize("start", ["data/4", "code/__torch__/egraff/models/nequip", "data.pkl"])
def test_a_record_that_is_missing_changed_or_added(good, tmp_path, start):
    contents, path = records(good), tmp_path / "m.egraff.pt"
    # TorchScript numbers a class that this process has compiled before: nequip/___torch_mangle_1.py
    name = next(name for name in sorted(contents) if name.startswith(f"archive/{start}"))
    changes = {
        "missing": {key: value for key, value in contents.items() if key != name},
        "other": {**contents, name: bytes(255 - byte for byte in contents[name])},
        "shorter": {**contents, name: contents[name][:-4]},
        "added": {**contents, name + ".copy": contents[name]},
        "renamed": {key.replace(name, name + "x"): value for key, value in contents.items()},
    }
    for change in changes.values():
        refused(write(path, change), CHANGED)


# ---- metadata ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", [{"elements": ["F", "Li"]}, {"r_max": 3.0}, {"exchange_widths": []}, {"note": 1}]
)
def test_metadata_that_changed(good, tmp_path, change):
    refused(altered(good, tmp_path / "m.egraff.pt", sealed=False, **change), CHANGED)


@pytest.mark.parametrize("change", [{"elements": ["F", "Li"]}, {"r_max": 3.0}])
def test_wrong_elements_and_cutoffs_show_in_the_check_frame_too(good, tmp_path, change):
    """A file that was sealed with them: the graph is made of what the metadata say."""
    path = altered(good, tmp_path / "m.egraff.pt", **change)
    with pytest.raises(ModelFileError, match="check_frame: expected the energy and forces stored"):
        EgraffCalculator(path)


def test_a_file_of_an_earlier_version(good, tmp_path):
    contents = {key: value for key, value in records(good).items() if not key.endswith(DIGEST)}
    refused(write(tmp_path / "m.egraff.pt", contents), NO_DIGEST)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "expected JSON, got"),
        (b"[]", "expected a JSON object, got array"),
        (b"[" * 200_000 + b"]" * 200_000, "expected JSON of at most 32 levels, got more"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "expected JSON of at most 32 levels"),
        (b'{"r_max": NaN}', "expected JSON, got"),
        (b'{"r_max": "\xff\xfe"}', "expected JSON, got"),
        (b" " * (17 << 20), "expected at most 16777216 bytes, got 17825792"),
    ],
)
def test_json_that_is_none(good, tmp_path, text, message):
    path = tmp_path / "m.egraff.pt"
    refused(replaced(path, {**records(good), f"archive/{METADATA}": text}), message)


# ---- files of others --------------------------------------------------------------------------


class Loop(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while True:
            x = x + 1
        return x


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_program_of_somebody_else_does_not_run(good, tmp_path):
    text = records(good)[f"archive/{METADATA}"].decode()
    path = tmp_path / "m.egraff.pt"
    torch.jit.save(torch.jit.script(Loop()), path)
    refused(path, NOT_OURS)
    torch.jit.save(torch.jit.script(Loop()), path, _extra_files={"egraff.json": text})
    refused(path, NO_DIGEST)
    digest = records(good)[f"archive/{DIGEST}"].decode()
    both = {"egraff.json": text, "egraff.sha256": digest}
    torch.jit.save(torch.jit.script(Loop()), path, _extra_files=both)
    refused(path, f"{CHANGED}|{COMPRESSED}")


@pytest.mark.parametrize("content", [b"hello\n", b"\x89PNG\r\n" + bytes(99), bytes(99), b"\x7fELF"])
def test_something_else(tmp_path, content):
    path = tmp_path / "m.egraff.pt"
    path.write_bytes(content)
    refused(path, NOT_ZIP)


def test_a_checkpoint(tmp_path):
    path = tmp_path / "best.ckpt"
    torch.save({"a": torch.zeros(3)}, path)
    refused(path, "expected an exported model, got a training checkpoint")


def test_what_is_no_file(tmp_path):
    refused(tmp_path / "absent", "found no such file")
    refused(tmp_path, "got a directory")
    refused(Path("/dev/zero"), "got something that is not a regular file")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "got something that is not a regular file")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    refused(tmp_path / "loop", "got a path that cannot be followed: Too many levels of symbolic")


@pytest.mark.parametrize("name", ["data/0", METADATA])
def test_compressed_records_are_not_unpacked(good, tmp_path, name):
    """128 MiB of zeros in a small file; the process may have 64 MiB more than it has."""
    contents, path = records(good), tmp_path / "m.egraff.pt"
    contents[f"archive/{name}"] = bytes(128 << 20)
    write(path, contents, compression=zipfile.ZIP_DEFLATED)
    del contents
    code = (
        "import resource, sys\n"
        "from egraff.metadata import read_metadata\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20),) * 2)\n"
        "read_metadata(sys.argv[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert re.search(COMPRESSED, done.stderr), done.stderr[-2000:]


def test_a_file_that_claims_more_than_it_has(good, tmp_path):
    """Sizes in the list of records, of which memory would be made."""
    content = bytearray(good.read_bytes())
    entry = content.rindex(b"PK\1\2")
    for size in (entry + 20, entry + 24):
        content[size : size + 4] = (2**31).to_bytes(4, "little")
    path = tmp_path / "m.egraff.pt"
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path, DAMAGED + r" \(it cannot hold all of archive/extra/egraff.sha256\)")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + (100 << 10)


# ---- what a file is --------------------------------------------------------------------------


def test_the_digest_is_that_of_contents_and_names(good, tmp_path):
    """A file that is packed again is the same model; the digest can be had without egraff."""
    contents = records(good)
    path = write(tmp_path / "m.egraff.pt", dict(reversed(contents.items())))
    assert path.read_bytes() != good.read_bytes()
    assert EgraffCalculator(path).model.digest == EgraffCalculator(good).model.digest
    lines = ""
    for name in sorted(set(contents) - {f"archive/{DIGEST}"}):
        (tmp_path / "record").write_bytes(contents[name])
        lines += f"{sha256(tmp_path / 'record')}  {name}\n"
    (tmp_path / "list").write_text(lines)
    assert sha256(tmp_path / "list") == contents[f"archive/{DIGEST}"].decode()


def test_sha256_of_sizes_around_its_blocks(tmp_path):
    generator = random.Random(3)
    sizes = [*range(0, 130), 1 << 20, (1 << 20) + 1]
    contents = {f"a/{size:07d}": generator.randbytes(size) for size in sizes}
    path = write(tmp_path / "sums.zip", contents)
    lines = ""
    for name, content in contents.items():
        (tmp_path / "record").write_bytes(content)
        lines += f"{sha256(tmp_path / 'record')}  {name}\n"
    (tmp_path / "list").write_text(lines)
    assert _model_file.digest(os.fsencode(path)) == sha256(tmp_path / "list")


def test_no_path_of_this_machine_is_in_a_file(good):
    root = Path(__file__).parents[1]
    private = [root, Path(torch.__file__).parents[1], Path.home()]
    for name, content in records(good).items():
        assert not any(os.fsencode(place) in content for place in private), name
        assert not name.endswith(".debug_pkl")


def test_an_archive_with_wide_numbers(good, tmp_path):
    """Sizes of 64 bits, as torch writes them."""
    path = tmp_path / "m.egraff.pt"
    writer = torch._C.PyTorchFileWriter(str(path))
    for name, content in records(good).items():
        plain = name.removeprefix("archive/")
        if plain not in (".data/serialization_id", "version", "byteorder", DIGEST):
            writer.write_record(plain, content, len(content))
    writer.write_end_of_file()
    contents = records(path)
    assert b"PK\6\7" in path.read_bytes()
    lines = io.StringIO()
    for name in sorted(contents):
        (tmp_path / "record").write_bytes(contents[name])
        lines.write(f"{sha256(tmp_path / 'record')}  {name}\n")
    (tmp_path / "list").write_text(lines.getvalue())
    assert _model_file.digest(os.fsencode(path)) == sha256(tmp_path / "list")


# ---- everything that reads model files --------------------------------------------------------


def test_commands_refuse_in_words(good, tmp_path):
    broken = altered(good, tmp_path / "m.egraff.pt", sealed=False, r_max=3.0)
    structure = tmp_path / "s.xyz"
    structure.write_text("1\nenergy=0.0\nLi 0 0 0\n")
    run = ["run", "--model", str(broken), "--structure", str(structure), "--dry-run"]
    for command in (
        ["check", str(broken), "--ranks", ""],
        ["eval", str(broken), str(structure)],
        [*run, "--ensemble", "nve", "--steps", "1", "--out", str(tmp_path / "run")],
    ):
        result = CliRunner().invoke(app, command)
        assert isinstance(result.exception, EgraffError), (command, result.output)
        assert re.search(CHANGED, str(result.exception))
    assert not (tmp_path / "run").exists()


def test_an_exported_model_is_told_from_a_checkpoint_whatever_it_is_called(good, tmp_path):
    """Though damaged: the reader of checkpoints would say something else of it."""
    path = altered(good, tmp_path / "model", sealed=False, r_max=3.0)
    with pytest.raises(ModelFileError, match=CHANGED):
        open_model(path)
    assert json.loads(records(path)[f"archive/{METADATA}"])["r_max"] == 3.0


@pytest.mark.parametrize("name", ["é ü.egraff.pt", os.fsdecode(b"\xff\xfe.egraff.pt")])
def test_any_file_name(good, tmp_path, name):
    """Names on Linux are bytes, which need not be text."""
    path = tmp_path / name
    with pytest.raises(ModelFileError, match="found no such file"):
        EgraffCalculator(path)
    path.write_bytes(good.read_bytes())
    assert EgraffCalculator(path).metadata == read_metadata(good)
