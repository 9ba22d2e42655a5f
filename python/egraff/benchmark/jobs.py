# SPDX-License-Identifier: GPL-2.0-or-later
"""From a plan to its jobs: each is a command of egraff that could have been typed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from egraff import names
from egraff.benchmark.entries import FramesEntry
from egraff.benchmark.facts import Facts
from egraff.benchmark.job import SETTINGS, WORK, Job
from egraff.benchmark.plan import PlanFile
from egraff.benchmark.protocol import Stage
from egraff.benchmark.settings import label_flags, label_keys, resources, training_settings

#: Exit codes of `egraff run` and `egraff analyse` that are results.
STOPPED, UNSOUND = {3: "stopped by a guard"}, {4: "unsound"}
GIVEN = "given"
"""Takes the place of a seed where the model comes from elsewhere."""

_LARGEST_SEED = 900_000_000


def jobs_of(file: PlanFile, facts: Facts) -> list[Job]:
    """Return the jobs of a plan, each after those that it needs.

    Args:
        file: the plan.
        facts: what `egraff.benchmark.checks.check_plan` found.
    """
    return list(_Expansion(file, facts).jobs())


class _Expansion:
    def __init__(self, file: PlanFile, facts: Facts) -> None:
        self.file, self.plan, self.facts = file, file.plan, facts

    def jobs(self) -> Iterator[Job]:
        for set_name in self.plan.sets:
            joined = dict(self._joins(set_name))
            yield from (job for job in joined.values() if job is not None)
            reported = []
            for model_name in self.plan.models:
                for made in self._model(set_name, model_name, joined):
                    yield made
                    if made.kind in ("eval", "analyse"):
                        reported.append(made.name)
            if reported:
                yield self._job(
                    f"report/{set_name}",
                    ["report", f"{WORK}/{set_name}"],
                    f"{WORK}/{set_name}/{names.REPORT}",
                    needs=reported,
                    any_need=True,
                    set=set_name,
                )

    def _joins(self, set_name: str) -> Iterator[tuple[str, Job | None]]:
        """Yield the jobs that put frames together; None for a file that is taken as it is."""
        dataset = self.plan.sets[set_name]
        for role, entry in (("train", dataset.train), ("val", dataset.val)):
            if entry is None:
                continue
            if entry.single is not None:
                yield role, None
                continue
            product = f"{WORK}/{set_name}/data/{role}.xyz"
            arguments = ["data", "join", *map(self._path, entry.files), "-o", product]
            if entry.frames is not None:
                arguments += ["--frames-per-file", str(entry.frames)]
            for path in entry.without:
                arguments += ["--without", self._path(path)]
            yield (
                role,
                self._job(
                    f"join/{set_name}/{role}",
                    [*arguments, *label_flags(self.plan, set_name)],
                    product,
                    inputs=[*entry.files, *entry.without],
                    set=set_name,
                ),
            )

    def _model(self, set_name: str, model: str, joined: dict[str, Job | None]) -> Iterator[Job]:
        given = self.plan.models[model].checkpoint
        for seed in [GIVEN] if given is not None else self.plan.seeds:
            labels = {"set": set_name, "model": model, "seed": str(seed)}
            folder = f"{WORK}/{set_name}/{model}/" + (GIVEN if given else f"seed{seed}")
            where = "/".join(folder.split("/")[1:])
            if given is None:
                train = self._train(set_name, model, int(seed), folder, joined, labels)
                yield train
                checkpoint, before, inputs = f"{train.product}/{names.BEST}", [train.name], []
            else:
                checkpoint, before, inputs = self._path(given), [], [given]
            exported = f"{folder}/model.egraff.pt"
            export = self._job(
                f"export/{where}",
                ["export", checkpoint, "-o", exported],
                exported,
                needs=before,
                inputs=inputs,
                **labels,
            )
            if self._runs_lammps(set_name):
                yield export
            for test_name, test in self.plan.sets[set_name].tests.items():
                labelled = {**labels, "test": test_name, "shift": test.shift}
                if "errors" in self.plan.tasks:
                    result = f"{folder}/eval-{test_name}.json"
                    flags = label_flags(self.plan, set_name)
                    yield self._job(
                        f"eval/{where}/{test_name}",
                        ["eval", checkpoint, self._path(test.data), "--json", result, *flags],
                        result,
                        needs=before,
                        inputs=[*inputs, test.data],
                        **labelled,
                    )
                if "simulation" in self.plan.tasks and test.simulate is not None:
                    yield from self._simulations(set_name, test_name, folder, export, labelled)
            if "speed" in self.plan.tasks and self.plan.sets[set_name].speed is not None:
                yield from self._speeds(set_name, folder, export, labels)

    def _runs_lammps(self, set_name: str) -> bool:
        dataset, tasks = self.plan.sets[set_name], self.plan.tasks
        simulated = any(test.simulate is not None for test in dataset.tests.values())
        return (simulated and "simulation" in tasks) or (
            dataset.speed is not None and "speed" in tasks
        )

    def _train(
        self,
        set_name: str,
        model: str,
        seed: int,
        folder: str,
        joined: dict[str, Job | None],
        labels: dict[str, str],
    ) -> Job:
        dataset = self.plan.sets[set_name]
        files: dict[str, str] = {}
        inputs: list[Path] = []
        roles: list[tuple[str, FramesEntry | None]] = [("train", dataset.train)]
        for role, entry in [*roles, ("val", dataset.val)]:
            if entry is None:
                continue
            job = joined[role]
            files["data" if role == "train" else role] = (
                self._path(entry.files[0]) if job is None else job.product
            )
            inputs += [entry.files[0]] if job is None else []
        if dataset.isolated_atoms is not None:
            files["isolated_atoms"] = self._path(dataset.isolated_atoms)
            inputs.append(dataset.isolated_atoms)
        keys = label_keys(self.plan, set_name).model_dump(mode="json")
        name = f"train/{set_name}/{model}/seed{seed}"
        return self._job(
            name,
            ["train", "--config", f"{SETTINGS}/{name}.yaml", "--out", f"{folder}/train"],
            f"{folder}/train",
            needs=[job.name for job in joined.values() if job is not None],
            inputs=inputs,
            settings={
                **files,
                **training_settings(self.plan, set_name, model),
                **keys,
                "seed": seed,
            },
            resumes=True,
            **labels,
        )

    def _simulations(
        self, set_name: str, test_name: str, folder: str, export: Job, labels: dict[str, str]
    ) -> Iterator[Job]:
        protocol = self.plan.protocol
        test = self.plan.sets[set_name].tests[test_name]
        facts = self.facts.sets[set_name].tests[test_name]
        simulate = test.simulate
        starts_from = simulate.starts_from or test.data
        reference = simulate.reference or test.data
        runs = []
        for number, frame in enumerate(facts.starts, start=1):
            for stage_name, stage in protocol.stages.items():
                product = f"{folder}/{test_name}/{stage_name}-{number}"
                arguments = ["--model", export.product, "--structure", self._path(starts_from)]
                arguments += ["--frame", str(frame), *self._stage(stage, set_name, test_name)]
                arguments += ["--seed", str(self._seed(labels["seed"], number)), "--quiet"]
                if simulate.replicate != (1, 1, 1):
                    arguments += ["--replicate", *map(str, simulate.replicate)]
                run = self._job(
                    f"run/{'/'.join(product.split('/')[1:])}",
                    ["run", *arguments, "--out", product],
                    product,
                    needs=[export.name],
                    inputs=[starts_from],
                    resumes=True,
                    accepts=STOPPED,
                    **labels,
                    stage=stage_name,
                    start=str(number),
                )
                runs.append(run)
                yield run
        arguments = ["analyse", f"{folder}/{test_name}", "--reference", self._path(reference)]
        arguments += ["--bin-width", f"{protocol.bin_width:g}"]
        if facts.r_max is not None:
            arguments += ["--r-max", f"{facts.r_max:g}"]
        yield self._job(
            f"analyse/{'/'.join(folder.split('/')[1:])}/{test_name}",
            [*arguments, *label_flags(self.plan, set_name)],
            f"{folder}/{test_name}",
            needs=[run.name for run in runs],
            inputs=[reference],
            any_need=True,
            accepts=UNSOUND,
            **labels,
        )

    def _stage(self, stage: Stage, set_name: str, test_name: str) -> list[str]:
        """Return the flags of a stage of the protocol."""
        protocol, simulate = self.plan.protocol, self.plan.sets[set_name].tests[test_name].simulate
        step = simulate.timestep_fs or protocol.timestep_fs
        every = round(stage.dump_every_fs / step)
        flags: dict[str, Any] = {
            "ensemble": stage.ensemble,
            "temperature": f"{simulate.temperature:g}",
            "timestep-fs": f"{step:g}",
            "steps": round(1000 * stage.length_ps / step),
            "equilibrate-steps": round(1000 * stage.equilibrate_ps / step),
            "velocities": protocol.velocities,
            "thermostat": stage.thermostat,
            "thermostat-damp-ps": f"{stage.thermostat_damp_ps:g}",
            "dump-every": every,
            "thermo-every": every,
        }
        taken = resources(self.plan, "run")
        flags |= {"ranks": taken.ranks, "threads": taken.threads}
        if taken.gpus:
            flags["device"] = "cuda"
        if taken.mpirun is not None:
            flags["mpirun"] = taken.mpirun
        if not protocol.guards:
            flags |= dict.fromkeys(("no-guard-distance", "no-guard-force", "no-guard-temperature"))
        return [
            word
            for name, value in flags.items()
            for word in (f"--{name}", *([] if value is None else [str(value)]))
        ]

    def _seed(self, seed: str, number: int) -> int:
        """Return a seed of velocities: another for each start and each training."""
        own = 0 if seed == GIVEN else int(seed)
        return (own * 1000 + number - 1) % _LARGEST_SEED + 1

    def _speeds(
        self, set_name: str, folder: str, export: Job, labels: dict[str, str]
    ) -> Iterator[Job]:
        speed = self.plan.sets[set_name].speed
        frame = self.facts.sets[set_name].speed
        for repeat in speed.replicate:
            for ranks in speed.ranks:
                case = f"{len(frame) * repeat**3}-atoms-{ranks}-ranks"
                # apart from the simulations, which are analysed and reported
                product = f"speed/{'/'.join(folder.split('/')[1:])}/{case}"
                arguments = ["run", "--model", export.product]
                arguments += ["--structure", self._path(speed.structure), "--ensemble", "nve"]
                arguments += ["--replicate", *[str(repeat)] * 3, "--steps", str(speed.steps)]
                arguments += ["--timestep-fs", "0.5", "--temperature", "300", "--dump-every", "0"]
                arguments += ["--ranks", str(ranks), "--quiet", "--overwrite", "--out", product]
                arguments += ["--no-guard-distance", "--no-guard-force", "--no-guard-temperature"]
                yield self._job(
                    product,
                    arguments,
                    product,
                    needs=[export.name],
                    inputs=[speed.structure],
                    ranks=ranks,
                    **labels,
                    case=case,
                )

    def _job(
        self,
        name: str,
        arguments: list[str],
        product: str,
        *,
        needs: list[str] | None = None,
        inputs: list[Path] | None = None,
        settings: dict[str, Any] | None = None,
        resumes: bool = False,
        any_need: bool = False,
        accepts: dict[int, str] | None = None,
        ranks: int | None = None,
        **labels: str,
    ) -> Job:
        taken = resources(self.plan, name.partition("/")[0])
        return Job(
            name=name,
            arguments=tuple(arguments),
            needs=tuple(needs or ()),
            product=product,
            inputs={
                str(self.file.data(path)): self.facts.digests[self.file.data(path)]
                for path in inputs or ()
            },
            settings=settings,
            resumes=resumes,
            any_need=any_need,
            accepts=accepts or {},
            labels=labels,
            ranks=ranks or taken.ranks,
            threads=taken.threads,
            memory_mb=taken.memory_mb,
            minutes=taken.minutes,
            gpus=taken.gpus,
        )

    def _path(self, path: Path) -> str:
        return str(self.file.data(path))
