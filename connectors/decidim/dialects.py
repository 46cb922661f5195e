"""What differs between Decidim 0.27 and 0.32, and every GraphQL document the reader can send.

Facts: docs/platforms/decidim.md 1.7 (interface), 1.2 (limits), 1.10 (how to tell releases apart). Nothing here talks to the network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..contract.values import whole

PAGE = 50
ROOTS = {
    "participatoryProcesses": "process",
    "assemblies": "assembly",
    "conferences": "conference",
    "initiatives": "initiative",
    "consultations": "consultation",
}
"""Root lists of participatory spaces, and our kind for each; a site has those of its modules."""
PATHS = {"process": "processes", "assembly": "assemblies", "conference": "conferences", "initiative": "initiatives"}
_SLUGLESS = frozenset({"consultations"})
_STEPPED = frozenset({"participatoryProcesses"})
_TEXT = "{translations{locale text machineTranslated}}"
_NAME = "{translations{locale text}}"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One release line. `checked`: hidden objects are null (0.28.5 and later, 0.29.2 and later, 0.30 and later)."""

    name: str
    checked: bool = True
    withdrawn: bool = True
    taxonomies: bool = True
    likes: bool = True
    timestamps: bool = True
    aliases: int = 5

    @property
    def release(self) -> tuple[int, int]:
        """The release line as numbers, for what a release does and no field of the interface tells."""
        first, _, second = self.name.partition(".")
        return int(first), int(second)

    @property
    def endorsements(self) -> str:
        """The field that counts endorsements."""
        return "likesCount" if self.likes else "endorsementsCount"

    def to_facts(self) -> dict[str, Any]:
        """As JSON."""
        names = ("name", "checked", "withdrawn", "taxonomies", "likes", "timestamps", "aliases")
        return {name: getattr(self, name) for name in names}


def dialect_of(missing: set[str], version: str | None) -> Dialect:
    """The dialect from the fields that the interface lacks, and the version if the site discloses one."""
    likes, taxonomies = "likesCount" not in missing, "taxonomies" not in missing
    withdrawn, timestamps = "withdrawn" not in missing, "updatedAt" not in missing
    numbers = tuple(each for part in (version or "").split(".")[:3] if (each := whole(part)) is not None)
    if timestamps:
        name = "0.32"
    elif likes:
        name = "0.31"
    elif taxonomies:
        name = "0.30"
    elif withdrawn:
        name = "0.29"
    else:
        name = "0.27" if numbers[:2] <= (0, 27) and numbers else "0.28"
    dialect = Dialect(name, True, withdrawn, taxonomies, likes, timestamps)
    new = dialect.release >= (0, 30)
    checked = new or numbers >= (0, 29, 2) or ((0, 28, 5) <= numbers < (0, 29))
    # From 0.30's later patches on five aliases are the most; below there is no limit (docs/platforms/decidim.md 1.2).
    return replace(dialect, checked=checked, aliases=5 if new else 20)


PROBE = 'query Probe{component(id:"0"){...on Proposals{proposals(first:1){nodes{withdrawn taxonomies{id} likesCount}}} updatedAt}}'
"""One static check for every rung of the ladder: whatever is missing is named in `errors`."""
ROOT_PROBE = "query Roots{" + " ".join(f"{root}{{id}}" for root in ROOTS) + "}"
VERSION = "query Version{decidim{version}}"


def spaces_selection(dialect: Dialect, roots: Sequence[str]) -> str:
    """Every space with its components; in 0.32 also the gates: when a component last changed, and which step of a process is active.

    A step shows or hides votes, and moves no component (docs/platforms/decidim.md 2).
    """
    gate = " updatedAt" if dialect.timestamps else ""
    parts: list[str] = []
    for root in roots:
        slug = "" if root in _SLUGLESS else " slug"
        steps = " steps{id active}" if dialect.timestamps and root in _STEPPED else ""
        components = f"components{{id __typename name{_NAME} weight{gate}}}"
        parts.append(f"{root}{{id{slug} type title{_NAME}{steps} {components}}}")
    return " ".join(parts)


def parts_selection(ids: Sequence[str]) -> str:
    """Whether components answer, alias `x<position>`."""
    return " ".join(f'x{position}:component(id:"{each}"){{id}}' for position, each in enumerate(ids))


def parts_document(ids: Sequence[str]) -> str:
    """Whether components answer, in a request of their own."""
    return f"query Parts{{{parts_selection(ids)}}}"


def taxonomies_document() -> str:
    """All taxonomies of the organization, three levels, which is as deep as the recursion limit goes (0.31 and later; 1.2)."""
    leaf = f"id name{_NAME}"
    return f"query Taxonomies{{organization{{taxonomies{{{leaf} children{{{leaf} children{{{leaf}}}}}}}}}}}"


def organization_name(dialect: Dialect) -> str:
    """The city's own name, a text per language from 0.29 on (docs/platforms/decidim.md 1.7, 1.12).

    `decidim{applicationName}` is the server's, one for all organizations of it, and "My Application Name" by default.
    """
    return f"organization{{name{_NAME}}}" if dialect.withdrawn else "organization{name}"


def spaces_document(dialect: Dialect, roots: Sequence[str], ride: str = "") -> str:
    """The spaces, with whatever may ride along in the same request."""
    return f"query Spaces{{{spaces_selection(dialect, roots)} {ride}}}"


def light_selection(dialect: Dialect, component: str, after: str | None) -> str:
    """A light page: what moves when something happens to a proposal."""
    cursor = f', after:"{after}"' if after else ""
    withdrawn = " withdrawn" if dialect.withdrawn else ""
    fields = f"id updatedAt voteCount totalCommentsCount state{withdrawn} {dialect.endorsements}"
    page = f'proposals(first:{PAGE}{cursor}, order:{{id:"asc"}}){{nodes{{{fields}}} pageInfo{{hasNextPage endCursor}}}}'
    return f'component(id:"{component}"){{id ...on Proposals{{{page}}}}}'


def light_document(dialect: Dialect, component: str, after: str | None) -> str:
    """One light page."""
    return f"query Light{{{light_selection(dialect, component, after)}}}"


def record_fields(dialect: Dialect, *, names: bool) -> str:
    """A whole proposal, without comments: one deleted comment would turn it null (docs/platforms/decidim.md 1.7 Q5).

    A proposal without a place costs one line of error in the answer (1.7 Q1), which is cheaper than any second question.
    """
    withdrawn = "withdrawn withdrawnAt " if dialect.withdrawn else ""
    grouped = (
        "taxonomies{id name" + _NAME + " parent{id}}"
        if dialect.taxonomies
        else f"category{{id name{_NAME}}} scope{{id name{_NAME}}}"
    )
    author = "author{__typename id" + (" name" if names else "") + "}"
    return (
        f"id reference state {withdrawn}voteCount totalCommentsCount {dialect.endorsements} createdAt updatedAt publishedAt "
        f"answeredAt official createdInMeeting address coordinates{{latitude longitude}} "
        f"title{_TEXT} body{_TEXT} answer{_TEXT} {author} {grouped} meeting{{id}} "
        # Emendations are rows of the same list; a hidden one makes its entry null, no more (docs/platforms/decidim.md 1.7 Q3, 2).
        "amendments{emendation{id}}"
    )


def record_document(dialect: Dialect, component: str, after: str | None, *, names: bool) -> str:
    """One page of whole proposals."""
    cursor = f', after:"{after}"' if after else ""
    fields = record_fields(dialect, names=names)
    page = f'proposals(first:{PAGE}{cursor}, order:{{id:"asc"}}){{nodes{{{fields}}} pageInfo{{hasNextPage endCursor}}}}'
    return f'query Records{{component(id:"{component}"){{id ...on Proposals{{{page}}}}}}}'


def by_id_document(dialect: Dialect, component: str, ids: Sequence[str], *, names: bool, light: bool = False) -> str:
    """Single proposals, alias `r<position>`."""
    fields = "id" if light else record_fields(dialect, names=names)
    parts = " ".join(f'r{position}:proposal(id:"{each}"){{{fields}}}' for position, each in enumerate(ids))
    return f'query Single{{component(id:"{component}"){{id ...on Proposals{{{parts}}}}}}}'


_COMMENT = "id body createdAt alignment upVotes downVotes hasComments"


CLASSES = {"comment": "Decidim::Comments::Comment", "project": "Decidim::Budgets::Project"}
"""What has no list or field of its own below a component is asked for by its class (docs/platforms/decidim.md 1.12)."""
_HOMES = {"proposal": "Proposals", "debate": "Debates"}


@dataclass(frozen=True, slots=True)
class Depth:
    """How much of comments one question asks for. `author`: one comment of a deleted account turns the list null (1.7 Q5)."""

    levels: int
    author: bool
    names: bool = False

    @property
    def fields(self) -> str:
        """The fields of one comment."""
        return _COMMENT + (f" author{{__typename id{' name' if self.names else ''}}}" if self.author else "")

    def selection(self, levels: int | None = None, arguments: str = "") -> str:
        """A list of comments with what hangs on it."""
        left = self.levels if levels is None else levels
        return f"comments{arguments}{{{self.fields}{f' {self.selection(left - 1)}' if left > 1 else ''}}}"


WITH_AUTHORS, WITHOUT, ONE_LEVEL = Depth(2, True), Depth(2, False), Depth(1, False)


def _by_class(kind: str, ids: Sequence[str], locale: str, fields: str) -> str:
    asked = f'type:"{CLASSES[kind]}",locale:"{locale}",toggleTranslations:false'
    return " ".join(f'c{position}:commentable(id:"{each}",{asked}){{id {fields}}}' for position, each in enumerate(ids))


def comments_document(kind: str, component: str, ids: Sequence[str], locale: str, depth: Depth = WITHOUT) -> str:
    """Levels of comments of several proposals, debates or projects, alias `c<position>`.

    Two levels are the most that newer releases take (docs/platforms/decidim.md 1.2).
    """
    if kind in CLASSES:
        return f"query Comments{{{_by_class(kind, ids, locale, depth.selection())}}}"
    asked = depth.selection()
    parts = " ".join(f'c{position}:{kind}(id:"{each}"){{id {asked}}}' for position, each in enumerate(ids))
    return f'query Comments{{component(id:"{component}"){{id ...on {_HOMES[kind]}{{{parts}}}}}}}'


def replies_document(ids: Sequence[str], locale: str, depth: Depth = WITHOUT) -> str:
    """More levels below comments, alias `c<position>`."""
    return f"query Replies{{{_by_class('comment', ids, locale, depth.selection())}}}"


def single_comments_document(ids: Sequence[str], locale: str, depth: Depth = ONE_LEVEL) -> str:
    """Comments by their ids, without what hangs on them: works beside a deleted one (1.7 Q5), alias `c<position>`."""
    fields = depth.fields.removeprefix("id ")
    return f"query Singles{{{_by_class('comment', ids, locale, f'...on Comment{{{fields}}}')}}}"


def members_document(kind: str, component: str, own: str, parent: str | None, ids: Sequence[str], locale: str) -> str:
    """Which of these comments stand in one list, that of a row or of a comment, alias `c<position>`.

    A list with only one comment answers beside a deleted one (1.7 Q5, recordings 761 to 764): empty if it is no comment of this list.
    """
    lists = [ONE_LEVEL.selection(arguments=f'(singleCommentId:"{each}")') for each in ids]
    if parent is not None or kind in CLASSES:
        holder, holding = ("comment", parent) if parent is not None else (kind, own)
        asked = f'type:"{CLASSES[holder]}",locale:"{locale}",toggleTranslations:false'
        parts = [f'c{n}:commentable(id:"{holding}",{asked}){{id {each}}}' for n, each in enumerate(lists)]
        return f"query Members{{{' '.join(parts)}}}"
    parts = [f'c{n}:{kind}(id:"{own}"){{id {each}}}' for n, each in enumerate(lists)]
    return f'query Members{{component(id:"{component}"){{id ...on {_HOMES[kind]}{{{" ".join(parts)}}}}}}}'


def budgets_document(dialect: Dialect, component: str, after: str | None) -> str:
    """A page of a component's budgets with all their projects (names in snake case are the platform's own)."""
    cursor = f', after:"{after}"' if after else ""
    votes = "confirmedVotes address coordinates{latitude longitude} " if dialect.likes else ""
    grouped = (
        "taxonomies{id name" + _NAME + " parent{id}}"
        if dialect.taxonomies
        else f"category{{id name{_NAME}}} scope{{id name{_NAME}}}"
    )
    project = f"id title{_TEXT} description{_TEXT} budget_amount selected {votes}createdAt updatedAt reference totalCommentsCount {grouped}"
    budget = f"id title{_NAME} total_budget projects{{{project}}}"
    page = f"budgets(first:20{cursor}){{nodes{{{budget}}} pageInfo{{hasNextPage endCursor}}}}"
    return f'query Budgets{{component(id:"{component}"){{id ...on Budgets{{{page}}}}}}}'


def debates_by_id_document(component: str, ids: Sequence[str]) -> str:
    """Whether debates are there, alias `r<position>`."""
    parts = " ".join(f'r{position}:debate(id:"{each}"){{id}}' for position, each in enumerate(ids))
    return f'query Single{{component(id:"{component}"){{id ...on Debates{{{parts}}}}}}}'


def debates_document(dialect: Dialect, component: str, after: str | None, *, names: bool) -> str:
    """A page of debates."""
    cursor = f', after:"{after}"' if after else ""
    likes = "likesCount " if dialect.likes else ""
    grouped = (
        "taxonomies{id name" + _NAME + " parent{id}}"
        if dialect.taxonomies
        else f"category{{id name{_NAME}}} scope{{id name{_NAME}}}"
    )
    author = "author{__typename id" + (" name" if names else "") + "}"
    fields = (
        f"id title{_TEXT} description{_TEXT} createdAt updatedAt reference totalCommentsCount {likes}{author} {grouped}"
    )
    page = f"debates(first:{PAGE}{cursor}){{nodes{{{fields}}} pageInfo{{hasNextPage endCursor}}}}"
    return f'query Debates{{component(id:"{component}"){{id ...on Debates{{{page}}}}}}}'


def documents(dialect: Dialect) -> Mapping[str, str]:
    """Every kind of document this dialect can be sent, at its largest, for the tests."""
    roots = ["participatoryProcesses", "assemblies"]
    few = [str(each) for each in range(dialect.aliases)]
    return {
        "version": VERSION,
        "spaces": spaces_document(
            dialect, roots, f"{organization_name(dialect)} {light_selection(dialect, '1', 'NTA')}"
        ),
        "light": light_document(dialect, "1", "NTA"),
        "records": record_document(dialect, "1", "NTA", names=True),
        "by id": by_id_document(dialect, "1", few, names=True),
        "by id light": by_id_document(dialect, "1", few, names=True, light=True),
        "comments": comments_document("proposal", "1", few, "ca", Depth(2, True, True)),
        "comments of debates": comments_document("debate", "1", few, "ca", Depth(2, True, True)),
        "comments of projects": comments_document("project", "1", few, "ca", Depth(2, True, True)),
        "replies": replies_document(few, "ca", Depth(2, True, True)),
        "single comments": single_comments_document(few, "ca", Depth(1, True, True)),
        "members of a list": members_document("proposal", "1", "2", None, few, "ca"),
        "members of a list of replies": members_document("proposal", "1", "2", "3", few, "ca"),
        "parts": parts_document(few),
        "budgets": budgets_document(dialect, "1", "NTA"),
        "debates by id": debates_by_id_document("1", few),
        "debates": debates_document(dialect, "1", "NTA", names=True),
        **({"taxonomies": taxonomies_document()} if dialect.likes else {}),
    }
