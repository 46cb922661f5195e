"""What a person typed into a search, understood whatever it was; and words without their accents, the same in both databases.

Words are runs of letters and digits. `"two words"` stand beside each other, `-word` must not be there, `word*` is how a word begins,
`one OR other` is either. Everything else is taken as words: nothing that is typed is an error.
"""

import re
import unicodedata
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+")
_MARKS = re.compile("[\u0300-\u036f]+")
_PIECE = re.compile(r'(?P<no>-)?(?:"(?P<phrase>[^"]*)(?:"|$)|(?P<plain>[^\s"]+))(?P<star>\*)?')
LONGEST = 200
"""Characters of one word; no word that a person looks for is longer, and PostgreSQL takes none of more than 2,046 bytes."""
MOST_TERMS = 32
"""Of one search: a pasted page would ask for hundreds."""


def fold(text: str) -> str:
    """Lower case without accents, as FTS5's `unicode61 remove_diacritics 2` does it; ß, ø, æ, þ and ð are letters of their own."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", text.lower())))


def words_of(text: str) -> list[str]:
    """The words of a text, as typed but without anything between them."""
    return [word[:LONGEST] for word in _WORD.findall(text if text.isascii() else unicodedata.normalize("NFC", text))]


@dataclass(frozen=True, slots=True)
class Term:
    """Words that stand beside each other; mostly one. `prefix`: the last one is only how a word begins."""

    words: tuple[str, ...]
    """Folded."""
    typed: tuple[str, ...]
    """The same words with their accents, in lower case: stemmers need them."""
    prefix: bool = False

    @property
    def shown(self) -> str:
        """As it could be typed."""
        text = " ".join(self.typed)
        return (f'"{text}"' if len(self.words) > 1 else text) + ("*" if self.prefix else "")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A search: of each group one term must be there, and none of `without`."""

    groups: tuple[tuple[Term, ...], ...]
    without: tuple[Term, ...]
    cut: bool = False
    """More terms were typed than are looked for."""

    @property
    def terms(self) -> tuple[Term, ...]:
        """Everything that may be there."""
        return tuple(term for group in self.groups for term in group)


def understand(typed: str) -> Wanted:
    """What is looked for. Never fails; without any word to look for `groups` is empty."""
    groups: list[list[Term]] = []
    without: list[Term] = []
    either = False
    count = 0
    for found in _PIECE.finditer(typed):
        if found["plain"] in {"OR", "|"} and not found["no"]:
            either = bool(groups)
            continue
        term = _term(found)
        if term is None:
            continue
        if count == MOST_TERMS:
            return _wanted(groups, without, cut=True)
        count += 1
        if found["no"]:
            without.append(term)
            either = False
            continue
        if either:
            groups[-1].append(term)
        else:
            groups.append([term])
        either = False
    return _wanted(groups, without, cut=False)


def _term(found: re.Match[str]) -> Term | None:
    text = found["phrase"] if found["phrase"] is not None else found["plain"]
    # `plain` takes the star with it: no blank and no quote ends it before.
    prefix = bool(found["star"]) or (found["plain"] is not None and text.endswith("*"))
    typed = tuple(word.lower() for word in words_of(text))
    if not typed:
        return None
    return Term(tuple(fold(word) for word in typed), typed, prefix)


def _wanted(groups: list[list[Term]], without: list[Term], *, cut: bool) -> Wanted:
    return Wanted(tuple(tuple(group) for group in groups), tuple(without), cut)
