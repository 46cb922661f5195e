"""Bring recorded exchanges into `tests/recordings/`: one JSON Lines file per platform and version, the interfaces beside them."""

import json
import shutil
import sys
from pathlib import Path

TARGET = Path(__file__).parent.parent / "tests" / "recordings"


def collect(source: Path) -> None:
    """Read `source/<platform>[/<version>]/*.json` and write the collected files."""
    folders = sorted({file.parent for file in source.rglob("*.json")})
    for folder in folders:
        name = "-".join(folder.relative_to(source).parts)
        lines: list[str] = []
        for file in sorted(folder.glob("*.json")):
            data = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(data, dict) or "request" not in data:
                shutil.copyfile(file, TARGET / f"{name}.{file.name}")
                continue
            record = {
                "name": file.stem,
                "note": data.get("note"),
                "request": data["request"],
                "response": data["response"],
            }
            lines.append(json.dumps(record, ensure_ascii=False, separators=(",", ":")))
        (TARGET / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for interface in folder.glob("*.graphql"):
            shutil.copyfile(interface, TARGET / f"{name}.graphql")
        print(f"{name}: {len(lines)} exchanges")


if __name__ == "__main__":
    collect(Path(sys.argv[1]))
