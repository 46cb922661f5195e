"""From how alike words and meaning are to one score, by which languages the two proposals are in.

Words count where both are in one language or in two that are written alike, meaning everywhere. A score of 0.5 is where, on the probe set,
as many pairs are missed as are wrong; the scale is straight on both sides of it.
"""

from dataclasses import dataclass

VERSION = "1"
THRESHOLD = 0.55
"""From here on a pair is shown to a person (`civicsync duplicates evaluate` tells what that means)."""
_RELATED = frozenset(
    {frozenset({"ca", "es"}), frozenset({"nb", "da"}), frozenset({"nb", "nn"}), frozenset({"gl", "pt"})}
)
UNKNOWN = "und"


@dataclass(frozen=True, slots=True)
class _Rule:
    """How much words count beside meaning, and what is 0.5 with both and with words alone (None: words alone say nothing)."""

    words: float
    middle: float
    middle_of_words: float | None


_SAME = _Rule(words=0.5, middle=0.34, middle_of_words=0.29)
_ALIKE = _Rule(words=0.4, middle=0.26, middle_of_words=0.20)
_DIFFERENT = _Rule(words=0.0, middle=0.31, middle_of_words=None)


@dataclass(frozen=True, slots=True)
class Score:
    """`value`: 0 to 1. `method`: what it rests on."""

    value: float
    method: str


def rule_of(a: str, b: str) -> _Rule:
    """The rule of two languages. One that cannot be told may be the same."""
    if a == b or UNKNOWN in {a, b}:
        return _SAME
    return _ALIKE if frozenset({a, b}) in _RELATED else _DIFFERENT


def score(languages: tuple[str, str], lexical: float | None, semantic: float | None) -> Score | None:
    """The score of a pair; None where nothing can be said."""
    rule = rule_of(*languages)
    if semantic is None:
        if lexical is None or rule.middle_of_words is None:
            return None
        return Score(_scaled(lexical, rule.middle_of_words), "words")
    if rule.words == 0.0 or lexical is None:
        return Score(_scaled(semantic, _DIFFERENT.middle), "meaning")
    return Score(_scaled(rule.words * lexical + (1 - rule.words) * semantic, rule.middle), "words and meaning")


def _scaled(raw: float, middle: float) -> float:
    raw = min(1.0, max(0.0, raw))
    return round(0.5 * raw / middle if raw < middle else 0.5 + 0.5 * (raw - middle) / (1 - middle), 4)
