"""How alike two proposals are by their words and letters, in one language or in two that are written alike.

Candidates are found by BM25 over the rarer words of title and text, in memory: for each proposal only what shares such a word is looked at.
Then the letters of both titles are compared (cosine of n-grams, which forgives endings and slips of the pen) and the words of both texts.
Pure Python, the same in both databases.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..search.words import fold, words_of
from .stop_words import stop_words

NEIGHBOURS = 25
"""Candidates that are looked at more closely, per proposal."""
BODY = 400
"""Characters of a text that are compared: what follows is mostly the story behind it."""
_STEM = 6
"""Characters of a word that are compared, so that most endings do not matter."""
_COMMON = 0.05
"""A word that more of the proposals have finds no candidates."""
_K1, _B = 1.2, 0.6
_TITLE, _WORDS = 0.55, 0.45
_REMEMBERED = 10_000
"""Titles whose letters are kept at once; each takes some kilobytes."""


@dataclass(frozen=True, slots=True)
class Comparable:
    """What is compared of a proposal."""

    title: str
    body: str
    language: str


def stems(text: Comparable, *, shown: bool = False) -> list[str]:
    """The words that say something, cut to their stems, the title's twice; `shown`: as they were typed, each once."""
    silent = stop_words(text.language)
    title = [word.lower() for word in words_of(text.title)]
    body = [word.lower() for word in words_of(text.body[:BODY])]
    said = [
        word for word in (title + body if shown else title + title + body) if len(word) > 1 and fold(word) not in silent
    ]
    return list(dict.fromkeys(said)) if shown else [fold(word)[:_STEM] for word in said]


def shared_words(a: Comparable, b: Comparable, most: int = 12) -> list[str]:
    """Words of the first whose stems are in the second, too: what a person sees as the reason."""
    there = set(stems(b))
    return [word for word in stems(a, shown=True) if fold(word)[:_STEM] in there][:most]


@dataclass(slots=True)
class Lexicon:
    """Proposals by their words. Numbers are places in `texts`."""

    texts: Sequence[Comparable]
    _counts: list[Counter[str]] = field(default_factory=list[Counter[str]], init=False)
    _lengths: list[int] = field(default_factory=list[int], init=False)
    _places: "dict[str, array[int]]" = field(default_factory=dict, init=False)  # pyright: ignore[reportUnknownVariableType]
    _norms: list[float] = field(default_factory=list[float], init=False)
    _average: float = field(default=1.0, init=False)
    _titles_known: dict[int, Mapping[str, float]] = field(default_factory=dict[int, Mapping[str, float]], init=False)
    _letters: Counter[str] = field(default_factory=Counter[str], init=False)

    def __post_init__(self) -> None:
        for number, text in enumerate(self.texts):
            counts = Counter(stems(text))
            self._counts.append(counts)
            self._lengths.append(counts.total())
            for stem in counts:
                self._places.setdefault(stem, array("I")).append(number)
            self._letters.update(set(_letters_of(fold(text.title))))
        many = max(1, len(self.texts))
        self._average = max(1.0, sum(self._lengths) / many)
        self._norms = [
            math.sqrt(sum(self._weight(stem, often) ** 2 for stem, often in each.items())) for each in self._counts
        ]

    def _rarity(self, stem: str) -> float:
        there = len(self._places[stem])
        return math.log(1 + (len(self.texts) - there + 0.5) / (there + 0.5))

    def _weight(self, stem: str, often: int) -> float:
        return (1 + math.log(often)) * self._rarity(stem)

    def candidates(self, number: int) -> list[int]:
        """The proposals that share the rarest words with one, the most alike first."""
        limit = max(50, int(_COMMON * len(self.texts)))
        scores: dict[int, float] = {}
        for stem in self._counts[number]:
            places = self._places[stem]
            if len(places) > limit:
                continue
            rarity = self._rarity(stem)
            for other in places:
                often = self._counts[other][stem]
                long = 1 - _B + _B * self._lengths[other] / self._average
                scores[other] = scores.get(other, 0.0) + rarity * often * (_K1 + 1) / (often + _K1 * long)
        scores.pop(number, None)
        return sorted(scores, key=lambda other: (-scores[other], other))[:NEIGHBOURS]

    def likeness(self, a: int, b: int) -> float:
        """0 to 1: letters of the titles and words of the texts."""
        return _TITLE * self._titles(a, b) + _WORDS * self._common_words(a, b)

    def _common_words(self, a: int, b: int) -> float:
        one, other = self._counts[a], self._counts[b]
        if len(one) > len(other):
            one, other = other, one
        norm = self._norms[a] * self._norms[b]
        if not norm:
            return 0.0
        return sum(self._weight(s, often) * self._weight(s, other[s]) for s, often in one.items() if s in other) / norm

    def _titles(self, a: int, b: int) -> float:
        one, other = self._title(a), self._title(b)
        return sum(weight * other[part] for part, weight in one.items() if part in other)

    def _title(self, number: int) -> Mapping[str, float]:
        known = self._titles_known.get(number)
        if known is None:
            if len(self._titles_known) >= _REMEMBERED:
                self._titles_known.clear()
            known = self._titles_known[number] = self._title_weights(number)
        return known

    def _title_weights(self, number: int) -> Mapping[str, float]:
        parts = Counter(_letters_of(fold(self.texts[number].title)))
        many = len(self.texts)
        weights = {part: often * math.log(1 + many / (1 + self._letters[part])) for part, often in parts.items()}
        norm = math.sqrt(sum(weight**2 for weight in weights.values())) or 1.0
        return {part: weight / norm for part, weight in weights.items()}


def _letters_of(title: str) -> Iterator[str]:
    """Runs of three and four letters, with the borders of words."""
    for word in words_of(title):
        edged = f" {word} "
        for size in (3, 4):
            for start in range(max(1, len(edged) - size + 1)):
                yield edged[start : start + size]
