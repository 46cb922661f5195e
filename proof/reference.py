"""Make what must not drift: the references of configuration, views and states, and the JSON Schema, from the code itself.

`python -m proof.reference` writes them; `--check` says what is out of date (a test does so).
"""

import json
import sys
from pathlib import Path
from typing import Any

from civicsync.analysis.columns import VIEWS
from civicsync.app.operations import metrics
from civicsync.config.schema import json_schema
from civicsync.core.ledger import states

ROOT = Path(__file__).parent.parent


def pages() -> dict[Path, str]:
    """Every generated file with its text."""
    schema = json_schema()
    return {
        ROOT / "config" / "civicsync.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        ROOT / "docs" / "reference" / "config.md": _config(schema),
        ROOT / "docs" / "reference" / "views.md": _views("en"),
        ROOT / "docs" / "reference" / "views.nl.md": _views("nl"),
        ROOT / "docs" / "reference" / "states.md": _states(),
        ROOT / "docs" / "reference" / "metrics.md": metrics.reference(),
    }


def _config(schema: dict[str, Any]) -> str:
    lines = [
        "# Configuration",
        "",
        "One YAML 1.2 file, `civicsync.yaml` unless `--config` names another. Unknown and duplicate keys are errors. Any text may hold",
        "`${ENV_NAME}`; a secret is always `${ENV_NAME}` or `file:path`. This page is made from the models; so is",
        "`config/civicsync.schema.json`,",
        "which editors use to complete and check.",
        "",
    ]
    lines += _table("The file", schema)
    for name, part in schema["$defs"].items():
        if name not in {"ThirdParty"}:
            lines += _table(name, part)
    return "\n".join(lines).rstrip() + "\n"


def _table(name: str, part: dict[str, Any]) -> list[str]:
    lines = [
        f"## {name}",
        "",
        part.get("description", "").replace("\n", " "),
        "",
        "| key | type | default | meaning |",
        "|---|---|---|---|",
    ]
    required = set(part.get("required", ()))
    for key, field in part.get("properties", {}).items():
        default = (
            "required" if key in required else f"`{json.dumps(field.get('default'))}`" if "default" in field else ""
        )
        meaning = " ".join(str(field.get("description", "")).split()).replace("|", "\\|")
        lines.append(f"| `{key}` | {_type(field)} | {default} | {meaning} |")
    return [*lines, ""]


def _type(field: dict[str, Any]) -> str:
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(each) for each in field["anyOf"]))
    if "$ref" in field:
        return field["$ref"].rpartition("/")[2]
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    return {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "yes/no",
        "object": "mapping",
        "null": "nothing",
    }.get(str(field.get("type")), "")


_WORDS = {
    "en": (
        "# Views",
        (
            "What analysts query, with `civicsync query` or any SQL tool, and what exports hold. Names and columns are a promise;\n"
            "the tables behind them are not. On PostgreSQL the views are in the schema `civicsync`. `proposals` are originals; our own\n"
            "copies are in `all_proposals` only. Rows that are gone stay visible: filter on `gone_at IS NULL` for what is there now.\n"
            "Times are UTC. Never sum counters over platforms and call the result people. Totals are made after each pull\n"
            "(`refreshed_at`). This page is made from `analysis/columns.py`; [in Dutch](views.nl.md)."
        ),
        ("column", "type", "meaning", "empty means"),
        "Rows are told apart by",
        "never empty",
    ),
    "nl": (
        "# Weergaven",
        (
            "Wat analisten bevragen, met `civicsync query` of elk ander SQL-programma, en wat exports bevatten. Namen en kolommen\n"
            "zijn een belofte; de tabellen erachter niet. Op PostgreSQL staan ze in het schema `civicsync`. `proposals` zijn\n"
            "originelen; onze eigen kopieën staan alleen in `all_proposals`. Rijen die weg zijn blijven zichtbaar: filter op\n"
            "`gone_at IS NULL` voor wat er nu is. Tijden zijn UTC. Tel nooit tellers van verschillende platforms bij elkaar op\n"
            "alsof het mensen zijn. Totalen worden na elke keer ophalen gemaakt (`refreshed_at`). Deze bladzijde is gemaakt uit\n"
            "`analysis/columns.py`; [in het Engels](views.md)."
        ),
        ("kolom", "type", "betekenis", "leeg betekent"),
        "Rijen zijn te onderscheiden door",
        "nooit leeg",
    ),
}


def _views(language: str) -> str:
    """The data dictionary: every view, every column, in words."""
    title, intro, heads, told_apart, never = _WORDS[language]
    english = language == "en"
    lines = [title, "", intro, ""]
    for view in VIEWS.values():
        lines += [f"## {view.name}", "", f"{view.en if english else view.nl}.", ""]
        if view.key:
            lines += [f"{told_apart} {', '.join(f'`{name}`' for name in view.key)}.", ""]
        lines += [f"| {' | '.join(heads)} |", "|---|---|---|---|"]
        for column in view.columns:
            meaning, empty = (column.en, column.null_en) if english else (column.nl, column.null_nl)
            sort = f"{column.type}, {column.unit}" if column.unit else str(column.type)
            lines.append(f"| `{column.name}` | {sort} | {meaning} | {empty or never} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


_BY_HAND = "<!-- what follows is made from core/ledger/states.py by `python -m proof.reference` -->"


def _states() -> str:
    """The page's own part (the states of proposals), then what the enums and the table of moves say."""
    page = ROOT / "docs" / "reference" / "states.md"
    lines = [page.read_text(encoding="utf-8").partition(_BY_HAND)[0].rstrip(), "", _BY_HAND, ""]
    for title, enum, moves in (
        ("Publications", states.PublicationState, states.PUBLICATION_MOVES),
        ("Operations", states.OperationState, states.OPERATION_MOVES),
    ):
        lines += [f"## {title}", "", "| `state` | meaning | goes to (by whom) |", "|---|---|---|"]
        lines += [f"| `{state}` | {state.meaning} | {_onward(state, moves)} |" for state in enum]
        lines += ["", f"A new one begins as {_onward(None, moves)}.", ""]
    for title, enum in (
        ("Who moves them", states.Actor),
        ("What is written", states.OperationKind),
        ("Lanes", states.Lane),
        ("Reasons (`reason_code`)", states.Reason),
    ):
        lines += [f"## {title}", "", "| word | meaning |", "|---|---|"]
        lines += [f"| `{member or '(empty)'}` | {member.meaning} |" for member in enum]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _onward(before: str | None, moves: states.Moves) -> str:
    actors = {after: sorted(by) for (origin, after), by in moves.items() if origin == before}
    return ", ".join(f"`{after}` ({', '.join(by)})" for after, by in sorted(actors.items())) or "nowhere"


def main(check: bool) -> int:
    """Write or compare."""
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if not check:
            path.write_text(pages()[path], encoding="utf-8")
        print(f"{'stale' if check else 'wrote'} {path.relative_to(ROOT)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv))
