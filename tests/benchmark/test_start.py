# SPDX-License-Identifier: GPL-2.0-or-later
"""What a campaign says before it starts: jobs, cost, and why it does not."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import asdict

import ase.io
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from egraff.benchmark.campaign import carry_out, check_folder, select
from egraff.benchmark.checks import check_plan
from egraff.benchmark.cost import estimated, rates_of, unmeasured
from egraff.benchmark.job import TABLE, Record
from egraff.benchmark.jobs import jobs_of
from egraff.benchmark.plan import read_plan
from egraff.benchmark.progress import dry_run_lines, protocol_lines
from egraff.benchmark.results import rows_of
from egraff.errors import InputError
from egraff.files import write_json
from egraff.locks import locked
from tests.benchmark.campaigns import plan, write_data, write_plan


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plans")
    write_data(folder / "data")
    return folder


@pytest.fixture
def read(folder):
    """Return a function from a plan's content to the file, what its checks found, and its jobs."""

    def of(content: dict):
        file = read_plan(write_plan(folder / "plan.yaml", content))
        facts = check_plan(file)
        return file, facts, estimated(jobs_of(file, facts), file, facts)

    return of


def test_words_choose_jobs(read):
    """Words of one kind add to each other, words of several kinds restrict."""
    _, _, jobs = read(plan())
    names = [job.name for job in select(jobs, ["molecule", "torchmd_net", "train"])]
    assert names == [f"train/molecule/torchmd_net/seed{seed}" for seed in (1, 2)]
    assert len(select(jobs, ["molecule", "crystal", "train"])) == 8
    assert select(jobs, []) == jobs
    with pytest.raises(InputError, match=r"--only: expected .*, got 'molecul'\n  fix: choose amo"):
        select(jobs, ["molecul"])
    with pytest.raises(InputError, match=r"none of which all fit\n  fix: give fewer"):
        select(jobs, ["crystal", "run"])


def test_cost_follows_from_edges_and_epochs(read):
    """Ten times the epochs, ten times the CPU time of a training but for its start."""
    content = plan()
    _, _, few = read(content)
    content["training"]["epochs"] = 10
    _, _, many = read(content)
    name, startup = "train/molecule/nequip/seed1", 12.0
    first, second = (
        next(job.cpu_s for job in jobs if job.name == name) - startup for jobs in (few, many)
    )
    assert second == pytest.approx(10 * first, abs=1.0), "estimates have one decimal"
    assert all(job.cpu_s > 0 for job in many)


def test_a_model_without_rates_counts_as_the_slowest(read):
    content = plan()
    content["models"]["torchmd_net"]["preset"] = "paper"
    file, _, _ = read(content)
    assert unmeasured(file) == ["torchmd_net"]
    slowest = rates_of("seventh", "any")
    assert not slowest.measured
    assert slowest.train >= rates_of("allegro", "egraffbench").train


def test_dry_run(read, tmp_path):
    """The graph with its cost, and every command."""
    file, _, jobs = read(plan())
    lines = list(dry_run_lines(file, jobs, jobs, tmp_path))
    assert re.match(r"train +8 +0 +\d\.\d\d +160   join", lines[2]), lines[2]
    assert any(line.startswith("all ") for line in lines)
    assert lines[-1].startswith("report/crystal:  egraff report work/crystal")
    told = list(protocol_lines(file))
    assert told[0].startswith("protocol egraff-1: ")
    assert "starts 1" in told[1]


def test_known_faults_are_printed(read):
    content = plan()
    content["protocol"] = "egraffbench-2024"
    content["sets"]["molecule"]["tests"]["same"].pop("simulate")
    file, _, _ = read(content)
    assert any("known fault" in line and "313 K" in line for line in protocol_lines(file))


def test_an_open_offset_of_energies_is_remarked(read, folder):
    """One composition does not tell the energy of another one: here a vacancy after Na32Cl32."""
    atoms = ase.io.read(folder / "data/crystal/test.xyz")
    forces = atoms.get_forces()[1:]
    energy = atoms.get_potential_energy()
    del atoms[0]
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    ase.io.write(folder / "data/vacancy.xyz", atoms)
    content = plan()
    content["sets"]["crystal"]["tests"]["vacancy"] = {"data": "vacancy.xyz"}
    _, facts, _ = read(content)
    tests = facts.sets["crystal"].tests
    assert (tests["same"].offset_open, tests["vacancy"].offset_open) == (False, True)
    (remark,) = facts.sets["crystal"].remarks
    assert remark.startswith("vacancy: its composition is no combination of those of the training")


def test_a_folder_of_something_else(tmp_path):
    (tmp_path / "thesis.txt").write_text("everything")
    with pytest.raises(InputError, match=r"expected an empty folder .*\n  fix: choose another --o"):
        check_folder(tmp_path)


def start(read, out, **options):
    file, _, jobs = read(plan())
    carry_out(file, jobs, jobs, out, cores=1, **options)


def test_unknown_profile(read, tmp_path):
    with pytest.raises(InputError, match=r"--profile: expected slurm, or a folder .*, got pbs"):
        start(read, tmp_path / "out", profile="pbs")
    assert not (tmp_path / "out").exists()


def test_without_snakemake(read, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'found none\n  fix: pip install "egraff\[benchmark\]"'):
        start(read, tmp_path / "out")


def test_two_starts_in_one_folder(read, tmp_path):
    (tmp_path / TABLE).write_text("{}")  # of an earlier start
    with locked(tmp_path, doing="benchmark"), pytest.raises(InputError, match="benchmark"):
        start(read, tmp_path)


def test_results_that_are_gone(read, tmp_path):
    """A job that was done, whose files somebody has removed."""
    _, _, jobs = read(plan())
    job = next(job for job in jobs if job.kind == "eval")
    record = Record(job=job.name, command=job.command, identity=job.identity, status="done")
    write_json(tmp_path / job.record, asdict(record))
    with pytest.raises(InputError, match=r"expected what eval/\S+ has left.*\n  fix: remove rec"):
        rows_of(jobs, tmp_path)
