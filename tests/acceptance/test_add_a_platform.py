"""docs/howto/add-a-platform.md, followed to the letter in a folder and an environment of its own."""

import os
import re
import subprocess
from pathlib import Path

from tests.support.wheels import Environment

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "add-a-platform.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"`agora-connector/([\w.]+)`")

FOLLOW = """
import os, civicsync
from agora import CONNECTOR, AgoraPlatform
os.environ["CIVICSYNC_KEY"] = "0123456789abcdef" * 4
project = civicsync.load("civicsync.yaml")
[first] = civicsync.pull(project, "square", full=True)
board = AgoraPlatform.of("http://agora.invalid")
board.posts[2].hidden = True
board.posts[3].supports = 9
gone, still = [run for _ in range(2) for run in civicsync.pull(project, "square", full=True)]
assert CONNECTOR.kinds["proposals"] == ("idea",), CONNECTOR.kinds
print(first.outcome, gone.outcome, still.outcome, [first.gone, gone.gone, still.gone])
with civicsync.connect(project) as database:
    sql = "SELECT kind, remote_id, supports, gone_at IS NOT NULL AS gone FROM proposals WHERE instance = 'square' ORDER BY 2"
    print([tuple(row.values()) for row in database.rows(sql)])
"""
"""A pull, something hidden and something supported, two pulls: in one process, for the board lives in it."""
FOLLOWED = """done done done [0, 1, 0]
[('idea', '1', 0, 0), ('idea', '2', 1, 1), ('idea', '3', 9, 0)]
"""


KEY = "0123456789abcdef" * 4


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
    assert "square-to-market" in said and "copy: square/idea/1" in said, said
    assert "copies into board/1" in said, "the route was checked"
    (folder / "follow.py").write_text(FOLLOW, encoding="utf-8")
    assert FOLLOWED in run(folder, "python follow.py", civicsync_environment)


def run(folder: Path, commands: str, environment: Environment) -> str:
    """The commands of one block, in one shell that stops at the first that fails."""
    done = subprocess.run(
        ["sh", "-e", "-c", commands],
        cwd=folder,
        env={**os.environ, **environment.variables(), "CIVICSYNC_KEY": KEY},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout
