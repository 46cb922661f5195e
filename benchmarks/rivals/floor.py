"""The least that any program must do: read every page, copy the rows, unread, into one table with a key. No promise is kept.

Shows what is left to win on this machine: no pull into this database from this server can be faster.
Usage: python -m benchmarks.rivals.floor URL POSTGRES_URL
"""

import http.client
import sys
from urllib.parse import urlsplit

import msgspec
import psycopg

URL, DATABASE = sys.argv[1:3]
QUERY = (
    "{ proposals(first:500%s){ nodes{ id title summary description videoUrl cachedVotesUp commentsCount publicCreatedAt "
    "retiredAt retiredReason geozoneId publicAuthor{id} } pageInfo{ hasNextPage endCursor } } }"
)
COLUMNS = (
    *("id", "title", "summary", "description", "videoUrl", "cachedVotesUp", "commentsCount", "publicCreatedAt"),
    *("retiredAt", "retiredReason", "geozoneId"),
)


def main() -> None:
    """Into a new table."""
    with psycopg.connect(DATABASE) as connection:
        server = http.client.HTTPConnection(urlsplit(URL).netloc)
        connection.execute("DROP TABLE IF EXISTS floor")
        connection.execute(
            "CREATE TABLE floor (id text PRIMARY KEY, title text, summary text, description text, video text, votes bigint, "
            "comments bigint, created text, retired text, reason text, geozone bigint, author text)"
        )
        after, more = "", True
        with connection.cursor() as cursor, cursor.copy("COPY floor FROM STDIN") as copy:
            while more:
                server.request("POST", "/graphql", msgspec.json.encode({"query": QUERY % after}))
                page = msgspec.json.decode(server.getresponse().read())["data"]["proposals"]
                for node in page["nodes"]:
                    copy.write_row((*(node[name] for name in COLUMNS), node["publicAuthor"]["id"]))
                more = page["pageInfo"]["hasNextPage"]
                after = f', after:"{page["pageInfo"]["endCursor"]}"'


main()
