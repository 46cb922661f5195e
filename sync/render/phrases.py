"""The few words that civicsync itself puts under a copy, in the language of the text it stands under."""

from typing import Final

from ...core.ledger.marker import said
from ...core.records import State

_ATTRIBUTION: Final = {
    "en": "This text was first published on {site}{author}.",
    "nl": "Deze tekst is eerst gepubliceerd op {site}{author}.",
    "es": "Este texto se publicó primero en {site}{author}.",
    "ca": "Aquest text es va publicar primer a {site}{author}.",
    "is": "Þessi texti birtist fyrst á {site}{author}.",
    "fr": "Ce texte a d’abord été publié sur {site}{author}.",
    "de": "Dieser Text ist zuerst auf {site}{author} erschienen.",
}
_BY: Final = {"en": ", by {}", "nl": ", door {}", "es": ", por {}", "ca": ", per {}", "is": ", eftir {}"}
_BY_MORE: Final = {"fr": ", par {}", "de": ", von {}"}
_ORIGINAL: Final = {
    "en": "Read and support the original",
    "nl": "Lees en steun het origineel",
    "es": "Leer y apoyar el original",
    "ca": "Llegir i donar suport a l’original",
    "is": "Lesa og styðja upprunalegu tillöguna",
    "fr": "Lire et soutenir l’original",
    "de": "Das Original lesen und unterstützen",
}
_SHORTENED: Final = {
    "en": "The text was shortened for this site; the original is whole.",
    "nl": "De tekst is voor deze site ingekort; het origineel is volledig.",
    "es": "El texto se acortó para este sitio; el original está completo.",
    "ca": "El text s’ha escurçat per a aquest lloc; l’original és complet.",
    "is": "Textinn var styttur fyrir þennan vef; upprunalegi textinn er heill.",
    "fr": "Le texte a été raccourci pour ce site ; l’original est complet.",
    "de": "Der Text wurde für diese Seite gekürzt; das Original ist vollständig.",
}
_LICENCE: Final = {
    "en": "Licence: {}.",
    "nl": "Licentie: {}.",
    "es": "Licencia: {}.",
    "ca": "Llicència: {}.",
    "is": "Leyfi: {}.",
    "fr": "Licence : {}.",
    "de": "Lizenz: {}.",
}
_LANGUAGE: Final = {
    "en": "Language of the text: {}.",
    "nl": "Taal van de tekst: {}.",
    "es": "Idioma del texto: {}.",
    "ca": "Llengua del text: {}.",
    "is": "Tungumál textans: {}.",
    "fr": "Langue du texte : {}.",
    "de": "Sprache des Textes: {}.",
}
_ANSWERED: Final = {
    "en": "Official answer on {site}: {state}.",
    "nl": "Officieel antwoord op {site}: {state}.",
    "es": "Respuesta oficial en {site}: {state}.",
    "ca": "Resposta oficial a {site}: {state}.",
    "is": "Opinbert svar á {site}: {state}.",
    "fr": "Réponse officielle sur {site} : {state}.",
    "de": "Offizielle Antwort auf {site}: {state}.",
}
_STATES: Final = {
    "en": {"open": "open", "evaluating": "being evaluated", "accepted": "accepted", "rejected": "rejected"},
    "nl": {"open": "open", "evaluating": "in behandeling", "accepted": "aangenomen", "rejected": "afgewezen"},
    "es": {"open": "abierta", "evaluating": "en evaluación", "accepted": "aceptada", "rejected": "rechazada"},
    "ca": {"open": "oberta", "evaluating": "en avaluació", "accepted": "acceptada", "rejected": "rebutjada"},
    "is": {"open": "opin", "evaluating": "í vinnslu", "accepted": "samþykkt", "rejected": "hafnað"},
    "fr": {"open": "ouverte", "evaluating": "à l’étude", "accepted": "acceptée", "rejected": "rejetée"},
    "de": {"open": "offen", "evaluating": "in Prüfung", "accepted": "angenommen", "rejected": "abgelehnt"},
}
_IN_PROGRESS: Final = {
    "en": "in progress",
    "nl": "in uitvoering",
    "es": "en curso",
    "ca": "en curs",
    "is": "í framkvæmd",
    "fr": "en cours",
    "de": "in Umsetzung",
}


_WITHDRAWN: Final = {
    "en": (
        "This proposal was withdrawn",
        "The original of this proposal was withdrawn or removed, so its text is no longer shown here.",
    ),
    "nl": (
        "Dit voorstel is ingetrokken",
        "Het origineel van dit voorstel is ingetrokken of verwijderd; de tekst staat daarom niet meer hier.",
    ),
    "es": (
        "Esta propuesta se ha retirado",
        "El original de esta propuesta se retiró o se eliminó; por eso su texto ya no se muestra aquí.",
    ),
    "ca": (
        "Aquesta proposta s’ha retirat",
        "L’original d’aquesta proposta s’ha retirat o eliminat; per això el text ja no es mostra aquí.",
    ),
    "is": (
        "Þessi tillaga var dregin til baka",
        "Upprunalega tillagan var dregin til baka eða fjarlægð; textinn er því ekki lengur sýndur hér.",
    ),
    "fr": (
        "Cette proposition a été retirée",
        "L’original de cette proposition a été retiré ou supprimé ; son texte n’est donc plus affiché ici.",
    ),
    "de": (
        "Dieser Vorschlag wurde zurückgezogen",
        "Das Original dieses Vorschlags wurde zurückgezogen oder entfernt; der Text steht daher nicht mehr hier.",
    ),
}


def speaks(locale: str) -> bool:
    """Whether civicsync's own words are there in the language of this locale."""
    return locale.replace("_", "-").partition("-")[0].lower() in _ATTRIBUTION


def language_of(locale: str) -> str:
    """The language that civicsync's own words are said in for a text of this locale; English where it knows no better."""
    language = locale.replace("_", "-").partition("-")[0].lower()
    return language if language in _ATTRIBUTION else "en"


def attribution(locale: str, site: str, author: str | None) -> str:
    """Where a text comes from."""
    language = language_of(locale)
    by = {**_BY, **_BY_MORE}[language].format(author) if author else ""
    return _ATTRIBUTION[language].format(site=site, author=by)


def original(locale: str) -> str:
    """What stands on the link."""
    return _ORIGINAL[language_of(locale)]


def shortened(locale: str) -> str:
    """That a text was cut."""
    return _SHORTENED[language_of(locale)]


def licence(locale: str, name: str) -> str:
    """Under which licence."""
    return _LICENCE[language_of(locale)].format(name)


def text_language(locale: str, code: str) -> str:
    """In which language the text is, where the site would say another."""
    return _LANGUAGE[language_of(locale)].format(code)


def answered(locale: str, site: str, state: State) -> str:
    """Who answered, and what."""
    language = language_of(locale)
    words = {**_STATES[language], "in_progress": _IN_PROGRESS[language]}
    return _ANSWERED[language].format(site=site, state=words.get(state.value, state.value))


_WITHDRAWN_READABLE: Final = {
    "en": "The original of this proposal was withdrawn or removed.",
    "nl": "Het origineel van dit voorstel is ingetrokken of verwijderd.",
    "es": "El original de esta propuesta se retiró o se eliminó.",
    "ca": "L’original d’aquesta proposta s’ha retirat o eliminat.",
    "is": "Upprunalega tillagan var dregin til baka eða fjarlægð.",
    "fr": "L’original de cette proposition a été retiré ou supprimé.",
    "de": "Das Original dieses Vorschlags wurde zurückgezogen oder entfernt.",
}


def withdrawn_readable(locale: str) -> str:
    """Why a copy was taken back, where its text cannot be taken away: it does not say that the text is gone."""
    return _WITHDRAWN_READABLE[language_of(locale)]


def is_note(title: str, plain: str) -> bool:
    """Whether that is a note which took the place of a copy's own text; its title alone anybody may write.

    Earlier versions wrote the first half of today's sentence.
    """
    return any(title.strip() == note and said(text).startswith(said(plain)) for note, text in _WITHDRAWN.values())


def withdrawn(locale: str) -> tuple[str, str]:
    """Title and text that take the place of a copy's own where a platform cannot take it back."""
    return _WITHDRAWN[language_of(locale)]
