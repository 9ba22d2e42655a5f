"""What is read off LAMMPS, and sizes that fit."""

import lammps_runs
import pytest
import sizes
from lammps_runs import Run

SCREEN = """\
   Step        Atoms        PotEng         KinEng       c_model[1]
         0        100   1.5            0.5              2.5
        10        100   1.5            0.5              2.9
Loop time of 0.5 on 1 procs for 10 steps with 100 atoms

Section |  min time  |  avg time  |  max time  |%varavg| %total
---------------------------------------------------------------
Pair    | 0.44       | 0.45       | 0.46       |   0.0 | 90.0
"""


def test_times_are_per_atom_and_step():
    run = lammps_runs.parse(SCREEN, 7)
    assert run.atoms == 100
    assert run.peak == 7
    assert (run.us, run.pair_us, run.model_us) == pytest.approx((500.0, 450.0, 400.0))


def test_an_unfinished_run_is_refused():
    with pytest.raises(ValueError, match="expected a finished run, got:\nERROR: Lost atoms"):
        lammps_runs.parse("ERROR: Lost atoms", 0)


def test_the_pair_style_tells_its_time_in_the_model(tiny_model, tmp_path):
    system = lammps_runs.silicon(64)
    run = lammps_runs.run(tiny_model, system, tmp_path, steps=5, elements="Li")
    assert run.atoms == 64
    assert 0.0 < run.model_us < run.pair_us < run.us
    assert run.peak > 10**7


def test_several_models_are_a_committee(tiny_model, tmp_path):
    models, system = [tiny_model] * 2, lammps_runs.silicon(64)
    lammps_runs.run(models, system, tmp_path, steps=1, ranks=2, elements="Li")
    assert "a committee of 2, evaluated in turn" in (tmp_path / "screen").read_text()


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    from egraff.export import export_torchscript
    from tests.conftest import tiny_nequip

    path = tmp_path_factory.mktemp("model") / "tiny.egraff.pt"
    export_torchscript(tiny_nequip(), path)
    return path


@pytest.mark.parametrize(
    ("n_atoms", "expected"), [(64, (2, 2, 2)), (96, (2, 2, 3)), (8, (1, 1, 1))]
)
def test_boxes_come_close_to_a_cube(n_atoms, expected):
    assert lammps_runs.cells(n_atoms) == expected


def test_sizes_end_with_the_largest():
    assert sizes.sizes_up_to(100_000) == [64, 512, 4096, 32768, 100_000]
    assert sizes.sizes_up_to(512) == [64, 512]


def runs(*pairs):
    return [Run(atoms, us, us, us, 10**8 + 20_000 * (atoms - 64)) for atoms, us in pairs]


def test_growth_looks_at_the_sizes_between():
    first, last = sizes.growth(runs((64, 9.0), (512, 5.0), (101_568, 6.0), (1_000_000, 7.0)))
    assert (first.atoms, last.atoms) == (512, 101_568)
    assert sizes.growth(runs((64, 9.0), (512, 5.0))) is None


def test_memory_beyond_the_smallest_run():
    smallest, larger = runs((64, 9.0), (512, 5.0))
    assert sizes.marginal(larger, smallest) == 20_000


def test_sizes_that_take_too_long_or_too_much_are_left_out(monkeypatch):
    before = runs((64, 9.0), (512, 100.0))
    assert sizes.too_much(4096, 2, before, budget=10.0) is None
    assert sizes.too_much(100_000, 2, before, budget=10.0) == "would take 30 s"
    monkeypatch.setattr(sizes, "free_bytes", lambda: 10**9)
    assert sizes.too_much(100_000, 2, before, budget=100.0) == "would take 2.1 GB"


def test_the_figure_is_drawn(tmp_path):
    sizes.draw({"mace": runs((64, 9.0), (512, 5.0), (4096, 6.0))}, tmp_path / "sizes.png")
    assert (tmp_path / "sizes.png").stat().st_size > 1000


def test_steps_that_take_some_seconds():
    pilot = lammps_runs.Run(atoms=512, us=100.0, pair_us=90.0, model_us=90.0, peak=0)
    assert lammps_runs.steps_for(4.0, pilot, 4096, at_least=2, at_most=20) == 9
    assert lammps_runs.steps_for(0.1, pilot, 4096, at_least=2, at_most=20) == 2
    assert lammps_runs.steps_for(60.0, pilot, 4096, at_least=2, at_most=20) == 20
