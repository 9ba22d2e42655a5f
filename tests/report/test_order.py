# SPDX-License-Identifier: GPL-2.0-or-later
"""Local order, conservation, relabelled rollouts and the models' checks on the page."""

from egraff.analysis.model_checks import ModelChecks
from egraff.analysis.reference import read_reference
from egraff.analysis.runs import read_run
from egraff.report.collect import collect
from egraff.report.content_order import conservation, models, order, rollouts
from egraff.report.style import PAGE
from tests.analysis.rollouts import labelled, rollout
from tests.analysis.runs import SALT, analyse_run, make_run, run_of, thermal
from tests.analysis.runs import model as lennard_jones


def drawn(section):
    """Every figure of a section, drawn."""
    return {drawing.name: drawing.draw(PAGE) for drawing in section.drawings}


def text(table):
    return " ".join(cell.text for row in table.rows for cell in row)


def test_a_run_with_labels_and_model_checks(tmp_path):
    labels = labelled(tmp_path / "labels.xyz")
    analyse_run(read_run(rollout(tmp_path / "runs" / "labelled")), labels=labels)
    run = read_run(make_run(tmp_path / "runs" / "checked"))
    analyse_run(run, checks=ModelChecks(lennard_jones))
    analyse_run(read_run(run_of(tmp_path / "runs" / "salt", thermal(SALT, 2))))
    study = collect(tmp_path / "runs")

    section = rollouts(study)
    assert [table.name for table in section.tables] == ["rollouts"]
    assert len(section.tables[0].rows) == 1
    assert set(drawn(section)) == {"rollouts"}

    section = models(study)
    assert [table.name for table in section.tables] == ["symmetry"]
    assert "model.egraff.pt (checked)" in text(section.tables[0])
    # one dimer and one line
    assert [len(table.rows) for table in section.details] == [2]
    assert set(drawn(section)) == {"dimers"}

    section = order(study)
    assert "order" in [table.name for table in section.tables]
    assert [table.name for table in section.details] == ["coordination", "angles"]
    assert {"sq-1", "adf-1"} <= set(drawn(section))
    assert [table.name for table in conservation(study).tables] == ["conservation"]


def test_nothing_to_show(tmp_path):
    make_run(tmp_path / "run")  # not analysed
    study = collect(tmp_path)
    for section in (order(study), conservation(study), rollouts(study), models(study)):
        assert section.empty


def test_reference_is_named_once(tmp_path):
    import ase.io

    from tests.analysis.runs import atoms_moving

    ase.io.write(tmp_path / "reference.xyz", atoms_moving(99))
    reference = read_reference(tmp_path / "reference.xyz")
    for name, seed in (("one", 1), ("two", 2)):
        analyse_run(read_run(make_run(tmp_path / "runs" / name, seed=seed)), reference=reference)
    figures = drawn(order(collect(tmp_path / "runs")))
    (panel,) = figures["sq-1"].axes
    assert [line.get_label() for line in panel.lines].count("reference") == 1
    assert len(panel.lines) == 3
