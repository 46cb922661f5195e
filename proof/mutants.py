"""`make mutants`: one-line changes that would lose data, leak or publish twice, each caught by a test that names the rule.

`python -m proof.mutants WORD…` tries only those whose rule, file or test holds one of the words. Nothing in the checkout is changed:
two copies of it are.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from proof.mutant import Mutant, StaleMutant
from proof.mutants_publish import MUTANTS as PUBLISH
from proof.mutants_pull import MUTANTS as PULL
from proof.mutants_workers import MUTANTS as WORKING

ROOT = Path(__file__).parent.parent
WORKERS = 2
LONGEST = 120
"""Seconds after which a test that hangs is given up; a hanging test names no rule."""


class Copy:
    """A copy of the checkout, in a folder of its own, that is imported in its place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "civicsync"
        self.environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        for name in _files():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, self.folder / name)
        # Compiled once; a mutant's own compiled form is never kept (below).
        self._run("-m", "compileall", "-q", ".")
        where = self._run("-c", "import civicsync; print(civicsync.__file__)").stdout.strip()
        if Path(where).resolve() != (self.folder / "__init__.py").resolve():
            raise RuntimeError(f"the tests would import {where}, not the copy")

    def _run(self, *arguments: str, within: float | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=within,
        )

    def test(self, *names: str, within: float | None = None) -> subprocess.CompletedProcess[str]:
        """Run these tests until the first one fails."""
        return self._run("-m", "pytest", "-x", "-q", "-p", "no:randomly", *names, within=within)

    def ends(self, mutant: Mutant) -> str:
        """What becomes of a mutant: caught, or missed and why."""
        file = self.folder / mutant.file
        text, stamp = file.read_text(), file.stat()
        try:
            file.write_text(mutant.apply(text))
            # Python knows a compiled file by the second and the size of its source, and both may be the same.
            os.utime(file, (stamp.st_atime, stamp.st_mtime + 60))
            ended = self.test(mutant.test, within=LONGEST).returncode
        except subprocess.TimeoutExpired:
            return "MISSED (the test hangs)"
        finally:
            file.write_text(text)
            os.utime(file, (stamp.st_atime, stamp.st_mtime))
        # 1: a test failed. Anything else is a mistake in the mutant, such as code that cannot be imported.
        return "caught" if ended == 1 else "MISSED" if ended == 0 else f"MISSED (pytest ended with {ended})"


def _files() -> list[str]:
    told = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [name for name in dict.fromkeys(told.split("\0")) if name and (ROOT / name).is_file()]


def try_all(mutants: Sequence[Mutant], folder: Path) -> Iterator[tuple[Mutant, str]]:
    """What becomes of each, in order.

    Raises:
        RuntimeError: the tests do not even pass without a change.
    """
    copies: SimpleQueue[Copy] = SimpleQueue()
    for number in range(WORKERS):
        copies.put(Copy(folder / str(number)))

    def one(mutant: Mutant) -> str:
        copy = copies.get()
        try:
            return copy.ends(mutant)
        finally:
            copies.put(copy)

    copy = copies.get()
    unchanged = copy.test(*dict.fromkeys(each.test for each in mutants))
    copies.put(copy)
    if unchanged.returncode:
        raise RuntimeError(f"without a change the tests do not pass:\n{unchanged.stdout[-4000:]}")
    with ThreadPoolExecutor(WORKERS) as pool:
        yield from zip(mutants, pool.map(one, mutants), strict=True)


def main(words: Sequence[str]) -> int:
    """Try them and say what came of it."""
    every = (*PULL, *PUBLISH, *WORKING)
    chosen = [each for each in every if not words or any(w in f"{each.rule} {each.file} {each.test}" for w in words)]
    for each in chosen:
        each.apply((ROOT / each.file).read_text())
    caught = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        for mutant, ended in try_all(chosen, Path(folder)):
            caught += ended == "caught"
            print(f"{ended}  {mutant}", flush=True)
    print(f"{caught} of {len(chosen)} caught")
    return 0 if chosen and caught == len(chosen) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (StaleMutant, RuntimeError) as error:
        sys.exit(f"error: {error}")
