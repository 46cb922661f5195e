"""Make the recorded CONSUL cities: the state of real installations, put together from their recorded pages.

Writes `connectors/consul/sandbox/recorded/<version>.json`: rows by table in their physical order, as the interface showed them.
"""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "connectors" / "consul" / "sandbox" / "recorded"
PAGES = {
    "proposals": "100-proposals-page",
    "debates": "120-debates-page",
    "comments": "121-comments-page",
    "users": "122-users-page",
    "tags": "123-tags-page",
    "geozones": "124-geozones-page",
    "notifications": "125-notifications-page",
    "budgets": "126-budgets-page",
    "milestones": "127-milestones-page",
    "votes": "128-votes-page",
}


def state(version: str) -> dict[str, Any]:
    """The rows of one installation."""
    lines = (ROOT / "tests" / "recordings" / f"consul-{version}.jsonl").read_text(encoding="utf-8").split("\n")
    found = {d["name"]: d for d in (json.loads(line) for line in lines if line.strip())}

    def data(name: str) -> Any:
        return ((found.get(name, {}).get("response") or {}).get("json") or {}).get("data") or {}

    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in (*PAGES, "investments")}
    for table, prefix in PAGES.items():
        for name in sorted(n for n in found if re.fullmatch(re.escape(prefix) + r"\d+", n)):
            for connection in data(name).values():
                known = {row["id"] for row in tables[table]}
                tables[table] += [row for row in connection["nodes"] if row["id"] not in known]
    for name in ("130-budget-investments-all-budgets", "130b-budget2-investments-page2"):
        known = {row["id"] for row in tables["investments"]}
        rows = ((data(name).get("budget") or {}).get("investments") or {}).get("nodes") or []
        tables["investments"] += [row for row in rows if row["id"] not in known]
    for row in (data("131-budget-investment-of-another-budget").get("budget") or {}).values():
        for other in tables["investments"] if isinstance(row, dict) else ():
            if other["id"] == row["id"]:
                other.update({field: value for field, value in row.items() if field not in other})
    extra: dict[str, Any] = {"tags": {}, "milestones": {}, "hidden": {}, "singles": {}}
    nested = [
        data(name).get("proposal") or {} for name in ("142-proposal-nested-milestones", "143-proposal-nested-all")
    ]
    nested += (data("244-complexity-2430-ok").get("proposals") or {}).get("nodes") or []
    for proposal in nested:
        known = {row["id"] for row in tables["votes"]}
        tables["votes"] += [
            row
            for row in (proposal.get("votesFor") or {}).get("nodes") or []
            if row["id"] not in known and "votableId" in row
        ]
        for part in ("tags", "milestones"):
            if part in proposal:
                extra[part][proposal["id"]] = [row["id"] for row in proposal[part]["nodes"]]
    for name in ("170-leak-user-publicProposals", "171-leak-user-publicComments"):
        user = data(name).get("user") or {}
        for field, table in (
            ("publicProposals", "proposals"),
            ("publicDebates", "debates"),
            ("publicComments", "comments"),
        ):
            known = {row["id"] for row in tables[table]}
            rows = [row for row in (user.get(field) or {}).get("nodes") or [] if row["id"] not in known]
            extra["hidden"].setdefault(table, []).extend({**row, "author": user["id"]} for row in rows)
    for name, record in found.items():
        match = re.match(r"(16[4-8]|260|261|262|263)", name)
        if match and isinstance(data(name), dict):
            for kind, row in data(name).items():
                if isinstance(row, dict):
                    extra["singles"].setdefault(kind, []).append(row)
        if name.startswith("26") and record["response"] and record["response"]["status"] == 404:
            body = record["request"]["body"]
            extra["singles"].setdefault("absent", []).append(body.get("query") if isinstance(body, dict) else body)
    return {"tables": tables, **extra}


if __name__ == "__main__":
    for each in ("2.1.1", "2.2.2", "2.5.1"):
        made = state(each)
        (TARGET / f"{each}.json").write_text(
            json.dumps(made, ensure_ascii=False, separators=(",", ":")), encoding="utf-8"
        )
        print(
            each,
            {name: len(rows) for name, rows in made["tables"].items()},
            {k: len(v) for k, v in made["hidden"].items()},
        )
