"""The register of processing (art. 30 GDPR, (a) to (g)) and the data-flow table of an impact assessment, from what is really configured.

Which data there are comes from the registry of columns, what is done with them from the configuration: neither can be forgotten here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..columns import VIEWS, Personal

Language = Literal["en", "nl"]
Both = tuple[str, str]
"""English and Dutch."""


@dataclass(frozen=True, slots=True)
class Source:
    """An instance: what is read from whom. `names`, `votes`: whether people's names and single votes are."""

    name: str
    platform: str
    url: str
    names: bool
    votes: bool


@dataclass(frozen=True, slots=True)
class Crossing:
    """A route: what is copied to whom. `names`: whether the author is named there."""

    name: str
    source: str
    target: str
    url: str
    names: bool
    approval: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What the configuration says."""

    controller: str
    contact: str
    dpo: str
    purposes: Sequence[str]
    legal_basis: str
    recipients: Sequence[str]
    transfers: str
    sources: Sequence[Source]
    routes: Sequence[Crossing]
    retention: Mapping[str, str]
    """By class: gone, versions, comments, votes, quarantine, runs, audit."""
    masked: Sequence[str]
    k: int
    exports: Sequence[str]
    database: Literal["sqlite", "postgresql"]


@dataclass(frozen=True, slots=True)
class Item:
    """One letter of article 30(1)."""

    letter: str
    title: str
    lines: list[str]


@dataclass(frozen=True, slots=True)
class Flow:
    """One row of the data-flow table."""

    data: str
    columns: list[str]
    classification: str
    source: str
    stored: str
    recipients: str
    retention: str


@dataclass(frozen=True, slots=True)
class Register:
    """Both; `missing`: what the configuration must still say."""

    language: Language
    items: list[Item]
    flows: list[Flow]
    missing: list[str] = field(default_factory=list[str])

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


_CLASSES: Mapping[Personal, tuple[Both, Both]] = {
    Personal.PSEUDONYM: (
        ("pseudonyms of authors", "pseudoniemen van auteurs"),
        (
            "pseudonymous: a keyed digest, apart for each instance; the key is not in the database",
            "gepseudonimiseerd: een digest met sleutel, per installatie een andere; de sleutel staat niet in de database",
        ),
    ),
    Personal.TYPED: (
        (
            "what people wrote: titles, texts, comments, answers",
            "wat mensen schreven: titels, teksten, reacties, antwoorden",
        ),
        (
            "public on the platform; may tell of anybody, also political opinions (art. 9)",
            "openbaar op het platform; kan over iedereen gaan, ook politieke opvattingen (art. 9)",
        ),
    ),
    Personal.PLACE: (
        ("places of proposals: address, coordinates", "plaatsen van voorstellen: adres, coördinaten"),
        ("public on the platform; may be near a home", "openbaar op het platform; kan dicht bij een woning liggen"),
    ),
    Personal.DIRECT: (
        ("what names a person", "wat een persoon noemt"),
        ("directly identifying", "direct identificerend"),
    ),
}
_TITLES: Mapping[str, Both] = {
    "a": (
        "Controller, contact, data protection officer",
        "Verwerkingsverantwoordelijke, contact, functionaris gegevensbescherming",
    ),
    "b": ("Purposes and legal basis", "Doeleinden en grondslag"),
    "c": ("Categories of people and of data", "Categorieën betrokkenen en persoonsgegevens"),
    "d": ("Recipients", "Ontvangers"),
    "e": ("Transfers to third countries", "Doorgiften aan derde landen"),
    "f": ("Time limits for erasure", "Bewaartermijnen"),
    "g": ("Security measures", "Beveiligingsmaatregelen"),
}
_PURPOSES: Sequence[Both] = (
    (
        "know what citizens ask for across the participation platforms",
        "weten wat inwoners vragen op alle participatieplatforms samen",
    ),
    (
        "bring proposals and official answers to the platforms where they matter",
        "voorstellen en antwoorden naar de platforms brengen waar ze van belang zijn",
    ),
    (
        "account for participation in public without telling of persons",
        "in het openbaar verantwoorden hoe er geparticipeerd wordt, zonder over personen te vertellen",
    ),
)
_PEOPLE: Both = (
    "people who wrote a proposal, comment or argument on a public participation platform; officials who answered",
    "mensen die een voorstel, reactie of argument schreven op een openbaar participatieplatform; ambtenaren die antwoordden",
)
_TERMS: Mapping[str, Both] = {
    "gone": ("texts of what is gone from its platform", "teksten van wat van zijn platform verdwenen is"),
    "versions": ("earlier versions of texts", "eerdere versies van teksten"),
    "comments": ("comments that are still there", "reacties die er nog staan"),
    "votes": ("single votes", "losse stemmen"),
    "quarantine": ("records that could not be understood", "records die niet begrepen werden"),
    "runs": ("the journal of pulls", "het logboek van het ophalen"),
    "audit": ("the audit log", "het auditlogboek"),
}
_KEPT: Both = ("as long as it is public on its platform", "zolang het op zijn platform openbaar is")
_KEPT_LOG: Both = ("without a limit: not set", "zonder grens: niet ingesteld")
_NO_TRANSFERS: Both = ("none outside the European Economic Area", "geen buiten de Europese Economische Ruimte")
_PUBLIC_TASK: Both = (
    "art. 6(1)(e) GDPR: a task carried out in the public interest",
    "art. 6 lid 1 onder e AVG: een taak van algemeen belang",
)
_NOT: Both = ("(not filled in)", "(niet ingevuld)")


def register(facts: Facts, language: Language) -> Register:
    """Both tables in one language."""
    return _Writer(facts, language).register()


def as_markdown(made: Register) -> str:
    """The register as a document."""
    dutch = made.language == "nl"
    lines = [f"# {'Verwerkingsregister (art. 30 AVG)' if dutch else 'Register of processing (art. 30 GDPR)'}", ""]
    for item in made.items:
        lines += [f"## ({item.letter}) {item.title}", "", *(f"- {line}" for line in item.lines), ""]
    lines += [f"# {'Gegevensstromen (DPIA)' if dutch else 'Data flows (impact assessment)'}", ""]
    heads = (
        ("gegevens", "kolommen", "aard", "bron", "opslag", "ontvangers", "bewaartermijn")
        if dutch
        else ("data", "columns", "class", "source", "stored", "recipients", "kept")
    )
    lines += [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for flow in made.flows:
        cells = (
            flow.data,
            ", ".join(flow.columns),
            flow.classification,
            flow.source,
            flow.stored,
            flow.recipients,
            flow.retention,
        )
        lines.append(f"| {' | '.join(_cell(each) for each in cells)} |")
    return "\n".join(lines) + "\n"


def _cell(said: str) -> str:
    return " ".join(said.split()).replace("\\", "\\\\").replace("|", "\\|")


class _Writer:
    def __init__(self, facts: Facts, language: Language) -> None:
        self.facts = facts
        self.language: Language = language
        self.missing: list[str] = []

    def say(self, both: Both) -> str:
        return both[self.language == "nl"]

    def register(self) -> Register:
        items = [
            Item(letter, self.say(_TITLES[letter]), lines)
            for letter, lines in (
                ("a", self._who()),
                ("b", self._why()),
                ("c", self._what()),
                ("d", self._to_whom()),
                ("e", [self._transfers()]),
                ("f", self._how_long()),
                ("g", self._measures()),
            )
        ]
        return Register(self.language, items, self._flows(), self.missing)

    def _filled(self, value: str, key: str) -> str:
        if value:
            return value
        self.missing.append(key)
        return self.say(_NOT)

    def _transfers(self) -> str:
        return self.say(_NO_TRANSFERS) if self.facts.transfers == _NO_TRANSFERS[0] else self.facts.transfers

    def _who(self) -> list[str]:
        return [
            self._filled(self.facts.controller, "privacy.organisation.controller"),
            self._filled(self.facts.contact, "privacy.organisation.contact"),
            f"{self.say(('data protection officer', 'functionaris gegevensbescherming'))}: "
            + self._filled(self.facts.dpo, "privacy.organisation.dpo"),
        ]

    def _why(self) -> list[str]:
        return [*(self.facts.purposes or [self.say(each) for each in _PURPOSES]), self._basis()]

    def _basis(self) -> str:
        return self.say(_PUBLIC_TASK) if self.facts.legal_basis == _PUBLIC_TASK[0] else self.facts.legal_basis

    def _what(self) -> list[str]:
        lines = [self.say(_PEOPLE)]
        for personal, columns in _columns().items():
            data, kind = _CLASSES[personal]
            lines.append(f"{self.say(data)} ({len(columns)}): {self.say(kind)}")
        named = [each.name for each in self.facts.sources if each.names]
        voting = [each.name for each in self.facts.sources if each.votes]
        if named:
            lines.append(
                f"{self.say(('public names of authors, of', 'openbare namen van auteurs, van'))}: {', '.join(named)}"
            )
        if voting:
            told = (
                "single public votes, without person and to the day, of",
                "losse openbare stemmen, zonder persoon en op de dag, van",
            )
            lines.append(f"{self.say(told)}: {', '.join(voting)}")
        never = (
            "never: e-mail, telephone, IP address, citizen service number, picture, device; connectors copy named fields only",
            "nooit: e-mail, telefoon, IP-adres, burgerservicenummer, foto, apparaat; connectoren nemen alleen benoemde velden over",
        )
        return [*lines, self.say(never)]

    def _to_whom(self) -> list[str]:
        lines = [self._route(each) for each in self.facts.routes]
        public = ", ".join(name for name, view in VIEWS.items() if view.public)
        told = (
            f"everybody: the views {public}; they tell of who took part only where at least {self.facts.k} people did",
            f"iedereen: de overzichten {public}; wie deed mee staat er alleen bij ten minste {self.facts.k} mensen",
        )
        lines.append(self.say(told))
        lines += [f"{self.say(('exports in', 'exports in'))} {each}" for each in self.facts.exports]
        return [*lines, *self.facts.recipients]

    def _route(self, route: Crossing) -> str:
        how = (
            ("with the author's name", "met de naam van de auteur")
            if route.names
            else ("without the author's name", "zonder de naam van de auteur")
        )
        by = ("after a person approved", "na goedkeuring door een mens") if route.approval else ("by itself", "vanzelf")
        copies = ("copies of proposals of", "kopieën van voorstellen van")
        return f"{route.name}: {self.say(copies)} {route.source} → {route.target} ({route.url}), {self.say(how)}, {self.say(by)}"

    def _how_long(self) -> list[str]:
        return [f"{self.say(words)}: {self._term(name)}" for name, words in _TERMS.items()]

    def _term(self, name: str) -> str:
        given = self.facts.retention.get(name, "kept")
        if given != "kept":
            return given
        if name in {"runs", "audit"}:
            return self.say(_KEPT_LOG)
        return self.say(_KEPT)

    def _measures(self) -> list[str]:
        masked = ", ".join(self.facts.masked)
        lines: list[Both] = [
            (
                "pseudonyms by HMAC-SHA256 with a key of its own for each instance; the key is never in the database",
                "pseudoniemen met HMAC-SHA256, per installatie een eigen sleutel; de sleutel staat nooit in de database",
            ),
            (
                "data minimisation: an allow-list of fields for each platform",
                "dataminimalisatie: een lijst van toegestane velden per platform",
            ),
            (
                "erasure with proof (civicsync forget), also on copies; platforms' own erasures are followed",
                "wissen met bewijs (civicsync forget), ook van kopieën; wissingen op de platforms zelf worden gevolgd",
            ),
            (
                f"public figures only about at least {self.facts.k} people, protected against adding and subtracting",
                f"openbare cijfers alleen over ten minste {self.facts.k} mensen, beschermd tegen optellen en aftrekken",
            ),
            (
                "an audit log that is only ever added to, hash-chained",
                "een auditlogboek waar alleen bij komt, met hashes geketend",
            ),
            (
                "secrets only by reference, hidden in every output; TLS is verified; no other host is asked than the configured ones",
                "geheimen alleen via verwijzing, verborgen in uitvoer; TLS wordt gecontroleerd; alleen ingestelde servers worden gevraagd",
            ),
        ]
        if masked:
            lines.append(
                (f"masked in texts before storage: {masked}", f"onleesbaar gemaakt in teksten vóór opslag: {masked}")
            )
        if self.facts.database == "sqlite":
            lines.append(
                (
                    "the database is a file for its owner only; what is deleted is overwritten",
                    "de database is een bestand alleen voor de eigenaar; wat gewist is wordt overschreven",
                )
            )
        return [self.say(each) for each in lines]

    def _flows(self) -> list[Flow]:
        stored = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[self.facts.database]
        staff = self.say(("analysts of the organisation", "analisten van de organisatie"))
        found: list[Flow] = []
        for source in self.facts.sources:
            routes = [f"{each.target} ({each.url})" for each in self.facts.routes if each.source == source.name]
            for personal, columns in _columns().items():
                data, kind = _CLASSES[personal]
                copied = routes if personal is Personal.TYPED else []
                found.append(
                    Flow(
                        self.say(data),
                        columns,
                        self.say(kind),
                        f"{source.name} ({source.platform}, {source.url})",
                        stored,
                        "; ".join([staff, *copied]),
                        self._kept_of(personal),
                    )
                )
            if source.names:
                data, kind = _CLASSES[Personal.DIRECT]
                place = f"{source.name} ({source.platform}, {source.url})"
                found.append(
                    Flow(
                        self.say(data),
                        ["author.name"],
                        self.say(kind),
                        place,
                        stored,
                        staff,
                        self._kept_of(Personal.DIRECT),
                    )
                )
        return found

    def _kept_of(self, personal: Personal) -> str:
        gone = self.facts.retention.get("gone", "")
        after = self.say(("then", "daarna"))
        whole = f"{self.say(_KEPT)}; {after} {gone}"
        comments = self.facts.retention.get("comments", "kept")
        if comments != "kept" and personal in {Personal.TYPED, Personal.PSEUDONYM}:
            whole += f"; {self.say(('comments', 'reacties'))} {comments}"
        return whole


def _columns() -> dict[Personal, list[str]]:
    """What there is of people in the views, by class."""
    found: dict[Personal, list[str]] = {}
    for view in VIEWS.values():
        for column in view.columns:
            if column.personal is not Personal.NONE:
                found.setdefault(column.personal, []).append(f"{view.name}.{column.name}")
    return {personal: found[personal] for personal in Personal if personal in found}
