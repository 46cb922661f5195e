"""What the sandbox says, and what it demands of a proposal's text, per release (docs/platforms/decidim.md 4.2, 1.6).

The Catalan, Spanish and English words are the recorded ones. Nothing here knows sessions, pages or GraphQL.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bs4 import BeautifulSoup

from .releases import LINES

_SAID: dict[str, dict[str, str]] = {
    "blank": {"ca": "no pot estar en blanc", "es": "no puede estar en blanco", "en": "can't be blank", "nl": "moet ingevuld zijn"},
    "short": {"ca": "és massa curt (menys 15 caràcters)", "es": "es demasiado corto (menos 15 caracteres)",
              "en": "is too short (under 15 characters)", "nl": "is te kort (minder dan 15 tekens)"},
    "long": {"ca": "és massa llarg ({n} caràcters màxim)", "es": "es demasiado largo ({n} caracteres máximo)",
             "en": "is too long (maximum {n} characters)", "nl": "is te lang (maximaal {n} tekens)"},
    "caps": {"ca": "Estàs utilitzant massa lletres majúscules (més del 25% del text)",
             "es": "Está usando demasiadas letras mayúsculas (más del 25% del texto)",
             "en": "is using too many capital letters (over 25% of the text)", "nl": "bevat te veel hoofdletters (meer dan 25%)"},
    "marks": {"ca": "Estàs fent servir massa signes de puntuació consecutius (p. ex. i?)",
              "es": "Estás usando demasiados signos de puntuación consecutivos (por ejemplo,! y?)",
              "en": "is using too many consecutive punctuation marks (e.g. ! and ?)", "nl": "bevat te veel leestekens achter elkaar"},
    "start": {"ca": "ha de començar amb una lletra majúscula", "es": "debe comenzar con una letra mayúscula",
              "en": "must start with a capital letter", "nl": "moet met een hoofdletter beginnen"},
    "invalid": {"ca": "no és vàlid", "es": "no es válido", "en": "is invalid", "nl": "is ongeldig"},
    "limit": {"ca": "No pots crear noves propostes perquè has superat el límit.",
              "es": "No puedes crear nuevas propuestas porque has superado el límite.",
              "en": "You cannot create new proposals since you have exceeded the limit.",
              "nl": "U kunt geen voorstellen meer maken omdat u de limiet heeft bereikt."},
    "not in list": {"ca": "no està inclós a la llista", "es": "no está incluido en la lista",
                    "en": "is not included in the list", "nl": "komt niet voor in de lijst"},
    "supported": {"ca": "Aquesta proposta no es pot retirar perquè ja compta amb suports.",
                  "es": "Esta propuesta no puede ser retirada porque ya tiene apoyos.",
                  "en": "This proposal cannot be withdrawn because it already has votes.",
                  "nl": "Dit voorstel kan niet worden ingetrokken omdat het al steun heeft."},
    "vote failed": {"ca": "Hi ha hagut un error en donar suport a la proposta.", "es": "Se ha producido un error al apoyar la propuesta.",
                    "en": "There was a problem voting the proposal.", "nl": "Stemmen is niet gelukt."},
    "no mutation": {"ca": "No tens permís per realitzar aquesta mutació", "es": "No tienes permiso para realizar esta mutación",
                    "en": "You do not have permission to perform this mutation", "nl": "U mag deze wijziging niet doen"},
    "no object": {"ca": "No pots veure i editar aquest {n} perquè no tens permisos per fer-ho",
                  "es": "No puedes ver o editar este/a {n} porque no tienes permisos",
                  "en": "You cannot view or edit this {n} because you do not have permissions",
                  "nl": "U mag dit ({n}) niet zien of wijzigen"},
    "not found": {"ca": "{n} no trobat", "es": "{n} no encontrado", "en": "{n} not found", "nl": "{n} niet gevonden"},
    "locale": {"ca": "La configuració regional que s'ha facilitat no és vàlida",
               "es": "Se ha proporcionado una configuración regional no válida",
               "en": "Invalid locale provided", "nl": "Ongeldige taal opgegeven"},
    "no api user": {"ca": "Cal iniciar sessió o crear un compte abans de continuar.", "es": "Debes iniciar sesión antes de continuar.",
                    "en": "You need to sign in or sign up before continuing.", "nl": "U moet eerst inloggen."},
    "wrong key": {"ca": "El key, secret o la contrasenya no són vàlids.", "es": "Key, secret o contraseña no válidos.",
                  "en": "Invalid Key, Secret or password.", "nl": "Ongeldige Key, Secret of wachtwoord."},
    "wrong password": {"ca": "El adreça de correu electrònic o la contrasenya no són vàlids.", "es": "Email o contraseña inválidos.",
                       "en": "Invalid Email or password.", "nl": "Ongeldig e-mailadres of wachtwoord."},
    "denied": {"ca": "No tens autorització per realitzar aquesta acció.", "es": "No tienes autorización para realizar esta acción.",
               "en": "You are not authorized to perform this action.", "nl": "U bent niet bevoegd om dit te doen."},
    "not saved": {"ca": "Hi ha hagut un error en desar la proposta.", "es": "Se ha producido un error al guardar la propuesta.",
                  "en": "There was a problem saving the proposal.", "nl": "Het voorstel kon niet worden opgeslagen."},
    "admin failed": {"ca": "Hi ha hagut un problema en crear aquesta proposta.", "es": "Hubo un problema al crear esta propuesta.",
                     "en": "There was a problem creating this proposal.", "nl": "Er ging iets mis bij het maken van dit voorstel."},
    "answer failed": {"ca": "Hi ha hagut un problema en respondre a aquesta proposta.",
                      "es": "Hubo un problema al responder a esta propuesta.",
                      "en": "There was a problem answering this proposal.", "nl": "Er ging iets mis bij het beantwoorden."},
    "created": {"ca": "La proposta s'ha creat correctament. S'ha desat com a esborrany.", "es": "Propuesta creada correctamente.",
                "en": "Proposal successfully created. Saved as a Draft.", "nl": "Voorstel gemaakt en bewaard als concept."},
    "unconfirmed": {"ca": "Has de confirmar el teu compte.", "es": "Tienes que confirmar tu cuenta.",
                    "en": "You have to confirm your account before continuing.", "nl": "Bevestig eerst uw account."},
    "blocked": {"ca": "Aquest compte ha estat bloquejat.", "es": "Esta cuenta ha sido bloqueada.",
                "en": "This account has been blocked.", "nl": "Dit account is geblokkeerd."},
}  # fmt: skip
_TAGS = re.compile(r"<[^>]*>")
_MENTION = re.compile(r"(?<![\w@/])@(\w+)")
_HASHTAG = re.compile(r"(?<![\w#/&])#([^\W_]\w*)")
_NUMBER = re.compile(r"~(\d+)")
_OWN_LINK = re.compile(r"https?://([^/\s<>\"']+)/(?:[^\s<>\"']*/)?proposals/(\d+)")
_WITH_TAGS = re.compile(r"</?[A-Za-z][^>]*>")
_STORED_USER = re.compile(r"gid://decidim/Decidim::User/(\d+)")
_STORED_HASHTAG = re.compile(r"gid://decidim/Decidim::Hashtag/\d+/_?(\w+)")
_STORED_PROPOSAL = re.compile(r"gid://decidim/Decidim::Proposals::Proposal/(\d+)")
_HREF = re.compile(r"""\shref="gid://[^"]*\"""")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
AUTOMATIC = "\n\ngid://decidim/Decidim::Hashtag/3/_WijkWest"


def say(key: str, locale: str, n: object = "") -> str:
    """A message in a language, English where the sandbox has no other words."""
    known = _SAID[key]
    return known.get(locale, known["en"]).format(n=n)


def in_english(message: str) -> str:
    """The English of a known message in any language: what a message says is not a thing to rely on."""
    for words in _SAID.values():
        for each in words.values():
            pattern = re.escape(each).replace(r"\{n\}", "(.*)")
            match = re.fullmatch(pattern, message, re.IGNORECASE)
            if match:
                return words["en"].format(n=match[1] if match.groups() else "")
    return message


def problems(title: str, body: str, line: str, longest: int, locale: str) -> list[tuple[str, str]]:
    """What is wrong with the text of a participant's proposal: (field, message) in the order of the real ones."""
    found: list[tuple[str, str]] = []
    for name, text in (("title", title), ("body", body)):
        if not text.strip():
            found.append((name, say("blank", locale)))
        # 0.28.6 looks at the manners of titles only, and never at an empty one (recordings 222 to 226b).
        elif name == "title" or LINES.index(line) >= 2:
            found.extend((name, say(key, locale)) for key in _manners(_TAGS.sub("", text), line))
    found.extend(("title", message) for message in _lengths(title, 150, locale))
    if body.strip():
        found.extend(("body", message) for message in _lengths(_TAGS.sub("", body), longest, locale))
    return found


def _lengths(text: str, longest: int, locale: str) -> Iterable[str]:
    if len(text.strip()) < 15:
        yield say("short", locale)
    elif longest and len(text) > longest:
        yield say("long", locale, longest)


def _manners(text: str, line: str) -> Iterable[str]:
    unicode = line == "0.32"
    caps = sum(1 for each in text if (each.isupper() if unicode else "A" <= each <= "Z"))
    generous = LINES.index(line) >= LINES.index("0.30")
    if (caps and caps >= len(text) / 2) if generous else caps >= len(text) // 4:
        yield "caps"
    if re.search(r"[!?¡¿]{2,}", text):
        yield "marks"
    if text and (text[0].islower() if unicode else "a" <= text[0] <= "z"):
        yield "start"


@dataclass(frozen=True, slots=True)
class References:
    """What a text can refer to on one site: its people, its public proposals, its own host."""

    line: str
    host: str
    """With its port: toy cities on one machine differ by nothing else."""
    person: Callable[[str], int | None]
    proposal: Callable[[int], bool]
    """Whether a proposal of this number stands in a published component of a public space."""


def stored(text: str, known: References, *, body: bool) -> str:
    """A participant's text as the database keeps it: escaped, and what refers to something turned into addresses of rows."""
    text = text.replace("\r", "")
    if known.line in {"0.31", "0.32"}:
        text = re.sub(r"&(?!amp;|lt;|gt;|#\d+;|quot;)", "&amp;", text)
    elif body and "<" in text:
        text = BeautifulSoup(text, "html.parser").decode(formatter="minimal")
    return referred(text, known)


def referred(text: str, known: References) -> str:
    """A text after the content pipeline that every form calls (docs/platforms/decidim.md 1.6; recordings 703, 705, 797 to 798b).

    `~N` and links to the site's own proposals become addresses of rows wherever they stand, with whatever stands in front or behind
    glued to it; names and hashtags only in a text without tags.
    """

    def proposal(own: str, whole: str) -> str:
        return f"gid://decidim/Decidim::Proposals::Proposal/{own}" if known.proposal(int(own)) else whole

    def link(match: re.Match[str]) -> str:
        return proposal(match[2], match[0]) if match[1].lower() == known.host else match[0]

    text = _OWN_LINK.sub(link, text)
    text = _NUMBER.sub(lambda match: proposal(match[1], match[0]), text)
    if _WITH_TAGS.search(text):
        return text

    def mention(match: re.Match[str]) -> str:
        own = known.person(match[1])
        return match[0] if own is None else f"gid://decidim/Decidim::User/{own}"

    text = _MENTION.sub(mention, text)
    if known.line in {"0.27", "0.28", "0.29", "0.30"}:
        text = _HASHTAG.sub(r"gid://decidim/Decidim::Hashtag/7/\1", text)
    return text


def shown(text: str, nickname: Callable[[int], str]) -> str:
    """A stored text as the edit form shows it: names and numbers as typed, comments gone."""
    text = _STORED_HASHTAG.sub(r"#\1", _COMMENT.sub("", text))
    text = _STORED_PROPOSAL.sub(r"~\1", text)
    return _STORED_USER.sub(lambda match: f"@{nickname(int(match[1]))}", text)


def on_page(text: str, address: Callable[[int], str]) -> str:
    """A stored official body as the public page shows it: numbers are links, but inside an `a` the page drops the href."""
    text = _HREF.sub("", text)
    return _STORED_PROPOSAL.sub(lambda match: f'<a href="{address(int(match[1]))}">{match[1]}</a>', text)
