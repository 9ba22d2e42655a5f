# SPDX-License-Identifier: GPL-2.0-or-later
"""Import a copy, or see it refused."""

import numpy as np
import pytest

from egraff.data import read_frames
from egraff.data.importers import ImportOptions, import_data
from egraff.errors import InputError


def imported(source, layout, out, name, **options):
    import_data(source, layout, out, ImportOptions(**options))
    return read_frames(out / f"{name}.xyz.gz")


def refused(text, source, layout, out, **options):
    with pytest.raises(InputError, match=text):
        import_data(source, layout, out, ImportOptions(**options))
    assert not list(out.rglob("*.xyz.gz"))


def agrees(frames, arrays):
    assert len(frames) == len(arrays["pos"])
    for i, frame in enumerate(frames):
        assert frame.numbers.tolist() == arrays["atomic_numbers"].tolist()
        # eight decimals in the file
        np.testing.assert_allclose(frame.positions, arrays["pos"][i], atol=1e-8)
        np.testing.assert_allclose(frame.forces, arrays["forces"][i], atol=1e-8)
        assert frame.energy == pytest.approx(arrays["energy"][i], abs=1e-9)
        assert frame.pbc.tolist() == arrays.get("pbc", np.zeros(3, bool)).tolist()
