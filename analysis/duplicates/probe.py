"""How good the finder is: what it makes of a probe set of our own texts, whose answers are known.

Forty ideas in six languages, fifteen of them a second time in other words; ideas of one family are hard to tell apart (more bicycle
parking, a bicycle bridge). Ships with civicsync, so that a city can repeat it with its own release and write it in its register.
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from . import meaning
from .lexical import Comparable, Lexicon
from .scoring import THRESHOLD, rule_of, score

LANGUAGES = ("nl", "en", "es", "ca", "de", "is")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text of the probe set; `idea` says which are the same."""

    idea: str
    family: str
    text: Comparable


@dataclass(frozen=True, slots=True)
class Found:
    """Of two languages: how many texts have the same idea in the other language, and of how many it came first."""

    languages: tuple[str, str]
    asked: int
    first: int

    @property
    def recall(self) -> float:
        """0 to 1."""
        return self.first / self.asked


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """What a threshold would do: `right` and `wrong` pairs that it shows, `missed` ones, `hard` of the wrong ones within one family."""

    threshold: float
    right: int
    wrong: int
    missed: int
    hard: int

    @property
    def precision(self) -> float | None:
        """Right among what is shown, 0 to 1; None where nothing is."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else None

    @property
    def recall(self) -> float | None:
        """Shown among what is the same, 0 to 1."""
        return self.right / (self.right + self.missed) if self.right + self.missed else None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`thresholds` are of all pairs that can be compared, `within` of those of one language."""

    texts: int
    same: int
    different: int
    hard: int
    model: str | None
    firsts: tuple[Found, ...]
    thresholds: tuple[AtThreshold, ...]
    within: tuple[AtThreshold, ...]
    notes: tuple[str, ...] = ()


def labelled() -> list[Labelled]:
    """The probe set."""
    said = resources.files(__package__ or "").joinpath("probe.json").read_text(encoding="utf-8")
    return [
        Labelled(idea["id"], idea["family"], Comparable(title, body, language))
        for idea in json.loads(said)["ideas"]
        for part in ("texts", "again")
        for language, (title, body) in idea[part].items()
    ]


def evaluate(thresholds: Sequence[float] = (0.4, 0.5, 0.55, 0.6, 0.7), *, semantic: bool = True) -> Evaluation:
    """Compare every text of the probe set with every other, as `find` compares proposals."""
    texts = labelled()
    notes: list[str] = []
    model: meaning.Model | None = None
    if semantic:
        try:
            model = meaning.Model()
        except meaning.NoModel as error:
            notes.append(str(error))
    scores = _scores(texts, model)
    pairs = list(itertools.combinations(range(len(texts)), 2))
    same = sum(texts[a].idea == texts[b].idea for a, b in pairs)
    hard = sum(texts[a].idea != texts[b].idea and texts[a].family == texts[b].family for a, b in pairs)
    steps = sorted({*thresholds, THRESHOLD})
    within = {
        pair: value for pair, value in scores.items() if texts[pair[0]].text.language == texts[pair[1]].text.language
    }
    return Evaluation(
        texts=len(texts),
        same=same,
        different=len(pairs) - same,
        hard=hard,
        model=model.name if model else None,
        firsts=tuple(_firsts(texts, scores)),
        thresholds=tuple(_at(texts, scores, step) for step in steps),
        within=tuple(_at(texts, within, step) for step in steps),
        notes=tuple(notes),
    )


def _scores(texts: Sequence[Labelled], model: meaning.Model | None) -> dict[tuple[int, int], float]:
    lexicon = Lexicon([each.text for each in texts])
    likeness = None
    if model is not None:
        read = model.vectors([meaning.read_part(each.text.title, each.text.body) for each in texts])
        vectors = meaning.centred(read, [each.text.language for each in texts])
        likeness = vectors @ vectors.T
    scores: dict[tuple[int, int], float] = {}
    for a, b in itertools.combinations(range(len(texts)), 2):
        languages = (texts[a].text.language, texts[b].text.language)
        words = lexicon.likeness(a, b) if rule_of(*languages).words else None
        found = score(languages, words, None if likeness is None else float(likeness[a, b]))
        if found is not None:
            scores[a, b] = found.value
    return scores


def _firsts(texts: Sequence[Labelled], scores: dict[tuple[int, int], float]) -> list[Found]:
    found: list[Found] = []
    places = {code: [n for n, each in enumerate(texts) if each.text.language == code] for code in LANGUAGES}
    for languages in itertools.combinations_with_replacement(LANGUAGES, 2):
        asked = first = 0
        for here, there in {languages, languages[::-1]}:
            for own in places[here]:
                others = [other for other in places[there] if other != own]
                if not any(texts[other].idea == texts[own].idea for other in others):
                    continue
                known = [(scores.get((min(own, other), max(own, other))), other) for other in others]
                best = max(((value, -other) for value, other in known if value is not None), default=None)
                if best is None:
                    continue
                asked += 1
                first += texts[-best[1]].idea == texts[own].idea
        if asked:
            found.append(Found(languages, asked, first))
    return found


def _at(texts: Sequence[Labelled], scores: dict[tuple[int, int], float], threshold: float) -> AtThreshold:
    right = wrong = missed = hard = 0
    for (a, b), value in scores.items():
        same = texts[a].idea == texts[b].idea
        if value >= threshold:
            right, wrong = right + same, wrong + (not same)
            hard += not same and texts[a].family == texts[b].family
        else:
            missed += same
    return AtThreshold(threshold, right, wrong, missed, hard)
