# SPDX-License-Identifier: GPL-2.0-or-later
"""Plans are refused before any job, with the line of what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable

import ase.io
import pytest

from egraff.benchmark.checks import check_plan
from egraff.benchmark.jobs import jobs_of
from egraff.benchmark.plan import read_plan
from egraff.errors import InputError
from tests.benchmark.campaigns import plan, write_data, write_plan


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plans")
    write_data(folder / "data")
    return folder


def refusal(folder, change: Callable[[dict], object]) -> tuple[str, str]:
    """Return the message of a changed plan, and the line of the file that it names."""
    content = plan()
    change(content)
    path = write_plan(folder / "plan.yaml", content)
    with pytest.raises(InputError) as caught:
        check_plan(read_plan(path))
    found = re.search(r"plan\.yaml, line (\d+)", str(caught.value))
    assert found, caught.value
    return str(caught.value), path.read_text().splitlines()[int(found[1]) - 1].strip()


def molecule(content: dict) -> dict:
    return content["sets"]["molecule"]


CASES = {
    "unknown key": (
        lambda c: c.update(sedes=[1]),
        r"sedes: unknown key\n  fix: did you mean seeds\? keys: name, data_root",
        r"sedes:",
    ),
    "unknown key within": (
        lambda c: molecule(c)["tests"]["same"].update(shfit="none"),
        r"sets.molecule.tests.same.shfit: unknown key\n  fix: did you mean shift\?",
        r"shfit: none",
    ),
    "missing key": (
        lambda c: molecule(c).pop("train"),
        r"sets.molecule.train: this is needed\n  fix: add it",
        r"molecule:",
    ),
    "value": (
        lambda c: molecule(c)["tests"]["same"]["simulate"].update(temperature=-3),
        r"temperature: Input should be greater than 0, got -3",
        r"temperature: -3",
    ),
    "name": (
        lambda c: c["models"].update({"a/b": {}}),
        r"models.a/b: expected a name that a folder can have, got 'a/b'\n  fix: use letters, digit",
        r"a/b: {}",
    ),
    "seeds": (
        lambda c: c.update(seeds=[1, 1]),
        r"seeds: \[1, 1\] holds one of them twice\n  fix: give each once",
        r"seeds:",
    ),
    "model": (
        lambda c: c["models"].update(nequipp={}),
        r"models.nequipp.preset: model: expected one of allegro, .*, got 'nequipp'",
        r"nequipp: {}",
    ),
    "preset": (
        lambda c: c["models"]["nequip"].update(preset="larg"),
        r"models.nequip.preset: model nequip: preset: expected one of small, .*, got 'larg'",
        r"preset: larg",
    ),
    "training": (
        lambda c: c["models"]["nequip"]["training"].update(epoch=3),
        r"models.nequip.training.epoch: unknown setting\n  fix: did you mean epochs\?",
        r"epoch: 3",
    ),
    "model option": (
        lambda c: c["models"]["nequip"]["training"]["model_options"].update(lmax=3),
        r"model_options.lmax: Extra inputs are not permitted, got 3\n  fix: options of nequip: ",
        r"lmax: 3",
    ),
    "setting from elsewhere": (
        lambda c: c["training"].update(seed=3),
        r"training.seed: not a setting of the trainings of a plan\n  fix: it follows from seeds",
        r"seed: 3",
    ),
    "model of a set": (
        lambda c: molecule(c).update(models={"mace": {}}),
        r"sets.molecule.models.mace: expected a model of the plan, got mace\n  fix: choose one of",
        r"mace: {}",
    ),
    "file": (
        lambda c: molecule(c).update(val="molecule/vall.xyz"),
        r"val: expected a file molecule/vall.xyz in .*data, found none\n  fix: correct it, or data",
        r"val: molecule/vall.xyz",
    ),
    "overlap": (
        lambda c: molecule(c)["tests"]["same"].update(data="molecule/train.xyz"),
        r"12 of 12 frames are also training frames; the first is frame 0, which is frame 0 of .*"
        r"\n  fix: leave them out of the training with `train: {files: \[...\], without:",
        r"data: molecule/train.xyz",
    ),
    "nothing to validate with": (
        lambda c: c["sets"]["crystal"]["train"].update(frames=4),
        r"train: size of val: expected at least one frame, got none: 0.1 of 4\n  fix: give a",
        r"train:",
    ),
    "frames twice": (
        lambda c: c["sets"]["crystal"].update(train={"files": ["crystal/train.xyz"] * 2}),
        r"frames are also training frames; .*\n  fix: the file holds frames twice: give a `val`",
        r"train:",
    ),
    "elements": (
        lambda c: molecule(c)["tests"].update(other={"data": "crystal/test.xyz"}),
        r"other.data: expected elements of the training frames \(.*\), got also .*, for which ther",
        r"data: crystal/test.xyz",
    ),
    "E0": (
        lambda c: molecule(c).update(isolated_atoms="crystal/isolated_atoms.xyz"),
        r"isolated_atoms: expected an isolated atom of each element of the training frames, got no",
        r"isolated_atoms: crystal/isolated_atoms.xyz",
    ),
    "protocol": (
        lambda c: c.update(protocol="egraff-7"),
        r"protocol: expected one of egraff-1, egraffbench-2024, got 'egraff-7'",
        r"protocol: egraff-7",
    ),
    "protocol key": (
        lambda c: c["protocol"].update(start=3),
        r"protocol.start: unknown key\n  fix: did you mean starts\?",
        r"start: 3",
    ),
    "protocol's own text": (
        lambda c: c["protocol"].update(faults=[]),
        r"protocol: expected settings of a protocol, got faults\n  fix: take it out",
        r"protocol:",
    ),
    "starts": (
        lambda c: c["protocol"].update(starts=7),
        r"simulate: the protocol egraff-1 starts from 7 frames, there are 6\n  fix: give a file wi",
        r"simulate:",
    ),
    "time step": (
        lambda c: molecule(c)["tests"]["same"]["simulate"].update(timestep_fs=0.3),
        r"stage nvt of egraff-1 keeps a frame every 2 fs, which is no multiple of the time step, 0",
        r"simulate:",
    ),
    "replicate": (
        lambda c: molecule(c)["tests"]["same"]["simulate"].update(replicate=[2, 1, 1]),
        r"replicate: only a periodic structure can be repeated\n  fix: take it out",
        r"replicate:",
    ),
    "reference": (
        lambda c: molecule(c)["tests"]["same"]["simulate"].update(reference="crystal/test.xyz"),
        r"simulate: simulations start from .* and are compared with .*\n  fix: give a reference of",
        r"simulate:",
    ),
    "speed": (
        lambda c: molecule(c).update(speed={"structure": "molecule/test.xyz", "replicate": [1]}),
        r"speed.structure: expected a structure that is periodic in three directions",
        r"structure: molecule/test.xyz",
    ),
    "kind of job": (
        lambda c: c.update(resources={"trian": {}}),
        r"resources.trian: unknown kind of job\n  fix: choose default, train",
        r"trian: {}",
    ),
    "checkpoint": (
        lambda c: c["models"].update(mine={"checkpoint": "no.ckpt"}),
        r"models.mine.checkpoint: expected a file no.ckpt in",
        r"checkpoint: no.ckpt",
    ),
    "checkpoint that is trained": (
        lambda c: c["models"].update(mine={"checkpoint": "no.ckpt", "architecture": "mace"}),
        r"models.mine: a model with a checkpoint is not trained",
        r"mine:",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refusals_name_line_entry_and_fix(folder, case):
    change, message, line = CASES[case]
    text, at = refusal(folder, change)
    assert re.search(message, text), text
    assert re.match(line, at), (at, text)


def test_frames_without_labels_are_refused(folder):
    atoms = ase.io.read(folder / "data/molecule/test.xyz")
    atoms.calc = None
    ase.io.write(folder / "data/bare.xyz", atoms)
    text, _ = refusal(folder, lambda c: molecule(c)["tests"]["same"].update(data="bare.xyz"))
    assert "energy" in text


def test_the_published_protocol_needs_a_cell_of_three_angstrom(folder):
    atoms = ase.io.read(folder / "data/crystal/test.xyz", index=":10")
    for one in atoms:
        one.set_cell(one.cell * (2.5 / one.cell.lengths().min()))
    ase.io.write(folder / "data/tiny.xyz", atoms)

    def change(content: dict) -> None:
        content["protocol"] = {"base": "egraffbench-2024", "starts": 1}
        content["sets"]["crystal"]["tests"]["same"]["simulate"] = {
            "temperature": 300,
            "reference": "tiny.xyz",
        }

    text, _ = refusal(folder, change)
    assert re.search(
        r"compares g\(r\) up to \(shortest vector - 1\)/2, here 0.8 A, below which", text
    )


def test_overlap_that_is_accepted_is_remarked(folder):
    content = plan()
    molecule(content)["tests"]["same"]["data"] = "molecule/train.xyz"
    molecule(content)["allow_overlap"] = True
    facts = check_plan(read_plan(write_plan(folder / "plan.yaml", content)))
    assert facts.sets["molecule"].remarks == ["same: 12 of 12 frames are also training frames"]


def test_each_job_is_a_command(folder):
    """Names, order, and commands of the jobs of a plan."""
    file = read_plan(write_plan(folder / "plan.yaml", plan()))
    jobs = jobs_of(file, check_plan(file))
    by_name = {job.name: job for job in jobs}
    train = by_name["train/molecule/nequip/seed1"]
    assert train.command == (
        "egraff train --config settings/train/molecule/nequip/seed1.yaml "
        "--out work/molecule/nequip/seed1/train"
    )
    assert train.settings["model_options"] == {"n_features": 2, "l_max": 1}
    assert train.settings["r_max" if "r_max" in train.settings else "epochs"] == 1
    assert by_name["train/crystal/torchmd_net/seed1"].settings["r_max"] == 3.0, "the set's own"
    assert by_name["train/molecule/torchmd_net/seed1"].settings["r_max"] == 3.5, "the model's"
    assert by_name["train/crystal/nequip/seed2"].needs == ("join/crystal/train",)
    run = by_name["run/molecule/nequip/seed1/same/nvt-1"]
    assert "--steps 40 " in run.command, "0.02 ps in steps of 0.5 fs"
    assert "--dump-every 4 " in run.command
    assert run.needs == ("export/molecule/nequip/seed1",)
    # two models and seeds; the crystal is not simulated
    kinds = [job.kind for job in jobs]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "join": 1,
        "train": 8,
        "export": 4,
        "eval": 8,
        "run": 4,
        "analyse": 4,
        "report": 2,
    }
    done: set[str] = set()
    for job in jobs:
        assert done.issuperset(job.needs), f"{job.name} comes after what it needs"
        done.add(job.name)


def test_the_published_protocol(folder):
    """Its flags are those of the benchmark's code: Langevin from rest, 1000 steps of 1 fs."""
    content = plan()
    content["protocol"] = {"base": "egraffbench-2024", "starts": 2}
    file = read_plan(write_plan(folder / "plan.yaml", content))
    assert file.changed == {"starts": 2}
    jobs = jobs_of(file, check_plan(file))
    runs = [job.command for job in jobs if job.kind == "run"]
    assert len(runs) == 8
    assert "--frame 0 --ensemble nvt --temperature 300" in runs[0]
    assert "--frame 1 " in runs[1], "the first frames, one after another"
    for flag in (
        "--steps 2000",  # the set's own time step is 0.5 fs
        "--velocities zero",
        "--thermostat langevin --thermostat-damp-ps 2.036",
        "--equilibrate-steps 0",
        "--no-guard-distance --no-guard-force --no-guard-temperature",
    ):
        assert flag in runs[0]
    analyses = [job.command for job in jobs if job.kind == "analyse"]
    assert all("--r-max 10" in command for command in analyses), "of molecules"
