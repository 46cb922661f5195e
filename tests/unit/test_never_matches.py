"""A route or an instance that can never match anything is an error, not a silence."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from civicsync.config.load import load
from civicsync.connectors.contract.reading import KINDS
from civicsync.core import journal
from civicsync.core.clock import FakeClock
from civicsync.core.items import Item, Page
from civicsync.core.records import Category, Space
from civicsync.core.store.store import InstanceStore
from civicsync.sync.publish.never_matches import never_matches

HEAD = """\
civicsync: 1
operator: {name: Stad, contact: a@b.example}
privacy: {key: "${KEY}"}
instances:
  west: {platform: consul, url: https://west.example%s}
  east: {platform: decidim, url: https://east.example}
routes:
  r: {from: {instance: west%s}, to: {instance: east, space: component/1}}
"""


def reasons(folder: Path, engine: Engine, source: str = "", more: str = "", *, pulled: bool = True) -> str:
    clock = FakeClock()
    spaces = [
        Item(
            f"section/{name}",
            name.encode().ljust(16),
            lambda own=name: [Space(kind="section", id=own, names={"und": own})],
        )
        for name in ("proposals", "debates")
    ]
    category = Item("category/1", b"c" * 16, lambda: [Category(id="1", names={"und": "Groen"})])
    store = InstanceStore(engine, "west", [], clock, kinds=KINDS)
    store.write(Page("sections", spaces))
    store.write(Page("categories", [category]))
    row = {"name": "west", "platform": "consul", "url": "https://west.example"}
    journal.save_instance(engine, {**row, "last_success_at": clock.now() if pulled else None})
    file = folder / "civicsync.yaml"
    file.write_text(HEAD % (more, source))
    return "; ".join(never_matches(load(file, {"KEY": "0123456789abcdef" * 4}), engine, "r"))


@pytest.mark.parametrize(
    ("source", "more", "why"),
    [
        (", where: {kind: project}", "", "consul has no project; it has proposal"),
        (", where: {older_than: 2d, younger_than: 1d}", "", "nothing is older than 2d and younger than 1d"),
        (", space: section/nothing", "", "west/section/nothing is not in the database"),
        (", where: {category: Rood}", "", "west has no category 'Rood'"),
        (
            ", space: section/debates",
            ", spaces: [section/proposals]",
            "section/debates is left out by `spaces` of west",
        ),
    ],
)
def test_what_can_never_match_is_told(tmp_path: Path, engine: Engine, source: str, more: str, why: str) -> None:
    assert why in reasons(tmp_path, engine, source, more)


@pytest.mark.parametrize(
    "source",
    ["", ", space: section/debates", ", where: {category: Groen, kind: [proposal, project], younger_than: 9d}"],
)
def test_what_may_match_is_not(tmp_path: Path, engine: Engine, source: str) -> None:
    assert reasons(tmp_path, engine, source) == ""


def test_before_the_first_pull_nobody_knows_what_there_is(tmp_path: Path, engine: Engine) -> None:
    assert reasons(tmp_path, engine, ", space: section/nothing", pulled=False) == ""
