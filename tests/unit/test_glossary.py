"""The glossary is the law for names: what it bans is nowhere in the code, and what it names is there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROOMS = ("analysis", "app", "config", "connectors", "core", "sync", "proof")
PAGE = (ROOT / "docs" / "reference" / "glossary.md").read_text(encoding="utf-8")
BANNED = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Names that were two things")[2], re.MULTILINE)
PREFERRED = set(re.findall(r"`(\w+)(?:\.\w+)*`", PAGE)) - set(BANNED)


def _names() -> Iterator[tuple[str, str]]:
    """Every class and function that our own code defines or imports from itself, with where."""
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            where = path.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    yield node.name, where
                elif isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("civicsync")):
                    yield from ((each.name, where) for each in node.names)


NAMES = list(_names())


def test_there_are_banned_names_to_look_for() -> None:
    assert len(BANNED) > 15


@pytest.mark.parametrize("banned", BANNED)
def test_a_banned_name_is_nowhere(banned: str) -> None:
    assert not [where for name, where in NAMES if name == banned]


def test_what_the_glossary_names_is_in_the_code() -> None:
    known = {name for name, _ in NAMES}
    classes = {name for name in PREFERRED if name[0].isupper() and not name.isupper()}
    assert not classes - known
