# SPDX-License-Identifier: GPL-2.0-or-later
"""How verdicts are shown, of runs and of groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from egraff.analysis.verdict.judge import WORDS, Verdict

#: The kind that gives each word its colour.
KINDS = dict(zip(WORDS, ("good", "muted", "warn", "bad"), strict=True))
NO_VERDICT = "no verdict"
#: A run without a verdict keeps a group from being sound.
ORDER = (WORDS[0], NO_VERDICT, *WORDS[1:])
ANALYSE_AGAIN = "no verdict: analyse again"


def kind_of(word: str) -> str:
    """Kind of a cell or a tile that shows ``word``; muted without a verdict."""
    return KINDS.get(word, "muted")


def worst_word(verdicts: Sequence[Verdict | None]) -> str:
    """The word for several runs: the worst one in `ORDER`."""
    return max((one.word if one else NO_VERDICT for one in verdicts), key=ORDER.index)


def counted(verdicts: Sequence[Verdict | None]) -> str:
    """Such as ``2 sound, 1 unsound``, the worst last."""
    counts = Counter(one.word if one else NO_VERDICT for one in verdicts)
    return ", ".join(f"{counts[word]} {word}" for word in ORDER if counts[word])
