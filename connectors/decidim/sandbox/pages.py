"""The sandbox's pages: only what a machine reads of them, their forms, their tokens and their messages (docs/platforms/decidim.md 4.4).

Pages are made from values alone; nothing here decides who may see them.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from ...testing.messages import Response
from .accounts import Session
from .model import Component, Proposal

Fields = Sequence[tuple[str, str]]


def page(session: Session, locale: str, title: str, body: str, *, line: str, status: int = 200) -> Response:
    """A page with the site's own furniture: its token, its search form, its messages (shown once)."""
    told = "".join(
        f'<p class="flash__message">{escape(text)}</p>'
        if line in {"0.31", "0.32"}
        else f'<div class="flash {kind}"><div class="flash__message flex items-center">{escape(text)}</div></div>'
        for kind, text in session.flash
    )
    session.flash.clear()
    # Hidden by a style sheet, on every real page, and before the message of the request (docs/platforms/decidim.md 1.12).
    offline = (
        '<div class="flash flex-col alert" data-announcement=""><div class="flash__message">'
        "U bent niet verbonden: dit is een oudere versie van de pagina.</div></div>"
    )
    html = (
        f'<!DOCTYPE html><html lang="{locale}"><head><title>{escape(title)}</title>'
        f'<meta name="csrf-param" content="authenticity_token" /><meta name="csrf-token" content="{session.secret}" /></head><body>'
        f'<form method="get" action="/search"><input name="term" type="text"></form>{offline}{told}{body}'
        f'<form class="button_to" method="post" action="/timeouts/heartbeat"><button type="submit">…</button>'
        f'<input type="hidden" name="authenticity_token" value="{session.form_token("POST", "/timeouts/heartbeat")}"></form>'
        f"</body></html>"
    )
    return Response.html(html, status)


def form(session: Session, action: str, inner: str, *, method: str = "post", name: str = "") -> str:
    """A form; its token is good for this form only."""
    path = action.partition("?")[0]
    override = "" if method == "post" else f'<input type="hidden" name="_method" value="{method}">'
    token = session.form_token("POST", path)
    return (
        f'<form id="{name}" method="post" action="{escape(action)}">{override}'
        f'<input type="hidden" name="authenticity_token" value="{token}">{inner}</form>'
    )


def sign_in(session: Session, action: str, email: str) -> str:
    """Both sign-in forms of the page: the page's own and the hidden window's."""
    fields = (
        f'<input type="email" name="user[email]" value="{escape(email)}"><input type="password" name="user[password]">'
        '<input type="hidden" name="user[remember_me]" value="0"><input type="checkbox" name="user[remember_me]" value="1">'
    )
    hint = '<span class="form-error">Vul dit veld in.</span>'
    return form(session, action, fields + hint, name="session_new_user") + form(
        session, action, fields, name="login_new_user"
    )


def terms(session: Session) -> str:
    """The page that stands before every other one until the terms are accepted."""
    accept = form(session, "/pages/terms-of-service/accept", '<button type="submit">✓</button>', method="put")
    return form(session, "/users/sign_out", "", method="delete") + accept


def proposal(
    session: Session,
    action: str,
    component: Component,
    title: str,
    body: str,
    errors: Iterable[tuple[str, str]],
    *,
    method: str = "post",
    extra: Fields = (),
) -> str:
    """The form of a participant's proposal, with what is wrong with it."""
    wrong: dict[str, list[str]] = {}
    for name, message in errors:
        wrong.setdefault(name, []).append(message)
    longest = f' maxlength="{component.rules.longest}"' if component.rules.longest else ""
    hidden = "".join(f'<input type="hidden" name="{escape(n)}" value="{escape(v)}">' for n, v in extra)
    editor = f'<textarea name="proposal[body]" required minlength="15"{longest}>\n{escape(body)}</textarea>'
    if component.rules.rich:
        editor = f'<div class="editor"><input type="hidden" name="proposal[body]" value="{escape(body)}"></div>'
    inner = (
        f'<input type="text" name="proposal[title]" required minlength="15" maxlength="150" value="{escape(title)}">{_told(wrong, "title")}'
        f"{editor}{_told(wrong, 'body')}"
        f'{_told(wrong, "address")}{hidden}<span class="form-error">Vul dit veld in.</span><button type="submit">→</button>'
    )
    return form(session, action, inner, method=method, name="new_proposal" if method == "post" else "edit_proposal")


def _told(wrong: Mapping[str, list[str]], name: str) -> str:
    if name not in wrong:
        return ""
    return f'<small class="form-error is-visible">{escape(", ".join(wrong[name]))}</small>'


def official(
    session: Session,
    action: str,
    values: Mapping[str, str],
    locales: Sequence[str],
    errors: Iterable[tuple[str, str]],
    *,
    line: str,
    method: str = "post",
) -> str:
    """The administrator's form: title and body in every language of the site."""
    wrong: dict[str, list[str]] = {}
    for name, message in errors:
        wrong.setdefault(name, []).append(message)
    inner = ""
    for locale in locales:
        suffix = field_locale(locale)
        title = f"proposal[title_{suffix}]"
        inner += (
            f'<input type="text" name="{title}" minlength="15" maxlength="150" value="{escape(values.get(title, ""))}">'
        )
    for locale in locales:
        body = f"proposal[body_{field_locale(locale)}]"
        inner += f'<input type="hidden" name="{body}" value="{escape(values.get(body, ""))}">'
        inner += '<input type="file" name="editor_image[file]">'
    inner += "".join(_told(wrong, name) for name in wrong)
    inner += '<input type="hidden" name="proposal[created_in_meeting]" value="0">'
    inner += '<input type="checkbox" name="proposal[created_in_meeting]" value="1">'
    inner += (
        '<input type="hidden" name="proposal[add_attachments][]" value="">'
        if line == "0.32"
        else '<input type="text" name="proposal[attachment][title]" value="">'
    )
    return form(session, action, inner, method=method, name="new_proposal_")


def answer(
    session: Session, base: str, row: Proposal, states: Sequence[str], locales: Sequence[str], errors: Iterable[str]
) -> str:
    """An administrator's page of a proposal: the notes and the answer form."""
    notes = form(session, f"{base}/{row.id}/proposal_notes", '<textarea name="proposal_note[body]"></textarea>')
    inner = '<input type="hidden" name="proposal_answer[internal_state]" value="">'
    for state in states:
        checked = " checked" if state == row.state else ""
        inner += f'<input type="radio" name="proposal_answer[internal_state]" value="{state}"{checked}>'
    for locale in locales:
        text = (row.answer.get(locale) or ("", False))[0] or ""
        inner += f'<input type="hidden" name="proposal_answer[answer_{field_locale(locale)}]" value="{escape(text)}">'
    inner += "".join(f'<small class="form-error is-visible">{escape(each)}</small>' for each in errors)
    return notes + form(session, f"{base}/{row.id}/proposal_answers/{row.id}", inner, method="patch")


def field_locale(locale: str) -> str:
    """A language in the name of a field: `pt-BR` becomes `pt__BR`."""
    return locale.replace("-", "__")


def consent(session: Session, action: str, parameters: Mapping[str, str]) -> str:
    """The two forms of OAuth's consent page; the one without `_method=delete` grants."""
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in parameters.items()
    )
    return form(session, action, fields) + form(session, action, fields, method="delete")


def listing(rows: Iterable[Any]) -> str:
    """The administrator's list."""
    return "".join(f'<input type="checkbox" name="proposal_ids[]" value="{row.id}">' for row in rows)
