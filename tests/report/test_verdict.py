# SPDX-License-Identifier: GPL-2.0-or-later
"""Verdicts at the top of the page, in words, with their reasons."""

import json
import re
import shutil
from pathlib import Path

import pytest

from egraff.analysis.metric import Metric
from egraff.analysis.runs import Run
from egraff.analysis.verdict.judge import Verdict
from egraff.errors import InputError
from egraff.report.collect import Simulation, Study, collect
from egraff.report.content_verdict import reasons, verdict_cell, verdicts
from egraff.report.tiles import tiles
from egraff.report.verdict import counted, worst_word
from tests.report.study import SOUND, UNSOUND

WHERE = Path("result.json")


def simulation(name, seed, verdict, **metrics):
    run = Run(Path(name), {"status": "completed", "ensemble": "nvt", "seed": seed, "n_atoms": 8})
    verdict = Verdict.from_dict(verdict, where=WHERE) if verdict else None
    return Simulation(name, run, metrics=metrics, analysed=True, verdict=verdict)


def test_the_worst_of_a_group_decides_and_gives_its_reasons():
    runs = [simulation("a", 1, SOUND), simulation("b", 2, UNSOUND), simulation("c", 3, None)]
    (table,) = verdicts(Study(Path(), simulations=runs)).tables
    ((names, word, because),) = table.rows
    assert names.text == "a, b, c"
    assert word.text == "unsound (1 sound, 1 no verdict, 1 unsound)"
    assert word.kind == "bad"
    # the heaviest of the level that decided; a milder level counts among the others
    assert because.text == (
        "b: The structure is 52 times the noise floor from the reference’s; "
        "b: The total energy drifts; and 2 more"
    )


def test_a_reason_of_every_run_is_said_once():
    runs = [simulation("a", 1, SOUND), simulation("b", 2, SOUND)]
    (table,) = verdicts(Study(Path(), simulations=runs)).tables
    ((_, word, because),) = table.rows
    assert word.text == "sound (2 sound)"
    assert because.text == "The structure differs from the reference’s by no more than noise"


def test_the_worst_group_comes_first():
    good, bad = simulation("good", 1, SOUND), simulation("bad", 1, UNSOUND)
    bad.run.record["ensemble"] = "nve"
    (table,) = verdicts(Study(Path(), simulations=[good, bad])).tables
    assert [row[0].text for row in table.rows] == ["bad", "good"]


def test_a_run_without_a_verdict_keeps_a_group_from_sound():
    sound, unsound = (Verdict(word, ()) for word in ("sound", "unsound"))
    assert worst_word([sound, None]) == "no verdict"
    assert worst_word([sound, None, Verdict("not enough data", ())]) == "not enough data"
    assert worst_word([Verdict("look", ()), unsound, None]) == "unsound"
    assert counted([unsound, sound, sound]) == "2 sound, 1 unsound"


def test_no_verdict_is_said():
    one = simulation("old", 1, None)
    assert verdict_cell(one).text == "no verdict: analyse again"
    assert verdict_cell(Simulation("new", one.run)).text == "not analysed"
    assert reasons(Study(Path(), simulations=[one])) is None


def test_every_reason_is_listed_with_its_source():
    table = reasons(Study(Path(), simulations=[simulation("b", 1, UNSOUND)]))
    assert [row[1].text for row in table.rows] == ["unsound", "unsound", "look", "sound"]
    assert [row[1].kind for row in table.rows] == ["bad", "bad", "warn", "good"]
    first = table.rows[0]
    assert (first[4].raw, first[5].raw, first[6].text) == (52.0, 10.0, "egraff's corpus of runs")


def test_a_word_that_is_none_is_refused():
    message = "expected one of sound, not enough data, look, unsound, got 'fine'"
    with pytest.raises(InputError, match=message):
        Verdict.from_dict({"word": "fine", "reasons": []}, where=WHERE)
    reason = {**SOUND["reasons"][0], "level": "fine"}
    with pytest.raises(InputError, match=r"verdict\.reasons\.level.*got 'fine'"):
        Verdict.from_dict({"word": "sound", "reasons": [reason]}, where=WHERE)


def test_a_damaged_verdict_is_told_of(study, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(study, root)
    path = root / "runs/first/analysis/result.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "verdict": {"reasons": []}}))
    assert collect(root).problems == ["runs/first/run.json was left out: it has no field 'word'"]


def distance(value, noise=None, name="wasserstein[total]"):
    return Metric(name=name, value=value, unit="A", definition="d", provenance="p", noise=noise)


def structure_tile(*runs):
    return next(t for t in tiles(Study(Path(), simulations=list(runs))) if "Wasser" in t.label)


def test_a_tile_counts_the_noise_floor_and_has_the_word_of_the_verdict():
    near = simulation("near", 1, SOUND, **{"wasserstein[total]": distance(0.5, 0.5)})
    far = simulation("far", 2, UNSOUND, **{"wasserstein[total]": distance(0.257, 0.257 / 52)})
    tile = structure_tile(near, far)
    assert (tile.value, tile.unit) == ("52 ×", "the noise floor")
    assert (tile.word, tile.kind) == ("unsound", "bad")
    assert tile.note == "0.257 Å over 0.0049 Å; far, the worst"


def test_a_tile_says_of_which_pair_the_verdict_is():
    reason = {**UNSOUND["reasons"][0], "metric": "wasserstein[H-O]"}
    verdict = {"word": "unsound", "reasons": [reason]}
    tile = structure_tile(simulation("x", 1, verdict, **{"wasserstein[total]": distance(0.5)}))
    assert (tile.word, tile.note) == ("unsound", "x; because of wasserstein[H-O]")


def test_a_sound_run_without_reasons():
    verdict = {"word": "sound", "reasons": []}
    one = simulation("x", 1, verdict, **{"wasserstein[total]": distance(0.5)})
    assert structure_tile(one).word == "sound"
    ((_, word, because),) = verdicts(Study(Path(), simulations=[one])).tables[0].rows
    assert (word.text, because.text) == ("sound", "no limit is exceeded")


def test_without_blocks_the_halves_of_the_reference_are_the_noise():
    halves = distance(0.1, name="noise_floor_wasserstein[total]")
    metrics = {"wasserstein[total]": distance(0.5), halves.name: halves}
    assert structure_tile(simulation("short", 1, None, **metrics)).value == "5.0 ×"


def test_without_any_noise_the_distance_itself_is_shown():
    tile = structure_tile(simulation("x", 1, None, **{"wasserstein[total]": distance(0.5)}))
    assert (tile.value, tile.unit, tile.kind, tile.word) == ("0.500", "Å", "", "")


def test_an_error_too_small_for_a_tile_is_left_out():
    metric = Metric(
        name="replay_fv", value=0.123456, error=1e-11, unit="1", definition="d", provenance="p"
    )
    study = Study(Path(), simulations=[simulation("x", 1, None, replay_fv=metric)])
    assert [tile.value for tile in tiles(study)] == ["0.123"]


def test_the_page_begins_with_the_verdict(page):
    html = page.read_text()
    assert html.index('id="table-verdict"') < html.index('class="tiles"')
    assert re.search(r'<td class="t bad">\s*unsound \(1 sound, 1 unsound\)', html)
    assert re.search(r'class="tile bad">.*?52 ×.*?<span class="word">unsound</span>', html, re.S)
