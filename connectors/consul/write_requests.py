"""Every write that CONSUL is sent, made without asking anything: what a plan shows is what goes out.

What only a page can know (a token, the id of a translation) is a placeholder in angle quotes until it is sent. Facts:
docs/platforms/consul.md 8.2 to 8.5.
"""

from dataclasses import dataclass
from datetime import date

from ...core.text import cut_at_word
from ..contract.exchange import Request
from ..contract.writing import AnswerDraft, Draft, LocalText
from ..http.web_session import HTML, TOKEN

TRANSLATION = "‹id of the translation›"
NUMBER = "‹id›"
TITLE = "‹title as the form has it›"
LANGUAGE = "‹language of the site›"
MILESTONE_TITLE = 80
EXPLANATION = 500
COMMENT = 1000
ZOOM = "14"

TYPES = {"proposal": "Proposal", "debate": "Debate"}
"""What can be commented, by the kind of its reference."""


@dataclass(frozen=True, slots=True)
class EditForm:
    """What the form of an existing proposal holds that must be sent again."""

    translation: str | None = TRANSLATION
    """None: the proposal has no text in this language yet."""
    place: tuple[tuple[str, str], ...] = ()


def _form(path: str, fields: list[tuple[str, str]], *, referer: str = "", accept: str = HTML) -> Request:
    headers = {"Accept": accept} | ({"Referer": referer} if referer else {})
    clean = [(name, value.replace("\x00", "")) for name, value in fields]
    return Request("POST", path, form=(("authenticity_token", TOKEN), *clean), headers=headers)


def _texts(block: int, locale: str, text: LocalText, translation: str | None = None) -> list[tuple[str, str]]:
    stem = f"proposal[translations_attributes][{block}]"
    fields = [
        (f"{stem}[_destroy]", "false"),
        (f"{stem}[locale]", locale),
        (f"{stem}[title]", text.title),
        (f"{stem}[summary]", text.summary or text.title),
        (f"{stem}[description]", text.html),
    ]
    return [*fields, (f"{stem}[id]", translation)] if translation else fields


def _dropped(locale: str, translation: str | None) -> list[tuple[str, str]]:
    stem = "proposal[translations_attributes][0]"
    return [(f"{stem}[_destroy]", "true"), (f"{stem}[locale]", locale), (f"{stem}[id]", translation or "")]


def _place(draft: Draft, zoom: str = ZOOM) -> list[tuple[str, str]]:
    if draft.latitude is None or draft.longitude is None:
        return []
    stem = "proposal[map_location_attributes]"
    return [
        (f"{stem}[latitude]", str(draft.latitude)),
        (f"{stem}[longitude]", str(draft.longitude)),
        (f"{stem}[zoom]", zoom),
    ]


def category_name(draft: Draft) -> str:
    """The placeholder of a category's name: tags are sent by name."""
    return f"‹name of {draft.category}›"


def create(draft: Draft, base: str, *, office: bool = False) -> Request:
    """A new proposal: a draft by the public form, public at once by the management interface."""
    fields: list[tuple[str, str]] = []
    main_first = sorted(draft.texts.items(), key=lambda pair: pair[0] != draft.locale)
    for block, (locale, text) in enumerate(main_first):
        fields += _texts(block, locale, text)
    if not office:
        # The honeypot goes out as a browser leaves it.
        fields.append(("proposal[subtitle]", ""))
    if draft.area is not None:
        fields.append(("proposal[geozone_id]", draft.area.partition("/")[2]))
    fields += _place(draft)
    if draft.category is not None:
        fields.append(("proposal[tag_list]", category_name(draft)))
    fields.append(("proposal[terms_of_service]", "1"))
    path = "/management/proposals" if office else "/proposals"
    return _form(path, fields, referer=f"{base}{path}/new")


def publish(own: str, base: str) -> Request:
    """Make a draft public."""
    return _form(f"/proposals/{own}/publish", [("_method", "patch")], referer=f"{base}/proposals/{own}/created")


def edit(own: str, draft: Draft, locale: str, base: str, form: EditForm | None = None) -> Request:
    """Replace the text in one language, or take it away where the draft has none in it.

    The place is sent again, or it would be lost (docs/platforms/consul.md 8.2, 5).
    """
    form, text = form or EditForm(), draft.texts.get(locale)
    block = _texts(0, locale, text, form.translation) if text is not None else _dropped(locale, form.translation)
    fields = [("_method", "patch"), *block]
    fields.append(("proposal[subtitle]", ""))
    kept = dict(form.place)
    fields += _place(draft, kept.get("proposal[map_location_attributes][zoom]") or ZOOM) or list(form.place)
    return _form(f"/proposals/{own}", fields, referer=f"{base}/proposals/{own}/edit")


def retire(own: str, locale: str, reason: str, base: str, translation: str = TRANSLATION) -> Request:
    """Take a proposal back, with a reason that everybody reads."""
    stem = "proposal[translations_attributes][0]"
    fields = [
        ("_method", "patch"),
        ("proposal[retired_reason]", "other"),
        (f"{stem}[_destroy]", "false"),
        (f"{stem}[locale]", locale),
        (f"{stem}[retired_explanation]", cut_at_word(reason, EXPLANATION)),
        (f"{stem}[id]", translation),
    ]
    return _form(f"/proposals/{own}/retire", fields, referer=f"{base}/proposals/{own}/retire_form")


def milestone(own: str, answer: AnswerDraft, day: date, base: str) -> Request:
    """An official answer. What is in no known language goes out in one of the site's: in any other nobody could read it."""
    fields: list[tuple[str, str]] = []
    main_first = sorted(answer.texts.items(), key=lambda pair: pair[0] != answer.locale)
    for block, (locale, text) in enumerate(main_first):
        stem = f"milestone[translations_attributes][{block}]"
        fields += [
            (f"{stem}[_destroy]", "false"),
            (f"{stem}[locale]", LANGUAGE if locale == "und" else locale),
            (f"{stem}[title]", cut_at_word(text.title, MILESTONE_TITLE) or TITLE),
            (f"{stem}[description]", text.html),
        ]
    fields += [("milestone[publication_date]", day.isoformat()), ("milestone[status_id]", "")]
    path = f"/admin/proposals/{own}/milestones"
    return _form(path, fields, referer=f"{base}{path}/new")


def comment(kind: str, own: str, text: LocalText) -> Request:
    """A comment; only JavaScript is answered truly (docs/platforms/consul.md 8.2, 8)."""
    fields = (
        ("comment[body]", comment_text(text)),
        ("comment[commentable_type]", TYPES[kind]),
        ("comment[commentable_id]", own),
        ("comment[parent_id]", ""),
        ("comment[valuation]", "false"),
    )
    headers = {"Accept": "text/javascript, application/javascript", "X-CSRF-Token": TOKEN}
    return Request("POST", "/comments", form=fields, headers={**headers, "X-Requested-With": "XMLHttpRequest"})


def comment_text(text: LocalText) -> str:
    """What is sent of a text as a comment."""
    return shortened(text.plain.replace("\x00", ""))


def shortened(plain: str) -> str:
    """A comment's text within what a comment may hold: its last paragraphs (link, marker) stay."""
    if len(plain) <= COMMENT:
        return plain
    parts = plain.split("\n\n")
    tail = "\n\n".join(parts[-2:])
    tail = tail if len(tail) < COMMENT - 100 else parts[-1]
    head = cut_at_word(plain[: -len(tail)].rstrip(), COMMENT - len(tail) - 2)
    return f"{head}\n\n{tail}"
