# SPDX-License-Identifier: GPL-2.0-or-later
"""Files as interrupted programs, editors and other systems leave them: read whole, or refused."""

import bz2
import gzip
import lzma
import re

import numpy as np
import pytest

from egraff.data import read_frames, read_images
from egraff.errors import InputError

COMMENT = 'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3:forces:R:3'


def block(number, comment=COMMENT):
    """Frame ``number`` of two atoms, as four lines."""
    return (
        f"2\n{comment} energy={-number - 0.5}\n"
        f"Na 0.0 0.0 {number}.0 0.1 0.2 0.3\n"
        f"Cl 2.5 0.0 {number}.0 -0.1 -0.2 -0.3\n"
    )


GOOD = "".join(block(number) for number in range(5))


def energies(path):
    return [frame.energy for frame in read_frames(path)]


def refusal(tmp_path, text, message):
    path = tmp_path / "data.xyz"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_frames(path)
    assert caught.value.where == str(path)
    assert caught.value.fix


@pytest.mark.parametrize(
    "content",
    [
        GOOD.encode(),
        GOOD.encode() + b"\n \n\n",
        GOOD.rstrip("\n").encode(),
        GOOD.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + GOOD.encode(),
    ],
    ids=["plain", "blank lines at the end", "no last line end", "Windows", "byte-order mark"],
)
def test_what_changes_nothing(tmp_path, content):
    path = tmp_path / "data.xyz"
    path.write_bytes(content)
    assert energies(path) == [-0.5, -1.5, -2.5, -3.5, -4.5]


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)],
)
def test_compressed_files_are_judged_alike(tmp_path, suffix, compress):
    path = tmp_path / f"data.xyz{suffix}"
    path.write_bytes(compress(GOOD.encode()))
    assert len(energies(path)) == 5
    path.write_bytes(compress((block(0) + "\n" + block(1)).encode()))
    with pytest.raises(InputError, match=r"frame 1: expected the number of atoms in line 5, got a"):
        read_frames(path)


def test_the_content_is_that_of_ase(tmp_path):
    path = tmp_path / "data.xyz"
    path.write_text(GOOD)
    image = read_images(path)[3]
    assert image.get_chemical_symbols() == ["Na", "Cl"]
    np.testing.assert_array_equal(image.positions, [[0, 0, 3], [2.5, 0, 3]])
    np.testing.assert_array_equal(image.get_forces(), [[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])
    assert image.pbc.all()


def test_plain_xyz_and_lattice_vectors_behind_the_atoms(tmp_path):
    path = tmp_path / "data.xyz"
    path.write_text("1\nit's a comment\nNa 0 0 0 99\n1\nCl\nCl 0 0 0\nVEC1 4 0 0\nVEC2 0 4 0\n")
    first, second = read_images(path)
    assert len(first) == len(second) == 1
    assert second.pbc.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("between", "got"),
    [
        ("\n", "a blank line"),
        ("end of file\n", "'end of file'"),
        ("-2\n", "'-2'"),
        ("2.0\n", "'2.0'"),
        ("Na 0 0 0 0 0 0\n", "'Na 0 0 0 0 0 0'"),
    ],
)
def test_a_line_that_belongs_to_no_frame(tmp_path, between, got):
    """ASE stops at the first blank line: of 400 frames, 200 would be left out."""
    refusal(
        tmp_path,
        block(0) + block(1) + between + block(2) + block(3),
        f"frame 2: expected the number of atoms in line 9, got {got}; frame 1 ends in line 8, and "
        "9 lines follow",
    )


def test_text_behind_the_last_frame(tmp_path):
    refusal(tmp_path, GOOD + "\ndone\n", "frame 5: expected the number of atoms in line 21, got a")


def test_an_interrupted_last_frame(tmp_path):
    cut = GOOD[: GOOD.rindex("Cl")]
    refusal(
        tmp_path,
        cut,
        "frame 4: line 17 announces 2 atoms, but only 1 lines of atoms follow to the end",
    )
    refusal(tmp_path, block(0) + "2\n", "frame 1: line 5 announces 2 atoms, but only 0 lines")
    refusal(tmp_path, GOOD[:-12], "frame 4: expected 7 columns in line 20, got 5: 'Cl 2.5 0.0 4.0")


def test_a_file_that_ends_inside_its_last_number(tmp_path):
    """All columns are there, and -0.3012 would be read as -0.3."""
    rows = [f"H {k:9.5f} {0:9.5f} {0:9.5f}\n" for k in range(4)]
    whole = "4\nProperties=species:S:1:pos:R:3\n" + "".join(rows)
    path = tmp_path / "data.xyz"
    path.write_text(whole.rstrip("\n"))
    assert len(read_frames(path)) == 1
    refusal(tmp_path, whole[:-3], "frame 0: the file ends inside line 6: 'H   3.00000   0.00000   ")


def test_an_absurd_number_of_atoms_is_refused_at_once(tmp_path):
    huge = block(2).replace("2\n", "999999999999\n", 1)
    refusal(
        tmp_path,
        block(0) + block(1) + huge + block(3),
        "frame 2: line 9 announces 999999999999 atoms, but only 6 lines of atoms follow",
    )


def test_a_number_of_atoms_that_is_one_too_large_or_too_small(tmp_path):
    refusal(
        tmp_path,
        block(0) + block(1).replace("2\n", "3\n", 1) + block(2),
        "frame 1: expected 7 columns in line 9, got 1: '2'",
    )
    refusal(
        tmp_path,
        block(0) + block(1).replace("2\n", "1\n", 1) + block(2),
        "frame 2: expected the number of atoms in line 8, got 'Cl 2.5",
    )


@pytest.mark.parametrize(("row", "columns"), [("Na 0 0 0 1 2", 6), ("Na 0 0 0 1 2 3 4", 8)])
def test_columns_that_properties_does_not_announce(tmp_path, row, columns):
    text = block(0) + block(1).replace("Na 0.0 0.0 1.0 0.1 0.2 0.3", row)
    refusal(tmp_path, text, f"frame 1: expected 7 columns in line 7, got {columns}: '{row}'")


def test_properties_that_say_nothing(tmp_path):
    bad = block(1, "Properties=species:S:x:pos")
    refusal(tmp_path, block(0) + bad, "frame 1: expected Properties as name:type:columns, got 'spe")


@pytest.mark.parametrize(("old", "new"), [("Na", "Xq"), ("0.2", "0.2.1"), ("0.1 ", "****** ")])
def test_values_that_cannot_be_read_name_the_frame(tmp_path, old, new):
    refusal(tmp_path, block(0) + block(1).replace(old, new, 1), "frame 1: cannot be read (")


@pytest.mark.parametrize("opened", ['source="PBE', "source={PBE", "source='PBE"])
def test_a_quote_that_never_ends(tmp_path, opened):
    """ASE would take the rest of the line, the energy too, for the value."""
    mark = opened[7]
    refusal(
        tmp_path,
        block(0) + block(1, f"{COMMENT} {opened}"),
        f"frame 1: the {mark} in line 6 is never closed",
    )


def test_quotes_inside_quotes_are_no_fault(tmp_path):
    path = tmp_path / "data.xyz"
    path.write_text(block(0, COMMENT + r""" a="it's" b='5"' c="an \"inner\" quote" d=[1 2 3]"""))
    (frame,) = read_frames(path)
    assert frame.info["a"] == "it's"
    assert frame.energy == -0.5


def test_a_key_given_twice(tmp_path):
    bad = block(1, f"{COMMENT} energy=3")
    refusal(tmp_path, block(0) + bad, "frame 1: line 6 gives energy more than once")


def test_text_in_another_encoding(tmp_path):
    path = tmp_path / "data.xyz"
    path.write_bytes((block(0) + block(1, COMMENT + " by=Andr\u00e9")).encode("latin-1"))
    with pytest.raises(InputError, match=r"expected UTF-8 text, got the byte 0xe9 in line 6"):
        read_frames(path)
    path.write_bytes(GOOD.encode("utf-16"))
    with pytest.raises(InputError, match=r"expected UTF-8 text, got the byte 0xff in line 1"):
        read_frames(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"9 0 0', '"nan 0 0', "frame 1, cell: 1 value(s) are NaN or infinite"),
        ('"9 0 0', '"1e300 0 0', "frame 1, cell: expected coordinates up to 1e+06 A, got 1e+300"),
        ("Na 0.0", "Na inf", "frame 1, positions: 1 value(s) are NaN or infinite (first at atom 0"),
        (
            "Cl 2.5",
            "Cl -1e300",
            "frame 1, positions: expected coordinates up to 1e+06 A, got 1e+300 (first at atom 1)",
        ),
    ],
)
def test_lengths_that_are_none(tmp_path, old, new, message):
    refusal(tmp_path, block(0) + block(1).replace(old, new, 1), message)


def test_a_frame_without_atoms(tmp_path):
    refusal(
        tmp_path, block(0) + f"0\n{COMMENT}\n" + block(2), "frame 1, atoms: the frame has no atoms"
    )
