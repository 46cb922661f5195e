"""What every column of every view means, in English and Dutch: the one place. A test holds it against the database.

A name means one thing wherever it stands (`_SHARED`); where a view's column needs other words, they stand with the view. From here come the
data dictionary, the legends of exports and reports, the descriptors of open data and the processing register.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Type(StrEnum):
    """The type of a column's values, alike in both databases."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    MOMENT = "moment"
    """A moment in UTC."""
    DATE = "date"
    JSON = "json"


class Personal(StrEnum):
    """What a column tells of people, by class; the processing register is made from it."""

    NONE = "none"
    PSEUDONYM = "pseudonym"
    """Tells one person from another, and who it is only with the key."""
    TYPED = "typed"
    """What a person wrote, and may tell of anybody."""
    PLACE = "place"
    DIRECT = "direct"
    """Names a person; never in a view."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `en` and `nl` say what it means, `null_…` what it means that it is empty (never, if ""). `unit`: of a number.

    `sources`: where each platform tells it (`decidim`, `consul`, `your-priorities`); empty where it is ours.
    """

    name: str
    type: Type
    en: str
    nl: str
    null_en: str = ""
    null_nl: str = ""
    unit: str = ""
    personal: Personal = Personal.NONE
    sources: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Reference:
    """These columns of a view are the key of another one."""

    columns: tuple[str, ...]
    view: str
    their: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class View:
    """One view. `key`: the columns that tell its rows apart. `public`: may be given to everybody as it is."""

    name: str
    en: str
    nl: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    public: bool = False

    def column(self, name: str) -> Column:
        """A column by its name.

        Raises:
            KeyError: it has none of that name.
        """
        for each in self.columns:
            if each.name == name:
                return each
        raise KeyError(name)


_T, _I, _N, _B, _M, _D, _J = Type.TEXT, Type.INTEGER, Type.NUMBER, Type.BOOLEAN, Type.MOMENT, Type.DATE, Type.JSON
_SELDOM_EN, _SELDOM_NL = "the platform does not tell it", "het platform vertelt het niet"


def _sources(decidim: str = "", consul: str = "", your_priorities: str = "") -> Mapping[str, str]:
    told = {"decidim": decidim, "consul": consul, "your-priorities": your_priorities}
    return {name: words for name, words in told.items() if words}


_C = Column
_SHARED: dict[str, Column] = {
    each.name: each
    for each in (
        _C(
            "instance",
            _T,
            "the deployment of a platform, by the name in the configuration",
            "de installatie van een platform, met de naam uit de configuratie",
        ),
        _C(
            "platform",
            _T,
            "the software: consul, decidim, your-priorities",
            "de software: consul, decidim, your-priorities",
        ),
        _C(
            "kind",
            _T,
            "the platform's own word for this sort of record",
            "het woord van het platform zelf voor dit soort record",
        ),
        _C(
            "remote_id",
            _T,
            "the number or code of the record on its platform",
            "het nummer of de code van het record op zijn platform",
        ),
        _C(
            "key",
            _T,
            "the record's identity here: instance/kind/number",
            "de identiteit van het record hier: installatie/soort/nummer",
        ),
        _C("proposal_key", _T, "the proposal it belongs to", "het voorstel waar het bij hoort"),
        _C(
            "title",
            _T,
            "the title in the instance's first language that it has",
            "de titel in de eerste taal van de installatie die er is",
            personal=Personal.TYPED,
            sources=_sources("title", "title", "name"),
        ),
        _C(
            "locale",
            _T,
            "the language of the text (BCP 47); und: the platform does not tell",
            "de taal van de tekst (BCP 47); und: het platform vertelt het niet",
        ),
        _C(
            "machine",
            _B,
            "whether the platform's machine translated it",
            "of de machine van het platform het vertaalde",
        ),
        _C(
            "body",
            _T,
            "the text, plain",
            "de tekst, zonder opmaak",
            personal=Personal.TYPED,
            sources=_sources("body", "description", "description"),
        ),
        _C(
            "html",
            _T,
            "the text with its harmless formatting",
            "de tekst met onschuldige opmaak",
            personal=Personal.TYPED,
        ),
        _C(
            "state",
            _T,
            "what the official status means, alike for all platforms: open, evaluating, accepted, rejected, in_progress, withdrawn, other",
            (
                "wat de officiële status betekent, voor alle platforms gelijk: open, evaluating (in beoordeling), "
                "accepted (aangenomen), rejected (afgewezen), in_progress (in uitvoering), withdrawn (ingetrokken), "
                "other (anders)"
            ),
        ),
        _C(
            "native_state",
            _T,
            "the platform's own word for the status",
            "het woord van het platform zelf voor de status",
            "it has none",
            "het heeft er geen",
        ),
        _C(
            "supports",
            _I,
            "how many supported it, as the platform counts: a number of supports on this platform, never of people over platforms",
            "hoeveel steunbetuigingen het heeft, zoals het platform telt: steun op dit platform, nooit mensen over platforms heen",
            "the platform does not show it",
            "het platform toont het niet",
            "supports",
            sources=_sources("voteCount", "cached_votes_up", "counter_endorsements_up"),
        ),
        _C(
            "opposes",
            _I,
            "how many were against it, as the platform counts",
            "hoeveel ertegen waren, zoals het platform telt",
            "the platform does not count it",
            "het platform telt het niet",
            "opposes",
            sources=_sources("", "cached_votes_down (debates)", "counter_endorsements_down"),
        ),
        _C(
            "endorsements",
            _I,
            "how many liked or endorsed it",
            "hoeveel het onderschreven",
            "the platform does not count it",
            "het platform telt het niet",
            "endorsements",
            sources=_sources("endorsementsCount, likesCount"),
        ),
        _C(
            "comments",
            _I,
            "how many comments it has, as the platform counts",
            "hoeveel reacties het heeft, zoals het platform telt",
            "the platform does not show it",
            "het platform toont het niet",
            "comments",
            sources=_sources("totalCommentsCount", "comments_count", "counter_points"),
        ),
        _C(
            "url",
            _T,
            "its page on its platform",
            "de pagina op het platform",
            "it has none, or it is gone and purged",
            "die is er niet, of het is weg en opgeschoond",
        ),
        _C(
            "reference",
            _T,
            "the reference code that the platform shows",
            "de referentiecode die het platform toont",
            "it has none",
            "het heeft er geen",
            sources=_sources("reference", "code"),
        ),
        _C(
            "space",
            _T,
            "the name of the space that it was made in",
            "de naam van de ruimte waarin het gemaakt is",
            "the space is not known",
            "de ruimte is niet bekend",
        ),
        _C(
            "space_key",
            _T,
            "the space that it was made in",
            "de ruimte waarin het gemaakt is",
            "the space is not known",
            "de ruimte is niet bekend",
        ),
        _C(
            "process",
            _T,
            "the name of the root of that space: the process, assembly, budget or community",
            "de naam van de wortel van die ruimte: het proces, de vergadering, de begroting of de gemeenschap",
            "not known yet",
            "nog niet bekend",
        ),
        _C("process_key", _T, "the root of that space", "de wortel van die ruimte", "not known yet", "nog niet bekend"),
        _C(
            "author",
            _T,
            "a pseudonym: the same person has the same one on this instance, and another one on every other instance",
            "een pseudoniem: dezelfde persoon heeft hetzelfde op deze installatie, en op elke andere installatie een ander",
            "official, erased, or the platform does not tell",
            "officieel, gewist, of het platform vertelt het niet",
            personal=Personal.PSEUDONYM,
            sources=_sources("author.id", "public_author.id", "user_id"),
        ),
        _C("official", _B, "whether the administration wrote it", "of de overheid het schreef"),
        _C(
            "created_at",
            _M,
            "when it was made on its platform",
            "wanneer het op het platform gemaakt is",
            _SELDOM_EN,
            _SELDOM_NL,
        ),
        _C(
            "published_at", _M, "when everybody could read it", "wanneer iedereen het kon lezen", _SELDOM_EN, _SELDOM_NL
        ),
        _C(
            "updated_at",
            _M,
            "when its platform says that it was changed last",
            "wanneer het volgens het platform het laatst veranderde",
            _SELDOM_EN,
            _SELDOM_NL,
        ),
        _C(
            "withdrawn_at",
            _M,
            "when its author withdrew it",
            "wanneer de indiener het introk",
            "it was not withdrawn, or the platform does not tell when",
            "het is niet ingetrokken, of het platform vertelt niet wanneer",
        ),
        _C(
            "address",
            _T,
            "the place it is about, as it was typed",
            "de plek waar het over gaat, zoals getypt",
            "none was given",
            "er is geen opgegeven",
            personal=Personal.PLACE,
        ),
        _C(
            "latitude",
            _N,
            "the latitude of the place it is about (WGS 84)",
            "de breedtegraad van de plek waar het over gaat (WGS 84)",
            "no place was given",
            "er is geen plek opgegeven",
            "degrees",
            Personal.PLACE,
        ),
        _C(
            "longitude",
            _N,
            "the longitude of the place it is about (WGS 84)",
            "de lengtegraad van de plek waar het over gaat (WGS 84)",
            "no place was given",
            "er is geen plek opgegeven",
            "degrees",
            Personal.PLACE,
        ),
        _C(
            "amount",
            _I,
            "what it costs, or what there is to spend, in whole units of the instance's currency",
            "wat het kost, of wat er te besteden is, in hele eenheden van de munt van de installatie",
            "it has no price, or none is shown yet",
            "het heeft geen prijs, of die wordt nog niet getoond",
            "currency",
        ),
        _C(
            "selected",
            _B,
            "whether it won its participatory budget",
            "of het gekozen is in de burgerbegroting",
            "not decided, or no such choice",
            "niet besloten, of er is geen keuze",
        ),
        _C(
            "amends_key",
            _T,
            "the proposal that it would change",
            "het voorstel dat het zou wijzigen",
            "it is no amendment",
            "het is geen amendement",
        ),
        _C(
            "version",
            _I,
            "how many texts or states it has had since we know it, this one counted",
            "hoeveel teksten of statussen het gehad heeft sinds wij het kennen, deze meegeteld",
            unit="versions",
        ),
        _C(
            "gone_at",
            _M,
            "when we were sure that its platform does not show it any more",
            "wanneer zeker was dat het platform het niet meer toont",
            "it is there",
            "het is er",
        ),
        _C(
            "gone_reason",
            _T,
            "why we say that it is gone",
            "waarom wij zeggen dat het weg is",
            "it is there",
            "het is er",
        ),
        _C("first_seen_at", _M, "when a pull first saw it", "wanneer het voor het eerst opgehaald is"),
        _C(
            "changed_at",
            _M,
            "when a pull last saw it changed",
            "wanneer bij het ophalen het laatst een verandering gezien is",
        ),
        _C(
            "confirmed_at",
            _M,
            "when its platform last showed it, or said that nothing had changed",
            "wanneer het platform het voor het laatst toonde, of zei dat er niets veranderd was",
            "never since an early release of civicsync",
            "nooit sinds een vroege versie van civicsync",
        ),
        _C(
            "copy_of",
            _T,
            "the proposal that civicsync copied here",
            "het voorstel dat civicsync hierheen kopieerde",
            "it is an original",
            "het is een origineel",
        ),
        _C("target_key", _T, "the proposal that it is about", "het voorstel waar het over gaat"),
        _C(
            "parent_key",
            _T,
            "what it lies in or answers",
            "waar het in ligt of op antwoordt",
            "it is at the top",
            "het staat bovenaan",
        ),
        _C("alignment", _I, "1 in favour, 0 neutral, -1 against", "1 voor, 0 neutraal, -1 tegen"),
        _C(
            "texts",
            _J,
            "the texts in all languages",
            "de teksten in alle talen",
            "it has none, or it is gone and purged",
            "die zijn er niet, of het is weg en opgeschoond",
            personal=Personal.TYPED,
        ),
        _C("seen_from", _M, "from when on it said so", "vanaf wanneer het dit zei"),
        _C("seen_until", _M, "until when it said so", "tot wanneer het dit zei"),
        _C(
            "seen_at",
            _M,
            "from when on these counters were seen; a new row only when one of them changed",
            "vanaf wanneer deze tellers gezien zijn; alleen een nieuwe rij als er een veranderde",
        ),
        _C(
            "day",
            _D,
            "the day (UTC); a day without a change has no row: the one before it holds",
            "de dag (UTC); een dag zonder verandering heeft geen rij: de vorige geldt",
        ),
        _C("answered_at", _M, "when it was answered", "wanneer het beantwoord is", _SELDOM_EN, _SELDOM_NL),
        _C(
            "cost",
            _T,
            "what the answer says that it costs",
            "wat het volgens het antwoord kost",
            "the answer says nothing of it",
            "het antwoord zegt er niets over",
        ),
        _C(
            "waiting_since",
            _M,
            "since when it waits for an answer: published, made, or first seen",
            "sinds wanneer het op antwoord wacht: gepubliceerd, gemaakt, of voor het eerst gezien",
        ),
        _C("waiting_days", _I, "how many whole days it has been waiting", "hoeveel hele dagen het wacht", unit="days"),
        _C("month", _T, "the month, such as 2026-10", "de maand, zoals 2026-10"),
        _C(
            "list",
            _T,
            "overall: of the whole instance; category: the first of one category",
            "overall: van de hele installatie; category: de eerste van een categorie",
        ),
        _C("rank", _I, "the place on the list, 1 is the first", "de plaats op de lijst, 1 is de eerste"),
        _C(
            "category",
            _T,
            "the name of the category",
            "de naam van de categorie",
            "the list is of the whole instance",
            "de lijst is van de hele installatie",
        ),
        _C(
            "category_key",
            _T,
            "the category",
            "de categorie",
            "the list is of the whole instance",
            "de lijst is van de hele installatie",
        ),
        _C(
            "frozen_at",
            _M,
            "when the list was made: noon (UTC) of the month's last weekday",
            "wanneer de lijst gemaakt is: 12 uur (UTC) op de laatste doordeweekse dag van de maand",
        ),
        _C("area_key", _T, "the area", "het gebied", "what belongs to no area", "wat bij geen gebied hoort"),
        _C(
            "area",
            _T,
            "the name of the area",
            "de naam van het gebied",
            "what belongs to no area",
            "wat bij geen gebied hoort",
        ),
        _C(
            "proposals",
            _I,
            "how many originals of every kind but amendments are there now",
            "hoeveel originelen van elk soort behalve amendementen er nu zijn",
            unit="proposals",
        ),
        _C(
            "open_proposals",
            _I,
            "how many of the proposals are open or evaluated",
            "hoeveel van de voorstellen open of in beoordeling zijn",
            unit="proposals",
        ),
        _C(
            "answered",
            _I,
            "how many of the proposals have an official answer",
            "hoeveel van de voorstellen een officieel antwoord hebben",
            unit="proposals",
        ),
        _C(
            "proposal_authors",
            _I,
            "how many distinct people wrote the proposals",
            "hoeveel verschillende mensen de voorstellen schreven",
            unit="people",
        ),
        _C(
            "comment_authors",
            _I,
            "how many distinct people wrote the comments",
            "hoeveel verschillende mensen de reacties schreven",
            unit="people",
        ),
        _C(
            "participants",
            _I,
            "how many distinct people (pseudonyms) wrote a proposal or a comment",
            "hoeveel verschillende mensen (pseudoniemen) een voorstel of een reactie schreven",
            unit="people",
        ),
        _C("refreshed_at", _M, "when these totals were made", "wanneer deze totalen gemaakt zijn"),
        _C("name", _T, "its name in the instance's first language", "de naam in de eerste taal van de installatie"),
        _C(
            "names",
            _J,
            "its names in all languages",
            "de namen in alle talen",
            "there is one name only",
            "er is maar één naam",
        ),
        _C(
            "native_type",
            _T,
            "the platform's own word for its type",
            "het woord van het platform zelf voor het type",
            _SELDOM_EN,
            _SELDOM_NL,
        ),
        _C(
            "status",
            _T,
            "the platform's own word for its status or phase",
            "het woord van het platform zelf voor de status of fase",
            _SELDOM_EN,
            _SELDOM_NL,
        ),
        _C(
            "root_key",
            _T,
            "the top of the tree that it lies in",
            "de top van de boom waarin het ligt",
            "not counted yet",
            "nog niet geteld",
        ),
        _C("root", _T, "the name of that top", "de naam van die top", "not counted yet", "nog niet geteld"),
        _C(
            "depth",
            _I,
            "how far below its root it lies, 0: it is one",
            "hoe ver het onder zijn wortel ligt, 0: het is er een",
            "not counted yet",
            "nog niet geteld",
            "steps",
        ),
        _C(
            "first_at",
            _M,
            "when the first of its proposals appeared",
            "wanneer het eerste van de voorstellen verscheen",
            "it has none",
            "er zijn er geen",
        ),
        _C(
            "last_at",
            _M,
            "when the newest of its proposals appeared",
            "wanneer het nieuwste van de voorstellen verscheen",
            "it has none",
            "er zijn er geen",
        ),
        _C(
            "budget_key",
            _T,
            "the participatory budget that it belongs to",
            "de burgerbegroting waar het bij hoort",
            "not known",
            "niet bekend",
        ),
        _C("budget", _T, "the name of that budget", "de naam van die begroting", "not known", "niet bekend"),
        _C(
            "heading",
            _T,
            "the part of the budget that it was filed under",
            "het deel van de begroting waar het onder valt",
            "not known",
            "niet bekend",
        ),
        _C(
            "record",
            _T,
            "which sort of record: proposals, comments, answers, quarantine",
            "welk soort record: proposals (voorstellen), comments (reacties), answers (antwoorden), quarantine (quarantaine)",
        ),
        _C(
            "what",
            _T,
            "what happened: gone, withdrawn, withheld (not understood, kept apart)",
            "wat er gebeurde: gone (weg), withdrawn (ingetrokken), withheld (niet begrepen, apart gehouden)",
        ),
        _C("at", _M, "when", "wanneer", "not known", "niet bekend"),
        _C("reason", _T, "why", "waarom", "not known", "niet bekend"),
        _C("id", _T, "its number or code here", "het nummer of de code hier"),
        _C("route", _T, "the route of the configuration", "de route uit de configuratie"),
        _C("origin", _T, "the proposal that is copied", "het voorstel dat gekopieerd wordt"),
        _C(
            "target",
            _T,
            "the instance and space that it is copied to",
            "de installatie en ruimte waarheen het gekopieerd wordt",
        ),
        _C("target_instance", _T, "the instance that it is copied to", "de installatie waarheen het gekopieerd wordt"),
        _C("target_space", _T, "the space that it is copied to", "de ruimte waarheen het gekopieerd wordt"),
        _C("copy_key", _T, "the copy", "de kopie", "there is none (yet)", "die is er (nog) niet"),
        _C("sent_at", _M, "when the copy was made", "wanneer de kopie gemaakt is", "it was not", "die is niet gemaakt"),
        _C("publication_id", _T, "the publication it is about", "de publicatie waar het over gaat"),
        _C("detail", _T, "the particulars, for people", "de bijzonderheden, voor mensen"),
        _C("positive", _B, "whether the vote was in favour", "of de stem voor was", _SELDOM_EN, _SELDOM_NL),
        _C(
            "cast_at",
            _M,
            "the day on which the vote was cast; finer times are not kept",
            "de dag waarop de stem uitgebracht is; preciezere tijden worden niet bewaard",
            _SELDOM_EN,
            _SELDOM_NL,
        ),
        _C("owner_key", _T, "the proposal that it belongs to", "het voorstel waar het bij hoort"),
        _C("media_type", _T, "the sort of file (MIME)", "het soort bestand (MIME)", _SELDOM_EN, _SELDOM_NL),
        _C("dialect", _T, "how this range of releases is asked", "hoe deze reeks versies bevraagd wordt"),
        _C(
            "probed_at",
            _M,
            "when it was last asked what it is",
            "wanneer het laatst gevraagd is wat het is",
            "never",
            "nooit",
        ),
        _C(
            "last_full_at",
            _M,
            "when everything was last read",
            "wanneer alles voor het laatst gelezen is",
            "never",
            "nooit",
        ),
        _C(
            "last_success_at",
            _M,
            "when a run last ended well",
            "wanneer een run voor het laatst goed eindigde",
            "never",
            "nooit",
        ),
        _C("started_at", _M, "when it began", "wanneer het begon"),
        _C(
            "ended_at",
            _M,
            "when it ended",
            "wanneer het eindigde",
            "it runs, or was killed",
            "het loopt, of is afgebroken",
        ),
        _C("outcome", _T, "how it ended", "hoe het eindigde"),
        _C("message", _T, "what a person should know of it", "wat een mens ervan moet weten"),
        _C("full", _B, "whether everything was read", "of alles gelezen is"),
        *(
            _C(name, _I, en, nl, unit=unit)
            for name, en, nl, unit in (
                ("pages", "how many pages were read", "hoeveel pagina's gelezen zijn", "pages"),
                (
                    "seen",
                    "how often a record was shown: named in a list, or read whole; some are both in one run",
                    "hoe vaak een record getoond is: genoemd in een lijst, of helemaal gelezen; soms allebei in één keer",
                    "records",
                ),
                ("created", "how many were new", "hoeveel er nieuw waren", "records"),
                ("changed", "how many had changed", "hoeveel er veranderd waren", "records"),
                ("unchanged", "how many were as before", "hoeveel er hetzelfde waren", "records"),
                (
                    "tallies",
                    "how many proposals had other counters",
                    "hoeveel voorstellen andere tellers hadden",
                    "proposals",
                ),
                (
                    "missing",
                    "how many were not shown, and are not believed gone yet",
                    "hoeveel er niet getoond zijn, en nog niet als weg gelden",
                    "records",
                ),
                ("gone", "how many are gone", "hoeveel er weg zijn", "records"),
                ("quarantined", "how many could not be understood", "hoeveel er niet begrepen zijn", "records"),
                ("requests", "how many requests the platform got", "hoeveel verzoeken het platform kreeg", "requests"),
                ("retries", "how many of them were asked again", "hoeveel daarvan opnieuw gevraagd zijn", "requests"),
                ("bytes", "how much the platform sent", "hoeveel het platform stuurde", "bytes"),
            )
        ),
        _C(
            "platform_seconds",
            _N,
            "how long the platform worked for it",
            "hoe lang het platform ervoor werkte",
            unit="seconds",
        ),
        _C(
            "seconds",
            _N,
            "how long it took from its beginning to its end; beside other instances that includes waiting for their turn in this process",
            "hoe lang het duurde van begin tot eind; naast andere instanties hoort wachten op hun beurt in dit proces daarbij",
            unit="seconds",
        ),
        _C(
            "published_on",
            _D,
            "the day that everybody could read it first (UTC)",
            "de dag waarop iedereen het voor het eerst kon lezen (UTC)",
            _SELDOM_EN,
            _SELDOM_NL,
        ),
        _C(
            "published_at", _M, "when everybody could read it", "wanneer iedereen het kon lezen", _SELDOM_EN, _SELDOM_NL
        ),
        _C(
            "proposals_suppressed",
            _B,
            "whether the number of proposals is withheld because few people stand behind it",
            "of het aantal voorstellen is weggelaten omdat er weinig mensen achter staan",
        ),
        _C(
            "comments_suppressed",
            _B,
            "whether the number of comments is withheld because few people stand behind it",
            "of het aantal reacties is weggelaten omdat er weinig mensen achter staan",
        ),
    )
}

_WITHHELD_EN, _WITHHELD_NL = "withheld: few people stand behind it", "weggelaten: er staan weinig mensen achter"
_HERE_COMMENTS = _C(
    "comments",
    _I,
    "how many comments are there now on the proposals",
    "hoeveel reacties er nu op de voorstellen zijn",
    unit="comments",
)
_SPACE_SUPPORTS = _C(
    "supports",
    _I,
    "all supports of its proposals together: supports, not people",
    "alle steun van de voorstellen samen: steunbetuigingen, geen mensen",
    "the platform shows none",
    "het platform toont er geen",
    "supports",
)
_SWEPT = "key gone_at gone_reason first_seen_at changed_at confirmed_at"
_PROPOSAL = (
    "instance kind remote_id title locale state native_state supports opposes endorsements comments url reference space space_key author "
    f"official created_at published_at updated_at withdrawn_at address latitude longitude amount selected amends_key version {_SWEPT}"
)


def _view(
    name: str,
    en: str,
    nl: str,
    columns: str,
    key: str,
    *references: str,
    own: tuple[Column, ...] = (),
    public: bool = False,
) -> View:
    """`references`: `column>view.their_column`. `own`: columns that mean something of their own here."""
    special = {each.name: each for each in own}
    found: list[Reference] = []
    for each in references:
        mine, _, place = each.partition(">")
        there, _, their = place.partition(".")
        found.append(Reference((mine,), there, (their or "key",)))
    named = tuple(special.get(each) or _SHARED[each] for each in columns.split())
    return View(name, en, nl, named, tuple(key.split()), tuple(found), public)


def _side(letter: str, en: str, nl: str) -> tuple[Column, ...]:
    """The columns of one proposal of a pair."""
    supports = _SHARED["supports"]
    return (
        _C(f"key_{letter}", _T, en, nl),
        _C(f"instance_{letter}", _T, f"the instance of {en}", f"de installatie van {nl}"),
        _C(f"title_{letter}", _T, f"the title of {en}", f"de titel van {nl}", personal=Personal.TYPED),
        _C(f"locale_{letter}", _T, f"the language of {en}", f"de taal van {nl}"),
        _C(
            f"supports_{letter}",
            _I,
            f"the supports of {en}, on its own platform",
            f"de steun van {nl}, op zijn eigen platform",
            supports.null_en,
            supports.null_nl,
            "supports",
        ),
        _C(
            f"url_{letter}",
            _T,
            f"the page of {en}",
            f"de bladzijde van {nl}",
            _SHARED["url"].null_en,
            _SHARED["url"].null_nl,
        ),
    )


_ALL = (
    _view(
        "proposals",
        "Proposals, investments, projects, debates and amendments: originals, newest counters; what is gone too (gone_at)",
        "Voorstellen, investeringen, projecten, debatten en amendementen: originelen, nieuwste tellers; ook wat weg is (gone_at)",
        _PROPOSAL,
        "key",
        "space_key>spaces",
        "instance>instances.name",
    ),
    _view(
        "all_proposals",
        "The same with our own copies (copy_of)",
        "Hetzelfde met onze eigen kopieën (copy_of)",
        f"{_PROPOSAL} copy_of",
        "key",
        "space_key>spaces",
        "instance>instances.name",
    ),
    _view(
        "proposal_texts",
        "The texts of proposals, a row per language",
        "De teksten van voorstellen, een rij per taal",
        "instance kind remote_id locale machine title body html proposal_key",
        "proposal_key locale machine",
        "proposal_key>all_proposals",
    ),
    _view(
        "proposal_versions",
        "What proposals said before",
        "Wat voorstellen eerder zeiden",
        "instance kind remote_id version state native_state texts seen_from seen_until proposal_key",
        "proposal_key version",
        "proposal_key>all_proposals",
    ),
    _view(
        "supports_over_time",
        "The counters of proposals whenever they changed",
        "De tellers van voorstellen, telkens als ze veranderden",
        "instance kind remote_id title seen_at supports opposes endorsements comments proposal_key",
        "proposal_key seen_at",
        "proposal_key>all_proposals",
    ),
    _view(
        "supports_daily",
        "The counters of proposals at the end of each day on which they changed",
        "De tellers van voorstellen aan het eind van elke dag waarop ze veranderden",
        "instance kind remote_id title day supports opposes endorsements comments proposal_key",
        "proposal_key day",
        "proposal_key>all_proposals",
    ),
    _view(
        "comments",
        "Comments and arguments",
        "Reacties en argumenten",
        f"instance kind remote_id target_key parent_key locale body html alignment supports opposes author created_at updated_at {_SWEPT}",
        "key",
        "target_key>all_proposals",
    ),
    _view(
        "answers",
        "Official answers, milestones and status changes",
        "Officiële antwoorden, mijlpalen en statuswijzigingen",
        f"instance kind remote_id target_key state native_state body texts answered_at cost {_SWEPT}",
        "key",
        "target_key>all_proposals",
        own=(
            _C(
                "state",
                _T,
                "what the answer decided, in the words of `proposals.state`",
                "wat het antwoord besliste, in de woorden van `proposals.state`",
                "it decides nothing",
                "het beslist niets",
            ),
        ),
    ),
    _view(
        "unanswered",
        "Open proposals without an official answer: how long, and where",
        "Open voorstellen zonder officieel antwoord: hoe lang, en waar",
        "instance kind remote_id title supports comments created_at waiting_since waiting_days space space_key process process_key url key",
        "key",
        "key>all_proposals",
        "space_key>spaces",
    ),
    _view(
        "monthly_top",
        "The five open proposals with the most supports and the first of each category, as frozen each month",
        "De vijf open voorstellen met de meeste steun en de eerste van elke categorie, zoals elke maand vastgelegd",
        "month instance list rank category category_key title supports state url proposal_key frozen_at",
        "month instance list category_key rank",
        "proposal_key>all_proposals",
        own=(
            _C(
                "supports",
                _I,
                "how many supported it when the list was frozen",
                "hoeveel steun het had toen de lijst werd vastgelegd",
                unit="supports",
            ),
        ),
    ),
    _view(
        "participation_by_area",
        "Who took part where",
        "Wie waar meedeed",
        "instance area_key area proposals proposal_authors comments comment_authors participants refreshed_at",
        "instance area_key",
        own=(_HERE_COMMENTS,),
    ),
    _view(
        "processes",
        "Every space with its root and the totals of all that lies in it",
        "Elke ruimte met haar wortel en de totalen van alles wat erin ligt",
        (
            "instance kind remote_id name native_type status url amount root_key root parent_key depth proposals "
            "open_proposals answered supports comments participants first_at last_at key gone_at refreshed_at"
        ),
        "key",
        own=(_HERE_COMMENTS, _SPACE_SUPPORTS),
    ),
    _view(
        "spaces",
        "Participatory spaces: a tree",
        "Participatieruimtes: een boom",
        f"instance kind remote_id name names native_type status url amount parent_key {_SWEPT}",
        "key",
    ),
    _view(
        "categories",
        "Categories, taxonomies and tags",
        "Categorieën, taxonomieën en labels",
        f"instance kind remote_id name names parent_key space_key {_SWEPT}",
        "key",
    ),
    _view("areas", "Geographical areas", "Gebieden", f"instance kind remote_id name names parent_key {_SWEPT}", "key"),
    _view(
        "proposal_categories",
        "Which categories a proposal has",
        "Welke categorieën een voorstel heeft",
        "instance remote_id title kind name proposal_key category_key",
        "proposal_key category_key",
        "proposal_key>all_proposals",
        "category_key>categories",
        own=(
            _C(
                "kind",
                _T,
                "the platform's word for the category",
                "het woord van het platform voor de categorie",
                "the category is not known",
                "de categorie is niet bekend",
            ),
            _C(
                "name",
                _T,
                "the name of the category",
                "de naam van de categorie",
                "the category is not known",
                "de categorie is niet bekend",
            ),
            _C("category_key", _T, "the category", "de categorie"),
        ),
    ),
    _view(
        "proposal_areas",
        "Which areas a proposal belongs to",
        "Bij welke gebieden een voorstel hoort",
        "instance remote_id title kind name proposal_key area_key",
        "proposal_key area_key",
        "proposal_key>all_proposals",
        "area_key>areas",
        own=(
            _C(
                "kind",
                _T,
                "the platform's word for the area",
                "het woord van het platform voor het gebied",
                "the area is not known",
                "het gebied is niet bekend",
            ),
            _C(
                "name",
                _T,
                "the name of the area",
                "de naam van het gebied",
                "the area is not known",
                "het gebied is niet bekend",
            ),
            _C("area_key", _T, "the area", "het gebied"),
        ),
    ),
    _view(
        "budgets",
        "Participatory budgets",
        "Burgerbegrotingen",
        f"instance kind remote_id name status amount parent_key {_SWEPT}",
        "key",
    ),
    _view(
        "projects",
        "Investments and projects of participatory budgets",
        "Investeringen en projecten van burgerbegrotingen",
        (
            "instance kind remote_id title budget_key budget heading space_key amount supports selected state "
            "native_state url latitude longitude key gone_at"
        ),
        "key",
        "key>all_proposals",
        "space_key>spaces",
    ),
    _view(
        "moderation",
        "What was withdrawn, is gone, or is withheld, when and why",
        "Wat ingetrokken is, weg is of apart gehouden wordt, wanneer en waarom",
        "record instance kind remote_id key what at reason",
        "",
    ),
    _view(
        "publications",
        "Copies: what goes from where to where, and how far it is",
        "Kopieën: wat van waar naar waar gaat, en hoe ver het is",
        "id route origin target state remote_id url title reason target_instance target_space copy_key created_at changed_at sent_at",
        "id",
        own=(
            _C(
                "state",
                _T,
                "how far the publication is (docs/reference/states.md)",
                "hoe ver de publicatie is (docs/reference/states.md)",
            ),
            _C(
                "remote_id",
                _T,
                "the number of the copy on its platform",
                "het nummer van de kopie op zijn platform",
                "there is none (yet)",
                "die is er (nog) niet",
            ),
            _C("created_at", _M, "when it was first wanted", "wanneer het voor het eerst gewenst was"),
            _C("changed_at", _M, "when anything of it last changed", "wanneer er het laatst iets aan veranderde"),
        ),
    ),
    _view(
        "publication_events",
        "What happened to publications",
        "Wat er met publicaties gebeurde",
        "id publication_id route origin at what detail",
        "id",
        "publication_id>publications.id",
        own=(_C("id", _I, "its number here", "het nummer hier"), _C("what", _T, "what happened", "wat er gebeurde")),
    ),
    _view(
        "duplicate_candidates",
        "Pairs of proposals that may be one idea: how alike, why, and what a person decided; supports are never added up",
        "Paren voorstellen die één idee kunnen zijn: hoe gelijk, waarom, en wat een mens besliste; steun wordt nooit opgeteld",
        "key_a instance_a title_a locale_a supports_a url_a key_b instance_b title_b locale_b supports_b url_b score lexical semantic "
        "method version evidence found_at decision decided_at",
        "key_a key_b",
        "key_a>all_proposals",
        "key_b>all_proposals",
        own=(
            *_side("a", "the one proposal", "het ene voorstel"),
            *_side("b", "the other proposal", "het andere voorstel"),
            _C("score", _N, "how alike they are, 0 to 1", "hoe gelijk ze zijn, 0 tot 1", unit="share"),
            _C(
                "lexical",
                _N,
                "how alike their words are, 0 to 1",
                "hoe gelijk hun woorden zijn, 0 tot 1",
                "not compared by words",
                "niet op woorden vergeleken",
                "share",
            ),
            _C(
                "semantic",
                _N,
                "how alike their meaning is, 0 to 1",
                "hoe gelijk hun betekenis is, 0 tot 1",
                "not compared by meaning",
                "niet op betekenis vergeleken",
                "share",
            ),
            _C("method", _T, "how they were compared", "hoe ze vergeleken zijn"),
            _C("version", _T, "the version of that method", "de versie van die methode"),
            _C(
                "evidence",
                _J,
                "what speaks for it, such as the words that both have",
                "wat ervoor pleit, zoals de woorden die beide hebben",
                "a text changed since",
                "een tekst is sindsdien veranderd",
                personal=Personal.TYPED,
            ),
            _C("found_at", _M, "when the pair was found", "wanneer het paar gevonden is"),
            _C(
                "decision",
                _T,
                "what a person decided: same, different",
                "wat een mens besliste: same (hetzelfde), different (verschillend)",
                "nobody has decided",
                "niemand heeft beslist",
            ),
            _C(
                "decided_at",
                _M,
                "when that was decided",
                "wanneer dat beslist is",
                "nobody has decided",
                "niemand heeft beslist",
            ),
        ),
    ),
    _view(
        "votes",
        "Individual public ballots, where a platform shows them and the configuration wants them; never with a person",
        "Losse openbare stemmen, waar een platform ze toont en de configuratie ze wil; nooit met een persoon",
        f"instance kind remote_id target_key positive cast_at {_SWEPT}",
        "key",
        "target_key>all_proposals",
    ),
    _view(
        "attachments",
        "Files and pictures of proposals",
        "Bestanden en afbeeldingen van voorstellen",
        "instance kind remote_id owner_key title media_type url key",
        "key",
        "owner_key>all_proposals",
        own=(_C("title", _T, "its title", "de titel", "it has none", "het heeft er geen", personal=Personal.TYPED),),
    ),
    _view(
        "instances",
        "The deployments that are pulled",
        "De installaties die opgehaald worden",
        "name platform url title version dialect probed_at last_full_at last_success_at",
        "name",
        own=(
            _C("name", _T, "its name in the configuration", "de naam in de configuratie"),
            _C("url", _T, "its address", "het adres"),
            _C("title", _T, "what it calls itself", "hoe het zichzelf noemt"),
            _C("version", _T, "the release that runs there", "de versie die er draait", _SELDOM_EN, _SELDOM_NL),
        ),
    ),
    _view(
        "runs",
        "Pulls: what they did, what they cost, how they ended",
        "Keren dat er opgehaald is: wat er gebeurde, wat het kostte, hoe het eindigde",
        (
            "id instance started_at ended_at outcome message full pages seen created changed unchanged tallies "
            "missing gone quarantined requests retries bytes platform_seconds seconds"
        ),
        "id",
        own=(_C("id", _I, "its number", "het nummer"),),
    ),
    _view(
        "public_proposals",
        "Proposals as everybody may have them: there now, not withdrawn, originals, without authors",
        "Voorstellen zoals iedereen ze mag hebben: er nu, niet ingetrokken, originelen, zonder indieners",
        (
            "instance kind remote_id title locale state supports opposes endorsements comments url reference "
            "space official published_on latitude longitude amount selected key"
        ),
        "key",
        public=True,
    ),
    _view(
        "public_processes",
        "Spaces with their totals as everybody may have them",
        "Ruimtes met hun totalen zoals iedereen ze mag hebben",
        "instance kind remote_id name status url proposals open_proposals answered supports comments key",
        "key",
        own=(_HERE_COMMENTS, _SPACE_SUPPORTS),
        public=True,
    ),
    _view(
        "public_participation_by_area",
        "Who took part where, without numbers that tell of few people",
        "Wie waar meedeed, zonder getallen die over weinig mensen gaan",
        "instance area_key area proposals proposal_authors proposals_suppressed comments comment_authors comments_suppressed published_at",
        "instance area_key",
        public=True,
        own=(
            *(
                _C(each.name, each.type, each.en, each.nl, _WITHHELD_EN, _WITHHELD_NL, each.unit)
                for each in (
                    _SHARED["proposals"],
                    _SHARED["proposal_authors"],
                    _HERE_COMMENTS,
                    _SHARED["comment_authors"],
                )
            ),
            _C("published_at", _M, "when this table was made", "wanneer deze tabel gemaakt is"),
        ),
    ),
    _view(
        "public_monthly_top",
        "The frozen monthly lists as everybody may have them",
        "De vastgelegde maandlijsten zoals iedereen ze mag hebben",
        "month instance list rank category title supports url proposal_key",
        "month instance list category rank",
        public=True,
        own=(
            _C(
                "supports",
                _I,
                "how many supported it when the list was frozen",
                "hoeveel steun het had toen de lijst werd vastgelegd",
                unit="supports",
            ),
        ),
    ),
)

VIEWS: dict[str, View] = {each.name: each for each in _ALL}
"""All views by name, in the order in which a person would read them."""
