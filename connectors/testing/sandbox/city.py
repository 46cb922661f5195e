"""A seeded, multilingual city: people, texts, moments. Row i depends only on the seed and i, so a city can be any size.

About one text in forty is hostile or odd: scripts, bidirectional overrides, template syntax, ten thousand characters. People have
e-mails and telephone numbers that carry `PRIVATE`, so that a test can look for them where they must never be.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

PRIVATE = "priv9f3a"
"""Stands in every piece of planted private data."""

_START = datetime(2024, 1, 10, 8, 0, tzinfo=UTC)
_THINGS = {
    "nl": (
        "bomen",
        "een fietspad",
        "een speeltuin",
        "verlichting",
        "een buurthuis",
        "bankjes",
        "een moestuin",
        "oversteekplaats",
    ),
    "es": (
        "árboles",
        "un carril bici",
        "un parque infantil",
        "farolas",
        "un centro social",
        "bancos",
        "un huerto",
        "un paso de cebra",
    ),
    "ca": (
        "arbres",
        "un carril bici",
        "un parc infantil",
        "fanals",
        "un casal",
        "bancs",
        "un hort urbà",
        "un pas de vianants",
    ),
    "is": ("tré", "hjólastíg", "leikvöll", "ljósastaura", "félagsmiðstöð", "bekki", "matjurtagarð", "gangbraut"),
    "en": (
        "trees",
        "a bike lane",
        "a playground",
        "street lights",
        "a community centre",
        "benches",
        "a garden",
        "a crossing",
    ),
}
_PLACES = {
    "nl": ("aan de gracht", "bij het station", "in de Kerkstraat", "op het plein"),
    "es": ("en la plaza", "junto a la estación", "en la calle Mayor", "cerca del río"),
    "ca": ("a la plaça", "al costat de l'estació", "al carrer Major", "prop del riu"),
    "is": ("við höfnina", "við torgið", "í miðbænum", "hjá skólanum"),
    "en": ("by the river", "near the station", "on Main Street", "in the square"),
}
_MORE = {"nl": "Meer", "es": "Más", "ca": "Més", "is": "Meiri", "en": "More"}
_SENTENCES = {
    "nl": ("Dit is goed voor de buurt.", "Kinderen kunnen hier veilig spelen.", "Het kost weinig en levert veel op."),
    "es": ("Es bueno para el barrio.", "Los niños podrán jugar con seguridad.", "Cuesta poco y aporta mucho."),
    "ca": ("És bo per al barri.", "Els infants hi podran jugar segurs.", "Costa poc i aporta molt."),
    "is": ("Þetta er gott fyrir hverfið.", "Börn geta leikið sér örugg.", "Þetta kostar lítið en gefur mikið."),
    "en": ("This is good for the neighbourhood.", "Children can play safely here.", "It costs little and gives much."),
}
_HOSTILE = (
    "<script>alert('civicsync')</script>",
    '<img src="x" onerror="alert(1)">',
    '<a href="javascript:alert(1)">klik</a>',
    "Veilig\u202egnirts eslaf\u202c? {{7*7}} ${7*7} {% raw %}",
    "👩‍👩‍👧‍👦 🚲🌳 ✅ \u200bonzichtbaar\u200b",
    "حديقة عامة للأطفال — mixed עברית text",
    "=1+1 & < > \" ' \\ \\u0000 %00 ; DROP TABLE proposal; --",
)
LOCALES = ("nl", "es", "ca", "is", "en")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with private data that must never travel."""

    id: int
    name: str
    nickname: str
    email: str
    phone: str


class City:
    """The texts and people of one seeded city."""

    def __init__(self, seed: int, locales: tuple[str, ...] = LOCALES) -> None:
        self.seed = seed
        self.locales = locales

    def rng(self, kind: str, i: int) -> random.Random:
        """The dice of one row."""
        return random.Random(f"{self.seed}:{kind}:{i}")

    def person(self, i: int) -> Person:
        """Person i, from 1."""
        name = f"{('Ana', 'Joris', 'Sigrún', 'Núria', 'Fatima', 'Li')[i % 6]} {('Bakker', 'Vidal', 'Jónsdóttir', 'Soler')[i % 4]} {i}"
        return Person(i, name, f"u{i}", f"{PRIVATE}.{i}@mail.example", f"+31 6 {PRIVATE} {i:06d}")

    def locale(self, i: int) -> str:
        """The language of row i; the first is the most common."""
        return self.locales[0] if i % 3 else self.locales[(i // 3) % len(self.locales)]

    def title(self, i: int, locale: str) -> str:
        """A title of 4 to 80 characters, never beginning with a small letter."""
        things, places = _THINGS[locale], _PLACES[locale]
        title = f"{_MORE[locale]} {things[i % len(things)]} {places[(i // 8) % len(places)]} {i}"
        if i % 41 == 7:
            title = f"{title[:40]} <b>&</b> “{{{{7*7}}}}” 🚲"
        return title

    def body(self, i: int, locale: str, *, html: bool = True) -> str:
        """A text of forty to ten thousand characters."""
        rng = self.rng("body", i)
        sentences = _SENTENCES[locale]
        parts = [" ".join(rng.choice(sentences) for _ in range(rng.randint(1, 8))) for _ in range(rng.randint(1, 4))]
        if i % 40 == 13:
            parts.append(_HOSTILE[(i // 40) % len(_HOSTILE)])
        if i % 200 == 77:
            parts.append((sentences[0] + " ") * 250)
        if not html:
            return "\n\n".join(parts)
        text = "".join(f"<p>{part}</p>" for part in parts)
        if i % 5 == 0:
            text += f"<ul><li>{sentences[0]}</li><li><strong>{i}</strong> &amp; meer</li></ul>"
        if i % 11 == 0:
            text += f'<p><a href="https://voorbeeld.example/p/{i}?a=1&amp;b=2">bron</a></p>'
        return text

    def comment(self, i: int, locale: str) -> str:
        """A comment."""
        text = f"{_SENTENCES[locale][i % 3]} ({i})"
        return f"{text} {_HOSTILE[(i // 50) % len(_HOSTILE)]}" if i % 50 == 11 else text

    def moment(self, i: int) -> datetime:
        """When row i was made: rising with i, over two years."""
        return _START + timedelta(minutes=37 * i % 1_000_000, seconds=i % 60)

    def place(self, i: int) -> tuple[float, float]:
        """Latitude and longitude somewhere in the city."""
        return round(52.07 + (i % 97) / 2000, 6), round(4.29 + (i % 89) / 1500, 6)
