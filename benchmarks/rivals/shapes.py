"""What the rivals ask of each platform's shape, and which fields they get: the same as civicsync asks for.

Runs in the rivals' own environments, so it imports nothing but the standard library.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

Ask = Callable[[str, Any], bytes]
"""(path, JSON to POST or None to GET) -> the answer's body."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """What of a platform's interface becomes a table. `plain`: fields with their types (text, number, yes_or_no); `nested`: objects and
    lists; `told`: the fields that all contestants must hold."""

    pages: Callable[[Ask, list[Any]], Iterator[list[Row]]]
    """Asks for all rows; the list is of the proposals that have a thread, which those of proposals fill and those of threads may need."""
    plain: Mapping[str, str]
    nested: Sequence[str]
    lists: Sequence[str]
    told: Sequence[str]

    def digest_of(self, row: Mapping[str, Any]) -> str:
        """What all contestants must hold of a row, whatever their columns are called and in whatever order they keep an object."""
        values = [row.get(name) for name in ("id", *self.told)]
        return json.dumps([str(values[0]), *values[1:]], sort_keys=True, ensure_ascii=False)


Shape = Mapping[str, Table]
"""The tables of one platform: `proposals` and `threads`, in the order in which they are asked for."""


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


_COMMENTS = (
    "{ comments(first:500%s){ nodes{ id body ancestry commentableId commentableType publicCreatedAt cachedVotesUp cachedVotesDown "
    "publicAuthor{id} } pageInfo{ hasNextPage endCursor } } }"
)


def _connection(document: str, path: str, *inside: str) -> Callable[[Ask, list[Any]], Iterator[list[Row]]]:
    def pages(ask: Ask, threads: list[Any]) -> Iterator[list[Row]]:
        after = ""
        while True:
            page = json.loads(ask(path, {"query": document % after}))["data"]
            for name in inside:
                page = page[name]
            yield page["nodes"]
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = f', after:"{page["pageInfo"]["endCursor"]}"'

    return pages


def _file(ask: Ask, threads: list[Any]) -> Iterator[list[Row]]:
    rows = csv.DictReader(
        io.StringIO(ask("/open-data/download/proposal_comments", None).decode(), newline=""), delimiter=";"
    )
    while page := list(islice(rows, 1000)):
        yield page


def _posts(ask: Ask, threads: list[Any]) -> Iterator[list[Row]]:
    start = 0
    while True:
        answer = json.loads(ask(f"/api/groups/1/posts/oldest/null/open?offset={start}", None))
        threads += [post["id"] for post in answer["posts"] if post["counter_points"]]
        yield answer["posts"]
        start += len(answer["posts"])
        if start >= answer["totalPostsCount"]:
            return


def _points(ask: Ask, threads: list[Any]) -> Iterator[list[Row]]:
    for post in threads:
        yield json.loads(ask(f"/api/posts/{post}/newPoints?latestPointCreatedAt=1970-01-01T00:00:00.000Z", None))


def _of(kind: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), kind)


SHAPES: Mapping[str, Shape] = {
    "consul": {
        "proposals": Table(
            _connection(_CONSUL, "/graphql", "proposals"),
            _of("text", "id title summary description videoUrl publicCreatedAt retiredAt retiredReason")
            | _of("number", "cachedVotesUp commentsCount geozoneId"),
            ("publicAuthor",),
            (),
            ("title", "description", "cachedVotesUp", "commentsCount"),
        ),
        "threads": Table(
            _connection(_COMMENTS, "/graphql", "comments"),
            _of("text", "id body ancestry commentableType publicCreatedAt")
            | _of("number", "commentableId cachedVotesUp cachedVotesDown"),
            ("publicAuthor",),
            (),
            ("body", "commentableId", "cachedVotesUp"),
        ),
    },
    "decidim": {
        "proposals": Table(
            _connection(_DECIDIM, "/api", "component", "proposals"),
            _of("text", "id reference state withdrawnAt createdAt updatedAt publishedAt answeredAt address")
            | _of("number", "voteCount totalCommentsCount likesCount")
            | _of("yes_or_no", "withdrawn official createdInMeeting"),
            ("coordinates", "title", "body", "answer", "author", "taxonomies", "meeting", "amendments"),
            ("taxonomies", "amendments"),
            ("title", "body", "voteCount", "totalCommentsCount"),
        ),
        "threads": Table(
            _file,
            _of(
                "text",
                "id created_at body locale author/id author/name alignment depth user_group/id user_group/name commentable_id "
                "commentable_type root_commentable_url",
            ),
            (),
            (),
            ("body", "root_commentable_url", "alignment"),
        ),
    },
    "your-priorities": {
        "proposals": Table(
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
        "threads": Table(
            _points,
            _of("text", "name content status language created_at")
            | _of(
                "number", "id value user_id group_id post_id parent_point_id counter_quality_up counter_quality_down"
            ),
            ("User", "PointRevisions", "PointQualities", "PointAudios", "PointVideos", "Post"),
            ("PointRevisions", "PointQualities", "PointAudios", "PointVideos"),
            ("content", "post_id", "counter_quality_up"),
        ),
    },
}
