# SPDX-License-Identifier: GPL-2.0-or-later
"""The ten data sets of EGraFFBench: what they are, what is wrong with them, how we split them.

The facts stand in YAML files beside this one: a file per set in ``sets``, the repositories they
come from in ``repositories.yaml``, and our splits for each task in ``tasks.yaml``. No data is in
the package; files are recognised by the digest of their frames (`egraff.data.digest`).
"""

from egraff.data.catalogue.entries import Entry, FileRecord, Repository, Source
from egraff.data.catalogue.files import FileCheck, check_files, split_path, verified_frames
from egraff.data.catalogue.load import catalogue, entry, file_record, repositories
from egraff.data.catalogue.tasks import (
    Resolved,
    TaskSplit,
    resolve,
    split_digest,
    task_split,
    task_splits,
)

__all__ = [
    "Entry",
    "FileCheck",
    "FileRecord",
    "Repository",
    "Resolved",
    "Source",
    "TaskSplit",
    "catalogue",
    "check_files",
    "entry",
    "file_record",
    "repositories",
    "resolve",
    "split_digest",
    "split_path",
    "task_split",
    "task_splits",
    "verified_frames",
]
