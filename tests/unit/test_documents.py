"""What must not drift: generated pages, examples, migrations, and every document a connector can send."""

import re
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine
from sqlmodel import SQLModel

from civicsync.config.load import load
from civicsync.connectors.consul import dialects as consul
from civicsync.connectors.consul.sandbox.interface import SDL
from civicsync.connectors.decidim import dialects as decidim
from civicsync.connectors.testing.graphql_ruby.engine import Engine as GraphQL
from civicsync.connectors.testing.graphql_ruby.engine import RubyProfile, validate_document
from civicsync.core.schema import tables
from proof.reference import pages

ROOT = Path(__file__).parent.parent.parent
SCHEMAS = ROOT / "connectors" / "decidim" / "sandbox" / "schemas"


def test_generated_pages_are_fresh() -> None:
    assert not [path.name for path, text in pages().items() if path.read_text(encoding="utf-8") != text]


@pytest.mark.parametrize("file", sorted((ROOT / "config" / "examples").glob("*.yaml")), ids=lambda file: file.stem)
def test_examples_are_valid(file: Path) -> None:
    names = set(re.findall(r"^[^#\n]*\$\{(\w+)\}", file.read_text(encoding="utf-8"), re.MULTILINE))
    assert load(file, dict.fromkeys(names, "k" * 64)).instances


def test_migrations_make_what_the_models_say(engine: Engine) -> None:
    assert tables.ROWS
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) == []


@pytest.mark.parametrize("name", ["A", "B", "C"])
def test_every_consul_document_is_valid_and_affordable(name: str) -> None:
    dialect = consul.DIALECTS[name]
    limits = {"A": RubyProfile((1, 11), 8, 2500, "consul_a", page=50), "B": RubyProfile((1, 12))}
    engine = GraphQL(SDL[name], {}, limits.get(name, RubyProfile((1, 13), 8, 2500, "multiplied", page=25)))
    for what, document in consul.documents(dialect).items():
        assert validate_document(SDL[name], document) == [], what
        assert engine.limits(document) == [], what


@pytest.mark.parametrize("line", ["0.27", "0.28", "0.29", "0.30", "0.31", "0.32"])
def test_every_decidim_document_is_valid_and_affordable(line: str) -> None:
    sdl = (SCHEMAS / f"{line}.graphql").read_text(encoding="utf-8")
    missing = {
        "0.27": {"withdrawn", "taxonomies", "likesCount", "updatedAt"},
        "0.29": {"taxonomies", "likesCount", "updatedAt"},
    }
    missing |= {"0.28": missing["0.27"], "0.30": {"likesCount", "updatedAt"}, "0.31": {"updatedAt"}, "0.32": set()}
    dialect = decidim.dialect_of(missing[line], f"{line}.0" if line in {"0.27", "0.28", "0.29"} else None)
    assert dialect.name == line
    gem = (1, 12) if line == "0.27" else (2, 4)
    rule = "flat" if line == "0.27" else "multiplied"
    strict = line in {"0.30", "0.31", "0.32"}
    profile = RubyProfile(
        gem, 15, 5000, rule, page=50, max_aliases=5 if strict else None, max_recursion=2 if strict else None
    )
    engine = GraphQL(sdl, {}, profile)
    for what, document in decidim.documents(dialect).items():
        assert validate_document(sdl, document) == [], what
        assert engine.limits(document) == [], what
