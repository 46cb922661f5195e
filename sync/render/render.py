"""From an origin to what its copy says: language, template, attribution, link, marker, and the target's limits.

What a citizen typed is a value in a sandboxed template, never a template itself; it is sanitised again after rendering, and nothing in it
can be taken for a marker of ours. A text that is too long is cut at a sentence, and says so. Pure: asks neither database nor network.
"""

import hashlib
import html as html_module
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import msgspec
from jinja2 import Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from ...config.routes import Route
from ...connectors.contract.writing import AnswerDraft, Draft, Limits, LocalText
from ...core.identity import Ref
from ...core.ledger.marker import Marker, carries_only, claims_marker, one_form, without_markers
from ...core.ledger.states import Reason
from ...core.records import UNKNOWN_LOCALE
from ...core.text import clean_html, cut_at_sentence, cut_at_word, html_to_plain, plain_title, plain_to_html
from ..origins import OfficialAnswer, Origin, OriginText
from . import phrases

_HTML = ImmutableSandboxedEnvironment(autoescape=True)
_PLAIN = ImmutableSandboxedEnvironment(autoescape=False)
VERSION = 1
"""Of what `render` makes: raised whenever the same origin would give another text, so that what waits is rendered again."""
_LONGEST_NAME = 100
_BLOCK = re.compile(r"<(?:p|br|ul|ol|div|blockquote|pre|table|h[1-6])\b")
_LIKE_A_TAG = re.compile(r"<(?=[a-zA-Z/!?])")
_EMPTY_LINES = re.compile(r"\n\s*\n\s*")
_LETTERS = re.compile(r"[\W_]+")


class CannotRender(Exception):
    """This proposal cannot be put into the form that its target takes; `reason` and the text say why."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Site:
    """Where an origin lives, for its attribution."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A draft, and a word for everything that was changed or left out on the way."""

    draft: Draft
    notes: tuple[str, ...] = ()


def payload_of(draft: Draft | AnswerDraft) -> dict[str, Any]:
    """A draft as JSON, as the ledger keeps it."""
    return msgspec.to_builtins(draft)


def draft_of(payload: dict[str, Any]) -> Draft:
    """A draft from the ledger."""
    return msgspec.convert(payload, Draft)


def answer_of(payload: dict[str, Any]) -> AnswerDraft:
    """An answer from the ledger."""
    return msgspec.convert(payload, AnswerDraft)


def hash_of(payload: dict[str, Any]) -> str:
    """What must change before anything is written again."""
    return hashlib.sha256(msgspec.json.encode(payload, order="sorted")).hexdigest()[:32]


def hashes(payload: dict[str, Any], marker: str, before: str, sent: dict[str, Any] | None = None) -> set[str]:
    """The hashes of a payload and of the same as an earlier version made it: for form alone nothing is sent again.

    `before`: the marker in the form of then (`Signer.before`); `sent`: what was sent, whose summaries may be those of then.
    """
    found = {hash_of(payload)}
    summarised = msgspec.json.decode(msgspec.json.encode(payload))
    for locale, text in (sent or {}).get("texts", {}).items():
        if locale in summarised["texts"]:
            summarised["texts"][locale]["summary"] = text.get("summary", "")
    for each in (payload, summarised):
        found |= {hash_of(msgspec.json.decode(msgspec.json.encode(each).replace(marker.encode(), before.encode())))}
    return found | {hash_of(summarised)}


_LINK = re.compile(r"https?://\S+")
_WORD = re.compile(r"[^\W\d_]+")


def fingerprint(title: str, plain: str) -> str:
    """Letters and digits only: survives what platforms do to spaces, quotes, links, line breaks and markers, and nothing else."""
    return _digest(one_form(f"{title}{plain}"))


def shown(title: str, plain: str) -> set[str]:
    """The fingerprints of what a platform shows: as they are taken now, and as earlier versions took them."""
    return {fingerprint(title, plain), _digest(f"{title}{plain}")}


def _digest(text: str) -> str:
    return hashlib.sha256(_LETTERS.sub("", text).casefold().encode()).hexdigest()[:32]


def prints(draft: Draft) -> set[str]:
    """The fingerprints under which a platform may show this very draft: links written out or not, with its summary or without."""
    found: set[str] = set()
    for text in draft.texts.values():
        for body in (text.plain, html_to_plain(text.html)):
            found |= {fingerprint(text.title, body), fingerprint(text.title, f"{text.summary}{body}")}
    return found


def _words(text: str) -> Counter[str]:
    """The words of a text, without addresses and numbers, which platforms make references of."""
    return Counter(_WORD.findall(_LINK.sub(" ", text).casefold()))


def alike(draft: Draft, title: str, plain: str) -> bool:
    """Whether what is shown says the words of a draft but for one in ten: what platforms make of links, numbers and entities is less."""
    there = _words(f"{title} {plain}")
    for text in draft.texts.values():
        for body in (text.plain, html_to_plain(text.html)):
            said = _words(f"{text.title} {body}")
            if (said & there).total() >= 0.9 * max(said.total(), there.total()):
                return True
    return False


def render(
    origin: Origin, route: Route, site: Site, marker: Marker, limits: Limits, *, certain: bool = True
) -> Rendered:
    """What the copy of `origin` shall say within `limits`.

    `certain`: whether the origin's platform really says in which language a text is (`Connector.tells_languages`); where nobody knows,
    the copy claims none, and civicsync's own words are those of the target.

    Raises:
        CannotRender: there is no text to publish, or the route's template fails on it.
    """
    chosen = _choose(origin, route, limits)
    notes: list[str] = []
    texts: dict[str, LocalText] = {}
    for locale, text in chosen.items():
        told = certain and text.locale != UNKNOWN_LOCALE
        if locale != text.locale and told:
            notes.append(f"the text is in {text.locale}, which the site does not have; it is filed under {locale}")
        voice = _spoken(text.locale if told else UNKNOWN_LOCALE, locale)
        claimed = text.locale if told and locale != text.locale else None
        texts[locale], changes = _local(origin, text, route, site, marker, limits, voice, claimed)
        notes.extend(changes)
    main = next(iter(texts))
    draft = Draft(
        locale=main,
        texts=texts,
        marker=str(marker),
        voice=route.to.voice,
        category=_mapped(origin.categories, route.categories),
        area=_mapped(origin.areas, route.areas),
        latitude=origin.latitude,
        longitude=origin.longitude,
        address=without_markers(origin.address) if origin.address else origin.address,
    )
    return Rendered(draft, tuple(dict.fromkeys(notes)))


@lru_cache(maxsize=100)
def _plain(source: str) -> Template:
    # Compiling a template takes four times as long as filling it in.
    return _PLAIN.from_string(source)


@lru_cache(maxsize=100)
def _html(source: str) -> Template:
    return _HTML.from_string(source)


def _choose(origin: Origin, route: Route, limits: Limits) -> dict[str, OriginText]:
    originals = [text for text in origin.originals if text.title or text.plain]
    if not originals:
        raise CannotRender(Reason.NO_TEXT, "it has no text that a person wrote")
    ranked = sorted(originals, key=lambda text: text.locale != origin.locale)
    wanted = [text for code in route.language for text in ranked if text.locale == code]
    if route.language and not wanted:
        raise CannotRender(Reason.NO_LANGUAGE, f"it has no text in {' or '.join(route.language)}")
    first = (wanted or ranked)[0]
    if not limits.many_locales:
        return {_filed(first.locale, limits): first}
    known = [
        t
        for t in ranked
        if t is not first and t.locale != UNKNOWN_LOCALE and (not limits.locales or t.locale in limits.locales)
    ]
    chosen = {_filed(first.locale, limits): first}
    for text in known:
        chosen.setdefault(text.locale, text)
    return chosen


def _filed(locale: str, limits: Limits) -> str:
    if limits.locales and locale not in limits.locales:
        close = [each for each in limits.locales if each.partition("-")[0] == locale.partition("-")[0]]
        return (close or list(limits.locales))[0]
    return locale


def _spoken(locale: str, filed: str) -> str:
    """The locale of civicsync's own words beside a text: the text's own, or that of the page where its language is not known to us."""
    return locale if phrases.speaks(locale) else filed


def _local(
    origin: Origin,
    text: OriginText,
    route: Route,
    site: Site,
    marker: Marker,
    limits: Limits,
    voice: str,
    claimed: str | None,
) -> tuple[LocalText, list[str]]:
    notes: list[str] = []
    values = _values(origin, text, route, site)
    try:
        # What a template puts together may be a marker though none of its parts was one.
        title = without_markers(plain_title(_plain(route.title).render(values)))
        whole = _html(route.body).render({**values, "body": Markup(without_markers(text.html))})
        body = clean_html(without_markers(clean_html(whole)))
    except (TemplateError, ArithmeticError, TypeError, ValueError, OverflowError) as error:
        raise CannotRender(
            Reason.TEMPLATE_FAILS, f"the route's template fails on it: {type(error).__name__}"
        ) from error
    sentence = _sentence(origin, text, route, site, voice)
    tail = _tail(origin, route, site, marker, sentence, voice, claimed)
    title = title or cut_at_word(without_markers(text.plain).replace("\n", " "), limits.title[1])
    title = _title(title, site, limits, notes)
    html = body + tail
    plain = readable(html)
    low, high = limits.body
    if len(html if limits.sends == "html" else plain) > high:
        html, plain = _cut(body, voice, tail, high, limits.sends)
        notes.append(
            f"the text is longer than the {high} characters that fit there; it is cut at a sentence and says so"
        )
    if len(plain) < low:
        raise CannotRender(Reason.TOO_SHORT, f"its text is shorter than the {low} characters that are asked for there")
    summary = ""
    if limits.summary is not None:
        # Pages show it above the text: the beginning of the text would stand there twice.
        summary = cut_at_word(sentence, limits.summary)
    return LocalText(title=title, html=html, plain=plain, summary=summary), notes


def _values(origin: Origin, text: OriginText, route: Route, site: Site) -> dict[str, Any]:
    return {
        "title": without_markers(text.title),
        "plain": without_markers(text.plain),
        "author": _author(origin, route) or "",
        "state": origin.state.value,
        "reference": without_markers(origin.reference or ""),
        "space": without_markers(origin.space),
        "instance": site.name,
        "url": origin.url or site.url,
        "created": (origin.published_at or origin.created_at),
    }


def _author(origin: Origin, route: Route) -> str | None:
    if not route.author_names or not origin.author_name:
        return None
    return cut_at_word(plain_title(without_markers(origin.author_name)), _LONGEST_NAME) or None


def _sentence(origin: Origin, text: OriginText, route: Route, site: Site, voice: str) -> str:
    """Where the text comes from, as one line."""
    if route.attribution is None:
        return plain_title(without_markers(phrases.attribution(voice, site.name, _author(origin, route))))
    try:
        values = _values(origin, text, route, site)
        return plain_title(without_markers(_plain(route.attribution).render(values)))
    except (TemplateError, ArithmeticError, TypeError, ValueError, OverflowError) as error:
        raise CannotRender(
            Reason.TEMPLATE_FAILS, f"the route's attribution fails on it: {type(error).__name__}"
        ) from error


def _tail(
    origin: Origin, route: Route, site: Site, marker: Marker, sentence: str, locale: str, claimed: str | None
) -> str:
    url = origin.url or site.url
    parts = [html_module.escape(sentence, quote=False)]
    if route.licence:
        parts.append(html_module.escape(phrases.licence(locale, route.licence), quote=False))
    if claimed is not None:
        parts.append(html_module.escape(phrases.text_language(locale, claimed), quote=False))
    link = f'<a href="{html_module.escape(url)}">{html_module.escape(phrases.original(locale), quote=False)}</a>'
    return clean_html(f"<p>{' '.join(parts)} {link}</p><p>{marker}</p>")


def _title(title: str, site: Site, limits: Limits, notes: list[str]) -> str:
    low, high = limits.title
    if _LIKE_A_TAG.search(title):
        # A title is text and platforms escape it; should one forget to, there is nothing in it that could run.
        title = _LIKE_A_TAG.sub("‹", title)
        notes.append("the title holds what looks like HTML; < is written as ‹ there")
    if len(title) > high:
        notes.append(f"the title is longer than {high} characters; it is shortened")
        title = cut_at_word(title, high)
    if len(title) < low:
        title = cut_at_word(f"{title} ({site.name})", high)
        notes.append(f"the title is shorter than {low} characters; the name of its site is added")
    return title + "." * max(0, low - len(title)) if title else title


def _cut(body: str, locale: str, tail: str, limit: int, sends: str) -> tuple[str, str]:
    notice = f"<p>{html_module.escape(phrases.shortened(locale), quote=False)}</p>"
    plain = html_to_plain(body)
    room = limit - len(notice + tail if sends == "html" else readable(notice + tail)) - 4
    while room > 0:
        shorter = cut_at_sentence(plain, room)
        html = plain_to_html(shorter) + notice + tail
        whole = readable(html)
        over = len(html if sends == "html" else whole) - limit
        if over <= 0:
            return html, whole
        room -= max(over, 10)
    html = notice + tail
    whole = readable(html)
    if len(html if sends == "html" else whole) > limit:
        raise CannotRender(Reason.NO_ROOM, f"{limit} characters are not even enough for the link to the original")
    return html, whole


def _mapped(origins: Sequence[tuple[Ref, str]], mapping: dict[str, str]) -> Ref | None:
    for reference, name in origins:
        for known in (reference, name):
            if known in mapping:
                return mapping[known]
    return None


def render_answer(
    answer: OfficialAnswer, site: Site, marker: Marker, url: str | None, locale: str | None = None
) -> AnswerDraft:
    """An official answer as it is told elsewhere: who answered what, its title and text, the link, the marker.

    `locale`: under which what it is told at is filed; a text of which nobody knows the language is filed there as well, for a platform
    shows nothing in a language that it does not know (docs/platforms/consul.md 10b).
    """
    texts: dict[str, LocalText] = {}
    sources = answer.texts or (OriginText(locale or "en", False, "", "", ""),)
    for text in sorted(sources, key=lambda each: each.locale == UNKNOWN_LOCALE):
        filed = locale if locale and text.locale == UNKNOWN_LOCALE else text.locale
        if filed in texts:
            continue
        sentence = html_module.escape(
            phrases.answered(_spoken(text.locale, locale or filed), site.name, answer.state), quote=False
        )
        link = html_module.escape(url or site.url)
        title = html_module.escape(without_markers(text.title), quote=False)
        headed = f"<p><strong>{title}</strong></p>" if title else ""
        body = clean_html(
            f'<p>{sentence}</p>{headed}{without_markers(text.html)}<p><a href="{link}">{link}</a></p><p>{marker}</p>'
        )
        texts[filed] = LocalText("", body, readable(body))
    main = locale if locale in texts else next(iter(texts))
    return AnswerDraft(answer.state, main, texts, str(marker))


_BLOCK_BEGINS = re.compile(r"<(?:p|ul|ol|blockquote|pre|table)(?=[\s>])")
_BLOCK_ENDS = re.compile(r"</(?:p|ul|ol|blockquote|pre|table)>")
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)((?: [a-z]+=\"[^\"]*\")*)>")
_ADDRESS = re.compile(r' href="([^"]*)"')
_VOID = frozenset({"br", "hr"})
_SPACED = frozenset({"p", "ul", "ol", "blockquote", "pre", "table"})


def readable(html: str) -> str:
    """Plain text of sanitised HTML in which no link is lost: its address stands behind its words."""
    if "<a " in html or "<li" in html:
        told = _told(html)
        html = _told_by_tree(html) if told is None else told
    else:
        html = html.replace("<p>", "\n\n<p>").replace("</p>", "</p>\n")
    return _EMPTY_LINES.sub("\n\n", html_to_plain(html)).strip()


def _told(html: str) -> str | None:
    """The same with addresses, numbers and line breaks written out, in one pass; None where only a tree tells what is meant.

    The sanitiser writes every tag in one way and closes all, so that it is enough to know which are open. A link within a link, and
    text that follows a paragraph in a list's item, are for the tree.
    """
    said, opened, counted = list[str](), list[str](), list[int]()
    at = begun = 0
    address: str | None = None
    for tag in _TAG.finditer(html):
        start, stop = tag.span()
        between = html[at:start]
        if "<" in between:
            return None
        if between.isspace() and between.isascii() and "pre" not in opened:
            between = "\n" if "\n" in between else " "  # as a tree has it
        said.append(between)
        at = stop
        end, name, attributes = tag.groups()
        if name in _VOID:
            said.append(f"<{name}>")
            continue
        if end:
            if not opened or opened.pop() != name:
                return None
            counted.pop()
        parent = opened[-1] if opened else ""
        if name == "a":
            if not end:
                if address is not None:
                    return None
                found = _ADDRESS.search(attributes)
                address, begun = found[1] if found else "", stop
            else:
                words = _TAG.sub("", html[begun:start])
                if address and html_module.unescape(address) != html_module.unescape(words):
                    said.append(f": {address.replace('<', '&lt;').replace('>', '&gt;')}")
                address = None
        elif name == "p" and parent == "li":
            if end and not html.startswith("</li>", stop):
                if not html.startswith("<", stop):
                    return None
                said.append("\n")
        elif name in _SPACED:
            said.append(f"</{name}>\n" if end else f"\n\n<{name}>")
        else:
            said.append(f"<{end}{name}>")
        if not end:
            if name == "li" and parent == "ol":
                counted[-1] += 1
                said.append(f"{counted[-1]}. ")
            elif name == "li":
                said.append("- ")
            opened.append(name)
            counted.append(0)
    said.append(html[at:])
    return None if opened or "<" in html[at:] else "".join(said)


def _told_by_tree(html: str) -> str:
    from ...core.markup import tree  # few texts need it

    soup = tree(html)
    for link in soup.find_all("a"):
        address, text = str(link.get("href") or ""), link.get_text()
        if address and address != text:
            link.append(f": {address}")
    for item in soup.find_all("li"):
        for paragraph in item.find_all("p", recursive=False):
            if paragraph.find_next_sibling() is not None:
                paragraph.insert_after("\n")
            paragraph.unwrap()
    for numbered in soup.find_all("ol"):
        for number, item in enumerate(numbered.find_all("li", recursive=False), 1):
            item.insert(0, f"{number}. ")
    for item in soup.find_all("li"):
        if item.parent is None or item.parent.name != "ol":
            item.insert(0, "- ")
    html = str(soup).replace("<br/>", "<br>").replace("<hr/>", "<hr>")  # as the sanitiser writes them
    # Not in the tree: there each insertion looks for its place among all siblings.
    return _BLOCK_ENDS.sub(r"\g<0>\n", _BLOCK_BEGINS.sub(r"\n\n\g<0>", html))


def why_not_sent(draft: Draft | AnswerDraft) -> str:
    """Why a text must not go out: it would not carry exactly one marker, its own; empty where it may."""
    for locale, text in draft.texts.items():
        for name, said in (("html", text.html), ("plain text", text.plain)):
            if not carries_only(said, draft.marker):
                return f"its text in {locale} ({name}) would not carry exactly one marker, its own"
        if claims_marker(text.title) or claims_marker(text.summary):
            return f"its title or summary in {locale} would carry what looks like a marker"
    if isinstance(draft, Draft) and claims_marker(draft.address or ""):
        return "its address would carry what looks like a marker"
    return ""


def blanked(draft: Draft) -> Draft:
    """The draft of a copy that cannot be taken back: a note in place of title and text, the marker kept."""
    texts: dict[str, LocalText] = {}
    for locale in draft.texts:
        title, sentence = phrases.withdrawn(locale)
        html = clean_html(f"<p>{html_module.escape(sentence, quote=False)}</p><p>{draft.marker}</p>")
        texts[locale] = LocalText(title, html, readable(html), sentence)
    return replace(draft, texts=texts, category=None, area=None, latitude=None, longitude=None, address=None)


def with_draft(rendered: Rendered, draft: Draft, changes: Sequence[str]) -> Rendered:
    """The same with what the writer put right."""
    return replace(rendered, draft=draft, notes=tuple(dict.fromkeys((*rendered.notes, *changes))))
