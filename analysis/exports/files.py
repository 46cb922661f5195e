"""Files that are there whole or not at all: written beside their place, on the disk, then renamed."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Generator
from pathlib import Path

PRIVATE = 0o600
PUBLIC = 0o666
"""As the process's umask allows."""


@contextlib.contextmanager
def beside(path: Path, *, private: bool = True) -> Generator[Path]:
    """A path to write to; what was written takes the place of `path` at the end, or is removed if anything failed.

    Raises:
        OSError: the folder does not exist or cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE if private else PUBLIC))
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        _flush_folder(path.parent)
    finally:
        for left in (temporary, *(temporary.with_name(temporary.name + end) for end in ("-journal", "-wal", "-shm"))):
            left.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch(path: Path, *, private: bool = True) -> Generator[Path]:
    """A folder beside a path that is removed at the end whatever happens."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    temporary.mkdir(mode=0o700 if private else 0o777)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def folder_beside(path: Path, *, private: bool = True) -> Generator[Path]:
    """A folder to fill; at the end its files take their places in `path`, which may have others, or none of them does.

    Raises:
        OSError: the folder above cannot be written to, or `path` is a file.
    """
    with scratch(path, private=private) as temporary:
        yield temporary
        for each in sorted(temporary.iterdir()):
            flush(each)
            if private:
                each.chmod(PRIVATE)
        if path.exists():
            for each in sorted(temporary.iterdir()):
                each.replace(path / each.name)
        else:
            temporary.replace(path)
        _flush_folder(path.parent)


def flush(path: Path) -> None:
    """Wait until a file is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder(path: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can
        flush(path)
