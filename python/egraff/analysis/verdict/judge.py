# SPDX-License-Identifier: GPL-2.0-or-later
"""From metrics and violations to a word and its reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from egraff.analysis.metric import Metric
from egraff.analysis.stability import Violation
from egraff.analysis.verdict.rules import Rule
from egraff.errors import InputError

SOUND, LOOK, UNSOUND, NOT_ENOUGH = "sound", "look", "unsound", "not enough data"
#: From the best to the worst.
WORDS = (SOUND, NOT_ENOUGH, LOOK, UNSOUND)

#: A run that came apart: nothing weighs more.
_SURVIVAL = 100.0
#: Metrics without an error say that the run is too short; only those that there are count.
_SAMPLED = ("temperature", "wasserstein[total]", "bond_length_deviation")
#: g(r) that has left the reference's is a matter of structure, not the end of the run.
_DRIFT_OF_STRUCTURE = "rdf-drift"
_ERRORS = 2.0


@dataclass(frozen=True)
class Reason:
    """Why a run is judged as it is.

    Attributes:
        level: ``look``, ``unsound`` or ``not enough data``.
        text: the reason, for people.
        weight: reasons are told in order of it.
        metric: name of the metric or criterion.
        value: its value; None for a criterion.
        threshold: the limit that is exceeded.
        source: where the limit is from.
    """

    level: str
    text: str
    weight: float
    metric: str
    value: float | None = None
    threshold: float | None = None
    source: str | None = None


@dataclass(frozen=True)
class Verdict:
    """A word, and the reasons for it: the worst first, then by weight."""

    word: str
    reasons: tuple[Reason, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {"word": self.word, "reasons": [asdict(reason) for reason in self.reasons]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], *, where: Path) -> Verdict:
        """Inverse of `as_dict`.

        Args:
            content: with ``word`` and ``reasons``, each with the fields of `Reason`.
            where: the file, for messages.

        Raises:
            InputError: a word that is none of `WORDS`.
            KeyError: a field is missing.
        """
        reasons = [
            Reason(
                level=_word(entry["level"], where, "verdict.reasons.level"),
                text=str(entry["text"]),
                weight=float(entry["weight"]),
                metric=entry["metric"],
                value=entry.get("value"),
                threshold=entry.get("threshold"),
                source=entry.get("source"),
            )
            for entry in content["reasons"]
        ]
        return cls(_word(content["word"], where, "verdict.word"), tuple(reasons))

    def reason_about(self, metric: str) -> Reason | None:
        """The first reason that rests on ``metric``, or on it for other species; or None."""
        kind = metric.partition("[")[0]
        of_kind = [one for one in self.reasons if one.metric.partition("[")[0] == kind]
        exact = [one for one in of_kind if one.metric == metric]
        return next(iter([*exact, *of_kind]), None)

    def __str__(self) -> str:
        """Name it for people, with its first reasons."""
        told = "; ".join(reason.text for reason in self.reasons[:3])
        more = len(self.reasons) - 3
        return self.word + (f": {told}" if told else "") + (f"; {more} more" if more > 0 else "")


def _word(word: object, where: Path, field: str) -> str:
    if word not in WORDS:
        raise InputError(
            f"expected one of {', '.join(WORDS)}, got {word!r}",
            where=where,
            field=field,
            fix="run egraff analyse --force",
        )
    return str(word)


def judge(
    metrics: Iterable[Metric], violations: Iterable[Violation], rules: Mapping[str, Rule]
) -> Verdict:
    """Judge a run.

    Args:
        metrics: of the run.
        violations: of the criteria of stability.
        rules: see `read_rules`.
    """
    metrics = list(metrics)
    reasons = [_of_violation(violation) for violation in violations]
    for rule in rules.values():
        reasons += _worst(rule, metrics)
    reasons += _too_short(metrics)
    reasons.sort(key=lambda reason: (-WORDS.index(reason.level), -reason.weight))
    return Verdict(reasons[0].level if reasons else SOUND, tuple(reasons))


def _of_violation(violation: Violation) -> Reason:
    level = LOOK if violation.criterion == _DRIFT_OF_STRUCTURE else UNSOUND
    text = f"{violation.criterion} at {violation.time_ps:.4g} ps: {violation.message}"
    return Reason(level, text, _SURVIVAL, violation.criterion)


def _worst(rule: Rule, metrics: list[Metric]) -> list[Reason]:
    """The reason of a rule: of several metrics of one kind, that of the largest size.

    A run too short for the mean of a whole does not prove much about the shares of it, whatever
    error their own series suggest: energy goes from one kind of motion to another more slowly than
    it fluctuates, in small molecules above all. Such a share is worth a look, no more.
    """
    scale, provable = 1.0, True
    if rule.per is not None:
        whole = [metric for metric in metrics if metric.name == rule.per and metric.value]
        if not whole:
            return []
        scale, provable = 100.0 / abs(whole[0].value), whole[0].error is not None
    found = []
    for metric in metrics:
        name, _, qualifier = metric.name.partition("[")
        judged = metric.error is not None or rule.exact
        if name != rule.metric or metric.value is None or not judged:
            continue
        size = abs(metric.value)
        sure = size - _ERRORS * (metric.error or 0.0)
        for level, limit, ratio in (
            (UNSOUND, rule.unsound, rule.noise[1]),
            (LOOK, rule.look, rule.noise[0]),
        ):
            if limit is None or (level == UNSOUND and not provable):
                continue
            if sure * scale > limit and size > ratio * (metric.noise or 0.0):
                text = rule.says.format(value=_amount(metric), of=qualifier.rstrip("]") or name)
                reason = Reason(
                    level, text, rule.weight, metric.name, metric.value, limit, rule.source
                )
                found.append((level == UNSOUND, size, reason))
                break
    return [max(found, key=lambda one: one[:2])[2]] if found else []


def _amount(metric: Metric) -> str:
    """Value with error and unit, or in multiples of the noise where that tells more."""
    text = f"{metric.value:.3g}"
    if metric.error:
        text += f" +- {metric.error:.1g}"
    if metric.unit != "1":
        text += f" {metric.unit}"
    if metric.noise:
        text += f", {abs(metric.value) / metric.noise:.2g} x the noise"
    return text


def _too_short(metrics: list[Metric]) -> list[Reason]:
    """What has no error because the run is too short for one."""
    known = {metric.name: metric for metric in metrics}
    sampled = [known[name] for name in _SAMPLED if name in known]
    if not any(metric.value is not None for metric in metrics):
        return [Reason(NOT_ENOUGH, "nothing could be computed", 0.0, "metrics")]
    if not sampled:
        return [
            Reason(NOT_ENOUGH, "neither a temperature nor a structure to judge", 0.0, "metrics")
        ]
    return [
        Reason(NOT_ENOUGH, f"{metric.name}: {metric.note}", 0.0, metric.name)
        for metric in sampled
        if metric.error is None
    ]
