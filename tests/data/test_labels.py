# SPDX-License-Identifier: GPL-2.0-or-later
"""Energies, forces and stress under other names, in other units and with the other sign."""

import re
from typing import get_args

import numpy as np
import pytest
from ase import Atoms
from ase.units import GPa

from egraff.cli.labels import Sign, Unit
from egraff.data import LabelKeys, frame_from_atoms, label_keys, validate_frames
from egraff.errors import InputError

STRESS = np.array([[1.0, 0.6, 0.5], [0.6, 2.0, 0.4], [0.5, 0.4, 3.0]]) * 1e-3
VOLUME = 4.0 * 5.0 * 6.0


def salt(pbc=True, **info):
    atoms = Atoms("NaCl", [[0, 0, 0], [2.3, 0, 0]], cell=[4, 5, 6], pbc=pbc)
    atoms.info.update(info)
    return atoms


def frame(atoms, **keys):
    return frame_from_atoms(atoms, keys=LabelKeys(**keys), source=("data.xyz", 7))


def test_a_virial_is_minus_stress_times_volume():
    found = frame(salt(virial=-STRESS * VOLUME))
    np.testing.assert_allclose(found.stress, STRESS, rtol=1e-12)
    assert found.stress_from == "virial"
    named = frame(salt(REF_virials=-STRESS * VOLUME), virial_key="REF_virials")
    np.testing.assert_allclose(named.stress, STRESS, rtol=1e-12)
    assert frame(salt(virial=-STRESS * VOLUME), virial_key="").stress is None


@pytest.mark.parametrize("pbc", [False, (True, True, False)])
def test_a_virial_without_a_volume_gives_no_stress(pbc):
    assert frame(salt(pbc, virial=-STRESS * VOLUME)).stress is None


@pytest.mark.parametrize(
    ("unit", "sign", "value"),
    [
        ("GPa", "tension", STRESS / GPa),
        ("kbar", "tension", STRESS / (0.1 * GPa)),
        # as VASP prints it: kbar, positive under compression
        ("kbar", "compression", -STRESS / (0.1 * GPa)),
        ("eV/A^3", "compression", -STRESS),
        (None, "tension", STRESS),
    ],
)
def test_units_and_signs_of_a_stress(unit, sign, value):
    found = frame(salt(stress=value), stress_unit=unit, stress_sign=sign)
    # ASE's units are CODATA 2014: 1e-8 apart
    np.testing.assert_allclose(found.stress, STRESS, rtol=1e-7)


def test_stress_and_virial_that_agree_or_not():
    both = salt(stress=STRESS, virial=-STRESS * VOLUME)
    assert frame(both).stress_from == "stress"
    text = (
        "data.xyz: frame 7, stress and virial: expected stress to be -virial/volume, got xx "
        "-0.001 and 0.001 eV/A^3"
    )
    with pytest.raises(InputError, match=re.escape(text)):
        frame(salt(stress=-STRESS, virial=-STRESS * VOLUME))
    assert frame(salt(stress=-STRESS, virial=-STRESS * VOLUME), virial_key="").stress[0, 0] < 0


def test_names_that_say_something_else_are_refused():
    with pytest.raises(InputError, match=r"and virial is by its name a virial"):
        label_keys({"stress_key": "virial"})
    with pytest.raises(InputError, match=r"the unit of stress_GPa, whose name says GPa"):
        label_keys({"stress_key": "stress_GPa"})
    assert label_keys({"stress_key": "stress_GPa", "stress_unit": "GPa"}).stress_factor > 0
    with pytest.raises(InputError, match="--stress-unit: Input should be 'eV/A"):
        label_keys({"stress_unit": "bar"})


def test_other_keys_that_could_be_meant_are_found_by_name_and_shape():
    atoms = salt(
        REF_energy=-3.5,
        energy_source="PBE",
        energies_of_two=[1.0, 2.0],
        dft_stress=STRESS.ravel(),
        dft_virial=STRESS,
    )
    atoms.arrays["REF_forces"] = np.ones((2, 3))
    atoms.arrays["force_norm"] = np.ones(2)
    assert frame(atoms).alternatives == {
        "energy": ("REF_energy",),
        "forces": ("REF_forces",),
        "stress": ("dft_stress",),
        "virial": ("dft_virial",),
    }


def test_a_key_without_a_value_is_no_energy():
    """Extended XYZ reads it as true."""
    with pytest.raises(InputError, match=r"frame 7, energy: expected one number, got True"):
        frame(salt(energy=True))
    assert frame(salt(REF_energy=True)).alternatives["energy"] == ()


def test_a_virial_that_cannot_be_right():
    huge = frame(salt(virial=1e5 * np.eye(3)))
    with pytest.raises(InputError, match=r"expected less than 10.*\n.*unread with --virial-key ''"):
        validate_frames([huge], require=())
    assert validate_frames([frame(salt(virial=1e5 * np.eye(3)), virial_key="")], require=()) == []


def test_a_missing_label_names_the_option_for_each_candidate():
    atoms = salt(REF_energy=-3.5, dft_energy=-3.6)
    atoms.arrays["REF_forces"] = np.ones((2, 3))
    text = "name the right key: --energy-key REF_energy or --energy-key dft_energy; or label"
    with pytest.raises(InputError, match=re.escape(text)):
        validate_frames([frame(atoms)])
    text = "name the right key: --forces-key REF_forces; or label the frame"
    with pytest.raises(InputError, match=re.escape(text)):
        validate_frames([frame(atoms, energy_key="REF_energy")])


def test_a_second_energy_is_mentioned_unless_it_is_the_same():
    def remarks(**info):
        return validate_frames([frame(salt(**info))], require=("energy",))

    (remark,) = remarks(energy=-3.0, REF_energy=-3.5)
    assert (
        "energy is read from energy; there are other values in REF_energy (--energy-key REF_e"
        in (remark)
    )
    assert remarks(energy=-3.0, REF_energy=-3.0) == []


def test_frames_that_are_labelled_in_part_are_counted():
    frames = [
        frame_from_atoms(salt(**{key: -3.0 - number / 10, "number": number}), source=("f", number))
        for number, key in enumerate(["energy", "energy", "REF_energy", "energy"])
    ]
    for number, one in enumerate(frames):
        one.positions[1, 0] += 0.1 * number
    (remark,) = validate_frames(frames, require=())
    assert "1 of 4 frames have no energy (frame 2; they have REF_energy)" in remark


def test_the_options_of_the_command_line_are_the_settings():
    fields = LabelKeys.model_fields
    assert [unit.value for unit in Unit] == list(
        get_args(get_args(fields["stress_unit"].annotation)[0])
    )
    assert [sign.value for sign in Sign] == list(get_args(fields["stress_sign"].annotation))
