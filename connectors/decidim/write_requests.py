"""Every write that Decidim is sent, made without asking anything: mutations, and forms as a browser sends them.

Proposals by mutation from 0.32 on, answers from 0.31 on, comments always (docs/platforms/decidim.md 4.1, 4.3, 4.5). One question, one
write; what only a page can know (the token) is a placeholder in angle quotes until it is sent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ..contract.exchange import Request
from ..contract.writing import Draft, LocalText
from ..http.web_session import HTML, TOKEN
from .places import Place

_CREATED = "{id author{id} body{translations{text}}}"
CREATE = (
    "mutation Create($component:ID!,$input:CreateProposalInput!){component(id:$component){"
    f"...on ProposalsMutation{{createProposal(input:$input){_CREATED}}}}}}}"
)
UPDATE = (
    "mutation Update($component:ID!,$id:ID!,$input:UpdateProposalInput!){component(id:$component){"
    "...on ProposalsMutation{proposal(id:$id){update(input:$input){id}}}}}"
)
WITHDRAW = (
    "mutation Withdraw($component:ID!,$id:ID!,$input:WithdrawProposalInput!){component(id:$component){"
    "...on ProposalsMutation{proposal(id:$id){withdraw(input:$input){id}}}}}"
)
ANSWER = (
    "mutation Answer($component:ID!,$id:ID!,$input:AnswerInput!){component(id:$component){"
    "...on ProposalsMutation{proposal(id:$id){answer(input:$input){id}}}}}"
)
COMMENT = (
    "mutation Tell($id:String!,$type:String!,$locale:String!,$body:String!){"
    "commentable(id:$id,type:$type,locale:$locale,toggleTranslations:false){addComment(body:$body){id}}}"
)
PROPOSAL = "Decidim::Proposals::Proposal"
JSON = {"Accept": "application/json"}


def request(document: str, variables: Mapping[str, Any]) -> Request:
    """A mutation as it goes out."""
    return Request("POST", "api", json={"query": document, "variables": dict(variables)}, headers=JSON)


def create_request(place: Place, draft: Draft, body: str) -> Request:
    """A new proposal, public at once, in one language."""
    given = {"attributes": _attributes(draft, body), "locale": draft.locale, "toggleTranslations": False}
    return request(CREATE, {"component": place.id, "input": given})


def update_request(place: Place, own: str, draft: Draft, body: str) -> Request:
    """The whole text anew: other languages are lost; what is not given of place and taxonomies is kept."""
    given = {"attributes": _attributes(draft, body), "locale": draft.locale, "toggleTranslations": False}
    return request(UPDATE, {"component": place.id, "id": own, "input": given})


def withdraw_request(place: Place, own: str) -> Request:
    """Taking it back."""
    return request(WITHDRAW, {"component": place.id, "id": own, "input": {}})


def answer_request(place: Place, own: str, state: str, texts: Mapping[str, LocalText]) -> Request:
    """The official answer, in all languages."""
    content = {locale: text.html for locale, text in texts.items()}
    given = {"attributes": {"state": state, "answerContent": content}}
    return request(ANSWER, {"component": place.id, "id": own, "input": given})


def comment_request(own: str, locale: str, body: str) -> Request:
    """A comment at the root of a proposal."""
    return request(COMMENT, {"id": own, "type": PROPOSAL, "locale": locale, "body": body})


def _attributes(draft: Draft, body: str) -> dict[str, Any]:
    found: dict[str, Any] = {"title": draft.main.title, "body": body}
    if draft.latitude is not None and draft.longitude is not None:
        # An address alone is looked up, and refused if it is not found: it only travels with its place.
        found |= {"latitude": draft.latitude, "longitude": draft.longitude}
        found |= {"address": draft.address} if draft.address else {}
    groups = [each.partition("/")[2] for each in (draft.category, draft.area) if each is not None]
    return {**found, "taxonomies": groups} if groups else found


def form_request(method: str, path: str, fields: Sequence[tuple[str, str]]) -> Request:
    """A form as a browser sends it; other methods than POST travel in a field."""
    override = () if method == "POST" else (("_method", method.lower()),)
    form = (*override, *fields, ("authenticity_token", TOKEN))
    return Request("POST", path, form=form, headers={"Accept": HTML})
