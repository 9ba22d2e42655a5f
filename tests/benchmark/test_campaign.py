# SPDX-License-Identifier: GPL-2.0-or-later
"""A campaign from one command: killed, continued, changed; failures and queues."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from egraff.benchmark.job import read_record, read_table
from egraff.benchmark.results import QUANTITIES
from tests.benchmark.campaigns import plan, write_data, write_plan

PATIENCE_S = 300
#: It times nothing, has no NVE, and is too short for a temperature.
MISSING_IN_TOY = {
    "us_per_atom_step",
    "nve_drift",
    "temperature",
}


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "egraff", "benchmark", str(folder / "plan.yaml"), *options]


def start(
    folder: Path, *options: str, python: Path = Path(sys.executable)
) -> subprocess.CompletedProcess[str]:
    _, *arguments = command(folder, *options)
    return subprocess.run(
        [str(python), *arguments, "--out", str(folder / "out"), "--cores", "2"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def finished(out: Path) -> dict[str, str]:
    """Return when each job that has a record ended."""
    records = (read_record(out / job.record) for job in read_table(out).values())
    return {one.job: one.finished for one in records if one is not None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("campaign")
    write_data(folder / "data")
    write_plan(folder / "plan.yaml", plan())
    return folder


@pytest.fixture(scope="module")
def killed(folder):
    """Start a campaign, kill it with SIGKILL midway; return what was finished by then."""
    out = folder / "out"
    process = subprocess.Popen(
        [*command(folder, "--cores", "2"), "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + PATIENCE_S
    while not (out / "jobs.json").exists() or len(finished(out)) < 6:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return finished(out)


def test_a_killed_campaign_goes_on_without_loss(folder, killed):
    """Nothing that was finished is done again, nothing is missing, and nothing has failed."""
    jobs = read_table(folder / "out")
    assert 6 <= len(killed) < len(jobs)
    done = start(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    after = finished(folder / "out")
    assert after.keys() == jobs.keys()
    assert {name: after[name] for name in killed} == killed
    assert re.search(r"\[1/\d+\] .*: done in \d+ s; about .* left", done.stdout)
    assert f"{len(jobs)} jobs: {len(jobs)} done" in done.stdout


def test_another_environment_redoes_nothing(folder, killed):
    """The interpreter is no part of a job: a campaign can move to a new environment."""
    names = ("python", "python3")
    other = next(one for one in names if one != Path(sys.executable).name)
    before = finished(folder / "out")
    done = start(folder, python=Path(sys.executable).with_name(other))
    assert done.returncode == 0, done.stdout + done.stderr
    assert finished(folder / "out") == before


def test_results_of_all_jobs(folder, killed):
    """Every model and test has errors, simulations and a line of cost; the page shows them."""
    out = folder / "out"
    with (out / "results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    errors = [row for row in rows if row["metric"] == "force_mae_ev_per_ang"]
    assert len(errors) == 2 * 2 * 2, "models, sets, seeds"
    one = next(row for row in errors if row["source"].startswith("work/molecule/nequip/seed1/"))
    source = json.loads((out / one["source"]).read_text())
    assert float(one["value"]) == pytest.approx(1e3 * source["force_mae_ev_per_ang"], rel=1e-12)
    assert one["unit"] == "meV/Å"
    found = {row["metric"] for row in rows}
    missing = {one.name for one in QUANTITIES} - found
    assert missing == MISSING_IN_TOY, missing
    survived = [row for row in rows if row["metric"] == "survived"]
    assert len(survived) == 2 * 2
    with (out / "jobs.csv").open(newline="") as stream:
        jobs = list(csv.DictReader(stream))
    assert {row["status"] for row in jobs} == {"done"}
    assert all(float(row["cpu_s"]) > 0.5 and float(row["memory_mb"]) > 50 for row in jobs)
    assert all((out / row["log"]).is_file() for row in jobs)
    page = (out / "leaderboard.html").read_text()
    assert "molecule, same." in page
    assert "changed in this plan" in page
    table = (out / "leaderboard.md").read_text().splitlines()
    assert table[0] == "| test | nequip | torchmd_net |"
    assert re.match(r"\| molecule, same \| \S*[\d.]+ ± [\d.]+\S*, \d/2 \| .*, \d/2 \|$", table[2])
    assert (out / "leaderboard/tables/molecule-same.tex").is_file()
    assert (out / "leaderboard/figures/force-error-and-simulation.pdf").is_file()
    assert (out / "work/molecule/report.html").is_file()


def test_a_change_redoes_what_depends_on_it(folder, killed):
    """Other settings of one model: its jobs on both sets, and the reports; nothing else."""
    content = plan()
    content["models"]["torchmd_net"]["training"]["lr"] = 0.002
    content["tasks"] = ["errors"]
    write_plan(folder / "plan.yaml", content)
    before = finished(folder / "out")
    done = start(folder, "--only", "molecule")
    assert done.returncode == 0, done.stdout + done.stderr
    after = finished(folder / "out")
    again = {name for name in after if after[name] != before[name]}
    assert again == {
        *(f"train/molecule/torchmd_net/seed{seed}" for seed in (1, 2)),
        *(f"eval/molecule/torchmd_net/seed{seed}/same" for seed in (1, 2)),
        "report/molecule",
    }
    settings = (folder / "out/settings/train/molecule/torchmd_net/seed1.yaml").read_text()
    assert "lr: 0.002" in settings


def test_a_new_task_adds_jobs(folder, killed):
    """Timings of models that were trained before: one export, one run, one more number."""
    content = plan()
    content["sets"]["crystal"]["speed"] = {
        "structure": "crystal/test.xyz",
        "replicate": [1],
        "steps": 10,
    }
    write_plan(folder / "plan.yaml", content)
    before = finished(folder / "out")
    chosen = (f"--only={word}" for word in ("crystal", "nequip", "1", "speed"))
    done = start(folder, *chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    after = finished(folder / "out")
    timed = "speed/crystal/nequip/seed1/64-atoms-1-ranks"
    assert {name for name in after if name.startswith(("export/crystal", "speed"))} == {
        "export/crystal/nequip/seed1",
        timed,
    }
    trained = "train/crystal/nequip/seed1"
    assert after[trained] == before[trained]
    with (folder / "out/results.csv").open(newline="") as stream:
        rows = {row["metric"]: row for row in csv.DictReader(stream) if row["case"]}
    record = json.loads((folder / "out" / timed / "run.json").read_text())
    per_step = record["segments"][0]["production_s"] / 10
    assert float(rows["us_per_atom_step"]["value"]) == pytest.approx(per_step / 64 * 1e6)


def test_a_failure_is_a_result(tmp_path, folder):
    """What needs it is skipped, the rest is done; --retry does it again."""
    write_data(tmp_path / "data")
    (tmp_path / "data/broken.ckpt").write_bytes(b"no checkpoint")
    content = plan()
    del content["sets"]["crystal"]
    content["seeds"] = [1]
    del content["models"]["torchmd_net"]
    content["models"]["broken"] = {"checkpoint": "broken.ckpt"}
    write_plan(tmp_path / "plan.yaml", content)
    options = ("--only", "broken")
    done = start(tmp_path, *options)
    assert done.returncode == 1, done.stdout + done.stderr
    jobs = read_table(tmp_path / "out")
    records = {name: read_record(tmp_path / "out" / job.record) for name, job in jobs.items()}
    status = {name: one.status for name, one in records.items() if one is not None}
    assert status == {
        "export/molecule/broken/given": "failed",
        "eval/molecule/broken/given/same": "failed",
        "run/molecule/broken/given/same/nvt-1": "skipped",
        "analyse/molecule/broken/given/same": "skipped",
    }
    assert "broken.ckpt" in records["export/molecule/broken/given"].reason
    assert "needs export/molecule/broken/given: failed" in done.stdout
    assert "broken.ckpt" in (tmp_path / "out/leaderboard.html").read_text()
    first = finished(tmp_path / "out")
    again = start(tmp_path, *options)
    assert again.returncode == 1, "it is still failed"
    assert finished(tmp_path / "out") == first, "and was not tried again"
    start(tmp_path, *options, "--retry")
    assert finished(tmp_path / "out") != first


def test_slurm(tmp_path):
    """With --profile slurm each job goes to sbatch with what the plan says that it takes."""
    write_data(tmp_path / "data")
    content = plan()
    del content["sets"]["crystal"], content["models"]["torchmd_net"]
    content |= {"seeds": [1], "tasks": ["errors"]}
    content["resources"] = {"train": {"threads": 3, "memory_mb": 7000, "minutes": 90, "gpus": 1}}
    write_plan(tmp_path / "plan.yaml", content)
    fake = fake_slurm(tmp_path / "bin")
    done = subprocess.run(
        [*command(tmp_path, "--profile", "slurm", "--only", "train"), "--out", str(tmp_path / "o")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, "PATH": f"{fake}:{os.environ['PATH']}"},
    )
    log = (tmp_path / "o/snakemake.log").read_text()
    assert done.returncode == 0, done.stdout + done.stderr + log
    (call,) = (tmp_path / "bin/calls").read_text().splitlines()
    for flag in ("--mem 7000", "-t 90", "--cpus-per-task=3", "--gpus=1"):
        assert flag in call, call
    record = read_record(tmp_path / "o/records/train/molecule/nequip/seed1.json")
    assert record.status == "done"


def fake_slurm(folder: Path) -> Path:
    """Write programs called as SLURM's are; sbatch runs the job at once, on this machine."""
    folder.mkdir()
    calls = folder / "calls"
    programs = {
        "sbatch": f"""
            case "$*" in *--version*|*-V*) echo "slurm 24.05.0"; exit 0;; esac
            echo "$*" | tr '\\n' ' ' >> {calls}; echo >> {calls}
            for word in "$@"; do case "$word" in --wrap=*) job="${{word#--wrap=}}";; esac; done
            if [ -z "$job" ]; then while [ $# -gt 0 ]; do
                if [ "$1" = --wrap ]; then job="$2"; fi; shift; done; fi
            SLURM_JOB_ID=77 SLURM_CPUS_ON_NODE=2 bash -c "$job" > {folder}/job.log 2>&1
            echo $? > {folder}/code
            echo 77
        """,
        "sacct": f"""
            case "$*" in *--version*|*-V*) echo "slurm 24.05.0"; exit 0;; esac
            case "$*" in *Account*) echo physics; exit 0;; esac
            if [ "$(cat {folder}/code)" = 0 ]; then echo "77|COMPLETED"; else echo "77|FAILED"; fi
        """,
        "squeue": 'case "$*" in *-V*|*--version*) echo slurm 24.05.0;; esac',
        "scontrol": "echo",
        "sinfo": "echo",
        "scancel": "echo",
        "sacctmgr": "echo physics",
        # runs what it is given, without its own options
        "srun": """
            while [ $# -gt 0 ]; do case "$1" in -*) shift;; *) break;; esac; done
            exec "$@"
        """,
    }
    for name, body in programs.items():
        path = folder / name
        lines = [line.strip() for line in body.strip().splitlines()]
        path.write_text("#!/bin/bash\n" + "\n".join(lines) + "\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return folder
