"""Make what must not drift: the configuration reference, the view reference and the JSON Schema, from the models themselves.

`python -m proof.reference` writes them; `--check` says what is out of date (a test does so).
"""

import json
import sys
from pathlib import Path
from typing import Any

from civicsync.config.schema import json_schema
from civicsync.core.schema.views import VIEWS

ROOT = Path(__file__).parent.parent


def pages() -> dict[Path, str]:
    """Every generated file with its text."""
    schema = json_schema()
    return {
        ROOT / "config" / "civicsync.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n",
        ROOT / "docs" / "reference" / "config.md": _config(schema),
        ROOT / "docs" / "reference" / "views.md": _views(),
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


def _views() -> str:
    lines = [
        "# Views",
        "",
        "What analysts query, with `civicsync query` or any SQL tool. Names and columns are a promise; the tables behind them are not.",
        "Rows that are gone stay visible: filter on `gone_at IS NULL` for what is there now. Times are UTC. Never sum counters over copies",
        "and call the result people: show them per platform.",
        "",
    ]
    for name, sql in VIEWS.items():
        body = "\n".join(line.strip() for line in sql.strip().splitlines())
        lines += [f"## {name}", "", "```sql", body, "```", ""]
    return "\n".join(lines).rstrip() + "\n"


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
