# SPDX-License-Identifier: GPL-2.0-or-later
"""The elements of pair_coeff against masses and type labels."""

from __future__ import annotations

import pytest

from egraff.export import export_torchscript
from egraff.lammps.library import lammps_instance
from tests.pair_style.conftest import SETUP, START, STYLE
from tests.pair_style.engine import must_fail, must_run
from tests.pair_style.toy import toy

ELEMENTS = ["H", "He", "C", "N", "O", "Si", "P", "S", "Co", "Ni"]


@pytest.fixture(scope="module")
def verdict(tmp_path_factory):
    """Return what LAMMPS says of elements and types: a warning, an error, or nothing.

    A type is a mass, or a mass and a label. All cases run in one process.
    """
    directory = tmp_path_factory.mktemp("types")
    model = toy(elements=ELEMENTS, energy_shift=[0.0] * len(ELEMENTS), n_layers=1)
    export_torchscript(model, directory / "m.pt")
    log = directory / "log.lammps"
    engine = lammps_instance(["-log", str(log), "-screen", "none"])

    def judge(
        elements: str, *types: float | tuple[float, str], style="", units="metal", angstrom=1.0
    ):
        pairs = [it if isinstance(it, tuple) else (it, None) for it in types]
        engine.command("clear")
        engine.commands_list(
            [
                f"log {log}",
                f"units {units}",
                f"region box block {' '.join(3 * [f'0 {20 * angstrom}'])}",
                f"create_box {len(pairs)} box",
                f"neighbor {0.3 * angstrom} bin",
                *(f"mass {k} {mass!r}" for k, (mass, _) in enumerate(pairs, 1)),
                *(f"labelmap atom {k} {label}" for k, (_, label) in enumerate(pairs, 1) if label),
                "create_atoms 1 single 0 0 0",
                f"pair_style egraff {style}",
                f"pair_coeff * * {directory / 'm.pt'} {elements}",
            ]
        )
        try:
            engine.command("run 0 post no")
        except Exception as error:  # LAMMPS raises nothing more particular
            return "refused: " + " ".join(str(error).split())
        engine.command("log none")  # flushes
        lines = [line for line in log.read_text().splitlines() if "WARNING: pair_style" in line]
        return "\n".join(lines)

    yield judge
    engine.close()


# elements, then masses and labels of their types
RIGHT = {
    "plain": ("O H", 15.999, 1.008),
    "labels": ("O H", (15.999, "O"), (1.008, "H")),
    "rounded": ("C N Si Co Ni", 12.0, 14.0, 28.1, 59.0, 58.7),
    "deuterium": ("O H H", 15.999, 2.014, 1.008),
    "tritium, and helium": ("H He", 3.016, 4.0026),
    "carbon 13, oxygen 18": ("C O H", 13.00335, 17.99916, 1.008),
    "mass moved to hydrogen": ("O C H", 15.999 - 2 * 1.992, 12.011 - 3 * 1.992, 3.0),
    "as much as that of helium": ("C H He", 12.011 - 3 * 2.992, 4.0, 4.0026),
    "united atoms": ("C C N", 14.027, 15.035, 14.007),
    "placeholders": ("O H C", 1.0, 1.0, 1.0),
    "walls": ("O Si", 15.999, 1e6),
    "labels of force fields": ("O H C N", (16, "OW"), (1.008, "HW"), (12.01, "CA"), (14.0, "N1")),
}
LOOKS_WRONG = {
    "mass of H": (("O O", 15.999, 1.008), "type 2 is O in pair_coeff, but has the mass 1.008 of H"),
    "neighbours": (("C N", 12.01, 12.01), "type 2 is N in pair_coeff, but has the mass 12.01 of C"),
    "no such element in use": (
        ("O", 28.0855),
        "type 1 is O in pair_coeff, but has the mass 28.0855",
    ),
    "label": (
        ("O H", (15.999, "Si"), (1.008, "H")),
        "type 1 is O in pair_coeff, but has the label Si (",
    ),
    "placeholders with labels": (
        ("O O", (1.0, "O"), (1.0, "H")),
        "type 2 is O in pair_coeff, but has the label H (",
    ),
    "heavy water": (
        ("H H", 15.999, 2.014),
        "type 1 is H in pair_coeff, but has the mass 15.999 of O",
    ),
}
SWAPPED = {
    "masses": (
        ("H O", 15.999, 1.008),
        "got atom type 1 is H in pair_coeff, but has the mass 15.999 of O; atom type 2 is O in "
        "pair_coeff, but has the mass 1.008 of H fix: the order O H; or pair_style egraff masses "
        "ignore, if this is meant",
    ),
    "neighbours": (("C N", 14.007, 12.011), "fix: the order N C;"),
    "three types": (("H C O", 15.999, 1.008, 12.011), "fix: the order O H C;"),
    "two types of an element": (("O H H", 1.008, 15.999, 1.008), "fix: the order H O H;"),
    "heavy water": (("O H", 2.014, 15.999), "fix: the order H O;"),
    "cobalt and nickel": (("Co Ni", 58.6934, 58.933), "fix: the order Ni Co;"),
    "labels": (
        ("H O", (1.0, "O"), (1.0, "H")),
        "got atom type 1 is H in pair_coeff, but has the label O; atom type 2 is O",
    ),
    "mass and label agree": (
        ("O O", (15.999, "O"), (32.06, "S")),
        "got atom type 2 is O in pair_coeff, but has the mass 32.06 of S and the label S fix: the "
        "order O S;",
    ),
}


@pytest.mark.parametrize("case", RIGHT)
def test_nothing_is_said_of_what_may_be_meant(verdict, case):
    assert verdict(*RIGHT[case]) == ""


@pytest.mark.parametrize("case", LOOKS_WRONG)
def test_types_that_look_like_another_element_are_named(verdict, case):
    types, words = LOOKS_WRONG[case]
    text = verdict(*types)
    assert f"WARNING: pair_style egraff: atom {words}" in text
    assert "(pair_style egraff masses ignore, if this is meant)" in text
    assert text.count("in pair_coeff") == 1


@pytest.mark.parametrize("case", SWAPPED)
def test_types_in_the_wrong_order_are_refused(verdict, case):
    types, words = SWAPPED[case]
    text = verdict(*types)
    assert "m.pt: expected elements in the order of the atom types, got atom type" in text
    assert words in text
    assert verdict(*types, style="masses ignore") == ""


GRAM_PER_MOLE = 1.66054e-24  # g


@pytest.mark.parametrize(
    ("units", "gram_per_mole", "angstrom"),
    [
        ("real", 1.0, 1.0),
        ("electron", 1.0, 1.8897),
        ("si", GRAM_PER_MOLE * 1e-3, 1e-10),
        ("cgs", GRAM_PER_MOLE, 1e-8),
        ("micro", GRAM_PER_MOLE * 1e12, 1e-4),
        ("nano", GRAM_PER_MOLE * 1e18, 0.1),
    ],
)
def test_masses_are_in_the_units_of_the_input(verdict, units, gram_per_mole, angstrom):
    oxygen, hydrogen = 15.999 * gram_per_mole, 1.008 * gram_per_mole
    options = {"units": units, "angstrom": angstrom}
    assert verdict("O H", oxygen, hydrogen, **options) == ""
    text = verdict("H O", oxygen, hydrogen, **options)
    assert "the mass 15.999" in text or "the mass 16 " in text  # LAMMPS's constants have 6 digits
    assert "fix: the order O H;" in text


@pytest.mark.parametrize("ranks", [1, 2])
def test_wrong_order_ends_all_ranks(here, ranks):
    text = must_fail(START.replace("O H", "H O") + "run 0\n", here, ranks=ranks, timeout=60)
    assert text.count("pair_coeff: m.pt: expected elements in the order of the atom types") == 1


def test_a_warning_is_given_once(here):
    """Of masses as they are at the run, not at pair_coeff."""
    script = START + "mass 2 15.999\nrun 0\nrun 0\nmass 2 1.008\nrun 0\nmass 2 15.999\nrun 0\n"
    text = must_run(script, here)
    assert text.count("atom type 2 is H in pair_coeff, but has the mass 15.999 of O") == 2


def test_types_of_other_pair_styles_are_not_looked_at(here):
    style = "pair_style hybrid/overlay egraff zero 4.0\npair_coeff * * zero\n"
    style += "pair_coeff * * egraff m.pt NULL H\n"
    assert "WARNING: pair_style" not in must_run(SETUP + "mass 1 1.008\n" + style + "run 0\n", here)


def test_masses_of_atoms_are_not_those_of_types(here):
    """atom_style sphere has a mass per atom."""
    setup = """
units metal
atom_style sphere
region box block 0 9 0 9 0 9
create_box 2 box
create_atoms 1 single 1 1 1
create_atoms 2 single 2 1 1
set group all mass 12.0
"""
    assert "WARNING: pair_style" not in must_run(setup + STYLE + "run 0\n", here)
