# SPDX-License-Identifier: GPL-2.0-or-later
# The jobs of a campaign as rules of Snakemake: one rule for each kind of job, whose product is the
# record of the job. `egraff benchmark` writes jobs.json and starts this in the folder of a campaign.
import sys

from egraff.benchmark.job import KINDS, RECORDS, read_table
from pathlib import Path

JOBS = read_table(Path())
PYTHON = sys.executable
WANTED = config["wanted"].split()


def of(kind, get):
    """Return a function of the wildcards that looks something up of a job."""
    return lambda wildcards: get(JOBS[f"{kind}/{wildcards.name}"])


rule all:
    input: [str(JOBS[name].record) for name in WANTED],


localrules: all


for kind in KINDS:

    rule:
        name: kind
        input: of(kind, lambda job: [str(JOBS[need].record) for need in job.needs])
        output: str(RECORDS / kind / "{name}.json")
        params:
            job=of(kind, lambda job: job.name),
            # what a job is: where it changes, the job and what depends on it are done again
            identity=of(kind, lambda job: job.identity),
        threads: of(kind, lambda job: job.ranks * job.threads)
        resources:
            mem_mb=of(kind, lambda job: job.memory_mb),
            runtime=of(kind, lambda job: job.minutes),
            gpu=of(kind, lambda job: job.gpus),
        # no parameter: from another environment a campaign goes on, and is not done again
        shell: "exec {PYTHON:q} -m egraff.benchmark.worker {params.job:q}"
