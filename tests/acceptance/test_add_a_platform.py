"""docs/howto/add-a-platform.md, followed to the letter in a folder and an environment of its own."""

import os
import re
import subprocess
from pathlib import Path

from tests.support.wheels import Environment

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "add-a-platform.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"`agora-connector/([\w.]+)`")


def test_the_page_can_be_followed(tmp_path: Path, civicsync_environment: Environment) -> None:
    """Every block in its order: a shell's is run, any other is the file that the words before it name."""
    text, folder, said, before = PAGE.read_text(encoding="utf-8"), tmp_path, "", 0
    for block in BLOCK.finditer(text):
        language, content = block.groups()
        if language == "sh":
            said += run(folder, content, civicsync_environment)
            folder = tmp_path / "agora-connector"
        else:
            (folder / FILE.findall(text[before : block.start()])[-1]).write_text(content, encoding="utf-8")
        before = block.end()
    assert re.search(r"^\d+ passed in ", said, re.MULTILINE), said
    assert "skipped" not in said, "a check was skipped"
    assert "More trees" in said and "agora" in said, said
    assert not list(folder.glob("fake*")), "the copy is renamed, not kept beside"


def run(folder: Path, commands: str, environment: Environment) -> str:
    """The commands of one block, in one shell that stops at the first that fails."""
    done = subprocess.run(
        ["sh", "-e", "-c", commands],
        cwd=folder,
        env={**os.environ, **environment.variables()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout
