"""What can be asked with `civicsync query`, and what was probably meant: loaded only by who needs to be told."""

import difflib
import re
from collections.abc import Mapping

from ...analysis.columns import VIEWS
from ...config import Config
from .common import out, print_json, print_table
from .state import state

_NO_VIEW = re.compile(r"no such table: (?:main\.)?(\S+)|relation \"([^\"]+)\" does not exist")
_NO_COLUMN = re.compile(r"no such column: (\S+)|column \"?([\w.]+)\"? does not exist")
_FORMER_NAMES = {"texts": "proposal_texts", "versions": "proposal_versions"}


def near(message: str, statement: str) -> str:
    """What was probably meant, behind a message that something is not there."""
    if found := _NO_VIEW.search(message):
        name = (found[1] or found[2]).rpartition(".")[2].lower()
        meant = [_FORMER_NAMES[name]] if name in _FORMER_NAMES else difflib.get_close_matches(name, VIEWS, 3, 0.5)
        return f"; did you mean {' or '.join(meant)}?" if meant else f"; the views: {', '.join(VIEWS)}"
    if found := _NO_COLUMN.search(message):
        name = (found[1] or found[2]).rpartition(".")[2].lower()
        asked = [view for view in VIEWS.values() if re.search(rf"\b{view.name}\b", statement, re.IGNORECASE)]
        columns = dict.fromkeys(column.name for view in asked for column in view.columns)
        meant = difflib.get_close_matches(name, columns, 3, 0.5)
        if meant:
            return f"; did you mean {' or '.join(meant)}?"
        return f"; the columns there: {', '.join(columns)}" if columns else ""
    return ""


def no_statement(word: str, queries: Mapping[str, str]) -> str:
    """What to say of one word that is neither SQL nor the name of a saved question."""
    if word in VIEWS:
        more = f"it is a view; its rows: SELECT * FROM {word}"
    elif meant := difflib.get_close_matches(word, [*queries, *VIEWS], 3):
        more = f"did you mean {' or '.join(meant)}?"
    else:
        more = f"`queries:` has: {', '.join(queries) or 'nothing'}"
    return f"{word!r} is neither SQL nor a question saved under `queries:` in {state.config_file}; {more}"


def show_what_can_be_asked(config: Config, *, json: bool) -> None:
    """The saved questions, and the views with their columns."""
    if json:
        views = [
            {
                "view": view.name,
                "meaning": view.en,
                "columns": {
                    column.name: {
                        "type": column.type,
                        "meaning": column.en,
                        "empty": column.null_en,
                        "unit": column.unit,
                    }
                    for column in view.columns
                },
            }
            for view in VIEWS.values()
        ]
        print_json({"queries": config.queries, "views": views}, data=True)
        return
    saved = [{"name": name, "sql": " ".join(sql.split())} for name, sql in config.queries.items()]
    print_table(
        saved, {"name": "saved", "sql": "asks"}, empty="no questions are saved (`queries:` of the configuration)"
    )
    out.print()
    print_table(
        [{"view": view.name, "meaning": view.en} for view in VIEWS.values()],
        {"view": "view", "meaning": "what it holds"},
        empty="",
    )
    out.print("their columns: docs/reference/views.md, or --json", style="dim", markup=False)
