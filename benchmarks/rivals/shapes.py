"""What the rivals ask of each platform's shape, and which fields they get: the same as civicsync asks for.

Runs in the rivals' own environments, so it imports nothing but the standard library.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Ask = Callable[[str, Any], Any]
"""(path, JSON to POST or None to GET) -> the answer's JSON."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """One platform's interface for the race. `plain`: fields with their types (text, number, yes_or_no); `nested`: objects and lists."""

    pages: Callable[[Ask], Iterator[list[Row]]]
    plain: Mapping[str, str]
    nested: Sequence[str]
    lists: Sequence[str]
    told: tuple[str, str, str, str]
    """The fields that hold the title, the body, the supports and the number of comments."""

    def digest_of(self, row: Mapping[str, Any]) -> str:
        """What all contestants must hold of a row, whatever their columns are called and in whatever order they keep an object."""
        values = [row.get(name) for name in ("id", *self.told)]
        return json.dumps([str(values[0]), *values[1:]], sort_keys=True, ensure_ascii=False)


_CONSUL = (
    "{ proposals(first:500%s){ nodes{ id title summary description videoUrl cachedVotesUp commentsCount publicCreatedAt "
    "retiredAt retiredReason geozoneId publicAuthor{id} } pageInfo{ hasNextPage endCursor } } }"
)
_TEXT = "{translations{locale text machineTranslated}}"
_DECIDIM = (
    'query Records{component(id:"1"){id ...on Proposals{proposals(first:50%s, order:{id:"asc"}){nodes{id reference state withdrawn '
    "withdrawnAt voteCount totalCommentsCount likesCount createdAt updatedAt publishedAt answeredAt official createdInMeeting address "
    f"coordinates{{latitude longitude}} title{_TEXT} body{_TEXT} answer{_TEXT} author{{__typename id}} "
    "taxonomies{id name{translations{locale text}} parent{id}} meeting{id} amendments{emendation{id}}} "
    "pageInfo{hasNextPage endCursor}}}}}"
)


def _connection(ask: Ask, path: str, document: str, *inside: str) -> Iterator[list[Row]]:
    after = ""
    while True:
        page = ask(path, {"query": document % after})["data"]
        for name in inside:
            page = page[name]
        yield page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = f', after:"{page["pageInfo"]["endCursor"]}"'


def _posts(ask: Ask) -> Iterator[list[Row]]:
    start = 0
    while True:
        answer = ask(f"/api/groups/1/posts/oldest/null/open?offset={start}", None)
        yield answer["posts"]
        start += len(answer["posts"])
        if start >= answer["totalPostsCount"]:
            return


def _of(kind: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), kind)


SHAPES = {
    "consul": Shape(
        lambda ask: _connection(ask, "/graphql", _CONSUL, "proposals"),
        _of("text", "id title summary description videoUrl publicCreatedAt retiredAt retiredReason")
        | _of("number", "cachedVotesUp commentsCount geozoneId"),
        ("publicAuthor",),
        (),
        ("title", "description", "cachedVotesUp", "commentsCount"),
    ),
    "decidim": Shape(
        lambda ask: _connection(ask, "/api", _DECIDIM, "component", "proposals"),
        _of("text", "id reference state withdrawnAt createdAt updatedAt publishedAt answeredAt address")
        | _of("number", "voteCount totalCommentsCount likesCount")
        | _of("yes_or_no", "withdrawn official createdInMeeting"),
        ("coordinates", "title", "body", "answer", "author", "taxonomies", "meeting", "amendments"),
        ("taxonomies", "amendments"),
        ("title", "body", "voteCount", "totalCommentsCount"),
    ),
    "your-priorities": Shape(
        _posts,
        _of("text", "name description status language created_at")
        | _of(
            "number",
            "id official_status content_type group_id category_id counter_endorsements_up counter_endorsements_down",
        )
        | _of("number", "counter_points"),
        ("location", "public_data", "data", "Category", "Group", "User", "PostHeaderImages", "PostVideos"),
        ("PostHeaderImages", "PostVideos"),
        ("name", "description", "counter_endorsements_up", "counter_points"),
    ),
}
