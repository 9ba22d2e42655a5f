# SPDX-License-Identifier: GPL-2.0-or-later
"""``egraff data``: the embedded sets, and what a data file holds."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from egraff.cli.data_catalogue import catalogue_command
from egraff.cli.data_import import import_command
from egraff.cli.labels import with_label_options
from egraff.cli.types import writable

app = typer.Typer(
    help="Data sets: embedded and public ones; inspect, check, import and split data files."
)
app.command(name="catalogue")(catalogue_command)
app.command(name="import")(import_command)


class SplitMethod(StrEnum):
    """How frames are assigned to splits."""

    random = "random"
    blocks = "blocks"


@app.command(name="list")
def list_sets() -> None:
    """List the data sets that come with egraff."""
    from rich.console import Console
    from rich.table import Table

    from egraff.data import list_embedded

    console = Console(highlight=False)
    for name, manifest in list_embedded().items():
        table = Table(
            title=f"{name}: {manifest['title']}; {manifest['method']} ({manifest['program']})",
            title_justify="left",
        )
        table.add_column("split")
        for column in ("frames", "atoms", "T (K)", "E s.d. (eV)", "F rms (eV/A)", "kB"):
            table.add_column(column, justify="right")
        for split, entry in manifest["files"].items():
            run = entry.get("run", {})
            table.add_row(
                split,
                str(entry["n_frames"]),
                str(entry["n_atoms_per_frame"]),
                f"{run['temperature_K']:g}" if run else "-",
                f"{entry['energy_std_eV']:.3f}" if run else "-",
                f"{entry['force_rms_eV_per_A']:.3f}" if run else "-",
                f"{entry['bytes'] / 1000:.0f}",
            )
        console.print(table)
    console.print("Copy one with: egraff data export SET --out DIR")


@app.command()
@with_label_options
def info(
    file: Annotated[Path, typer.Argument(help="Any file with structures that ASE reads.")],
    against: Annotated[
        Path | None,
        typer.Option(help="Training file; refuse if FILE repeats any of its frames."),
    ] = None,
    *,
    label_options: Mapping[str, str],
) -> None:
    """Describe a data file, and check that it can be used for training."""
    from rich.console import Console

    from egraff.data import (
        check_overlap,
        describe_isolated,
        isolated_energies,
        label_keys,
        read_frames,
        separate_isolated_atoms,
        validate_frames,
    )
    from egraff.data.summary import summarise

    console = Console(highlight=False, soft_wrap=True)
    keys = label_keys(label_options)
    frames, isolated = separate_isolated_atoms(read_frames(file, keys=keys))
    for name, value in summarise(frames).items() if frames else ():
        console.print(f"{name:<22} {value}", markup=False)
    if isolated:
        console.print(f"{'isolated atoms':<22} {describe_isolated(isolated)}", markup=False)
    for part in (frames, isolated):
        for remark in validate_frames(part, require=()) if part else ():
            console.print(f"note: {remark}", markup=False, style="yellow")
    isolated_energies([atom for atom in isolated if atom.energy is not None])
    if against is not None:
        check_overlap(read_frames(against, keys=keys), frames, name=file.name)
        console.print(f"{'overlap':<22} no frame is in {against}", markup=False)


def _size(text: str, option: str) -> float | int:
    from egraff.errors import InputError

    try:
        size = int(text) if text.strip().isdigit() else float(text)
    except ValueError:
        raise InputError(
            f"expected a number of frames or a fraction, got {text!r}",
            where=option,
            fix="give, for example, 100 or 0.1",
        ) from None
    return size


@app.command()
@with_label_options
def split(
    file: Annotated[Path, typer.Argument(help="File to split.")],
    out: Annotated[
        Path,
        typer.Option(help="Folder for train.xyz, val.xyz, ... and splits.json.", callback=writable),
    ],
    train: Annotated[str, typer.Option(help="Fraction, or number of frames.")] = "0.8",
    val: Annotated[str, typer.Option(help="Fraction, or number of frames; 0 for none.")] = "0.1",
    test: Annotated[str, typer.Option(help="Fraction, or number of frames; 0 for none.")] = "0.1",
    seed: Annotated[int, typer.Option(help="Seed of the random choice.")] = 0,
    method: Annotated[
        SplitMethod,
        typer.Option(
            help="random; or blocks: consecutive pieces, for a finely sampled trajectory."
        ),
    ] = SplitMethod.random,
    *,
    label_options: Mapping[str, str],
) -> None:
    """Split a data file into training, validation and test files that share no frame.

    Isolated atoms are no part of the splits; they are written to the training file, where they
    give E0.
    """
    import ase.io

    from egraff.data import (
        check_overlap,
        describe_isolated,
        frame_from_atoms,
        isolated_energies,
        label_keys,
        read_images,
        save_splits,
        separate_isolated_atoms,
        split_frames,
        validate_frames,
    )
    from egraff.errors import InputError
    from egraff.files import atomic_path

    sizes = {
        name: size
        for name, text in (("train", train), ("val", val), ("test", test))
        if (size := _size(text, f"--{name}")) != 0
    }
    targets = {name: out / f"{name}.xyz" for name in sizes}
    index_file = out / "splits.json"
    for target in (*targets.values(), index_file):
        if target.exists():
            raise InputError(
                "the file exists already", where=target, fix="give another folder to --out"
            )
    keys = label_keys(label_options)
    # ASE atoms are written, not frames: a file may hold more columns than a model reads
    images = read_images(file)
    frames, isolated = separate_isolated_atoms(
        [
            frame_from_atoms(atoms, keys=keys, source=(str(file), number))
            for number, atoms in enumerate(images)
        ]
    )
    for remark in validate_frames(frames):
        typer.echo(f"note: {remark}")
    if isolated:
        validate_frames(isolated, require=("energy",))
        isolated_energies(isolated)
    splits = split_frames(frames, sizes, seed=seed, method=method.value)
    for name, members in splits.items():
        if name != "train" and "train" in splits:
            check_overlap(splits["train"], members, name=name)
    for name, members in splits.items():
        # isolated atoms give E0, which is for the training to know
        also = isolated if name == "train" else []
        with atomic_path(targets[name]) as partial:
            ase.io.write(partial, [images[f.source[1]] for f in (*also, *members)], format="extxyz")
        typer.echo(
            f"{targets[name]}: {len(members)} frames"
            + (f", and isolated atoms: {describe_isolated(isolated)}" if also else "")
        )
    if isolated and "train" not in splits:
        typer.echo(f"left out, isolated atoms: {describe_isolated(isolated)}")
    save_splits(index_file, splits, seed=seed, method=method.value)


@app.command()
@with_label_options
def join(
    files: Annotated[list[Path], typer.Argument(help="Files, in the order of the result.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write, NAME.xyz.", callback=writable)
    ],
    frames_per_file: Annotated[
        int | None,
        typer.Option(min=1, help="At most so many frames of each file, evenly spaced."),
    ] = None,
    without: Annotated[
        list[Path] | None,
        typer.Option(help="Leave out the geometries that this file holds; repeatable."),
    ] = None,
    *,
    label_options: Mapping[str, str],
) -> None:
    """Put the frames of several files into one, as extended XYZ.

    Isolated atoms, which give E0, are all kept.
    """
    from egraff.data import label_keys
    from egraff.data.join import write_joined

    number = write_joined(
        output,
        files,
        frames_per_file=frames_per_file,
        without=without or (),
        keys=label_keys(label_options),
    )
    typer.echo(f"{output}: {number} frames")


@app.command()
def export(
    set_name: Annotated[str, typer.Argument(metavar="SET", help="Name of an embedded set.")],
    out: Annotated[Path, typer.Option(help="Folder to copy the files to.", callback=writable)],
) -> None:
    """Copy an embedded data set, with its manifest, into a folder."""
    from egraff.data import embedded, list_embedded
    from egraff.files import atomic_path

    folder = embedded(set_name, "train").parent
    entries = list_embedded()[set_name]["files"].values()
    for name in (*(entry["file"] for entry in entries), "manifest.json"):
        with atomic_path(out / name) as partial:
            partial.write_bytes((folder / name).read_bytes())
        typer.echo(str(out / name))
