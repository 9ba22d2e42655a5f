# SPDX-License-Identifier: GPL-2.0-or-later
"""Verdicts as the analysis stored them: one word and its reasons, for runs and for groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egraff.errors import InputError

#: From the best to the worst, each with the kind that gives it its colour.
KINDS = {"sound": "good", "not enough data": "muted", "look": "warn", "unsound": "bad"}
NO_VERDICT = "no verdict"
#: A run without a verdict keeps a group from being sound.
ORDER = ("sound", NO_VERDICT, *list(KINDS)[1:])
ANALYSE_AGAIN = "no verdict: analyse again"


def kind_of(word: str) -> str:
    """Kind of a cell or a tile that shows ``word``; muted without a verdict."""
    return KINDS.get(word, "muted")


@dataclass(frozen=True)
class Reason:
    """Why a verdict is what it is.

    Attributes:
        text: one sentence.
        level: one of `KINDS`: what this reason by itself would lead to.
        weight: how much it counts; larger is heavier.
        metric: name of the metric it rests on, or None.
        value: value of that metric, or None.
        threshold: what the value was compared with, or None.
        source: where the threshold comes from, or None.
    """

    text: str
    level: str
    weight: float = 0.0
    metric: str | None = None
    value: float | None = None
    threshold: float | None = None
    source: str | None = None


@dataclass(frozen=True)
class Verdict:
    """One of `KINDS`, and its reasons: the worst level first, then the heaviest."""

    word: str
    reasons: Sequence[Reason] = ()

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], *, where: Path) -> Verdict:
        """Read the ``verdict`` of a ``result.json``.

        Args:
            content: with ``word`` and ``reasons``, each with the fields of `Reason`.
            where: the file, for messages.

        Raises:
            InputError: a word that is none of `KINDS`.
            KeyError: a field is missing.
        """
        reasons = [
            Reason(
                text=str(entry["text"]),
                level=_word(entry["level"], where, "verdict.reasons.level"),
                weight=float(entry["weight"]),
                metric=entry.get("metric"),
                value=entry.get("value"),
                threshold=entry.get("threshold"),
                source=entry.get("source"),
            )
            for entry in content["reasons"]
        ]
        reasons.sort(key=lambda reason: (-ORDER.index(reason.level), -reason.weight))
        return cls(_word(content["word"], where, "verdict.word"), reasons)

    def reason_about(self, metric: str) -> Reason | None:
        """The first reason that rests on ``metric``, or on it for other species; or None."""
        kind = metric.partition("[")[0]
        of_kind = [one for one in self.reasons if (one.metric or "").partition("[")[0] == kind]
        exact = [one for one in of_kind if one.metric == metric]
        return next(iter([*exact, *of_kind]), None)


def _word(word: object, where: Path, field: str) -> str:
    if word not in KINDS:
        raise InputError(
            f"expected one of {', '.join(KINDS)}, got {word!r}",
            where=where,
            field=field,
            fix="run egraff analyse --force",
        )
    return str(word)


def worst_word(verdicts: Sequence[Verdict | None]) -> str:
    """The word for several runs: the worst one in `ORDER`."""
    return max((one.word if one else NO_VERDICT for one in verdicts), key=ORDER.index)


def counted(verdicts: Sequence[Verdict | None]) -> str:
    """Such as ``2 sound, 1 unsound``, the worst last."""
    counts = Counter(one.word if one else NO_VERDICT for one in verdicts)
    return ", ".join(f"{counts[word]} {word}" for word in ORDER if counts[word])
