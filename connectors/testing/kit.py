"""The kit: everything that civicsync asks of a platform, by one line each in a stranger's test file.

    from civicsync.connectors.testing import reader_suite, writer_suite
    from your_package import CONNECTOR

    TestReader = reader_suite(CONNECTOR)
    TestWriter = writer_suite(CONNECTOR, space="board/1")

It needs pytest and the connector's sandbox (`Connector.sandbox`), no network and no plugin. Each check runs for every release that
the connector names (`Connector.versions`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from ...core.identity import Ref
from ..contract.reading import Connector
from ..contract.writing import Voice
from ..registry import resolve
from .reader_checks import ReaderChecks
from .sandbox.sandbox import Sandbox
from .writer_checks import WriterChecks

__all__ = ["reader_suite", "writer_suite"]


def reader_suite(
    connector: Connector | str,
    *,
    versions: Sequence[str] | None = None,
    sandbox: Callable[..., Sandbox] | None = None,
    size: int = 60,
    requests_when_unchanged: int = 25,
    settings: Mapping[str, Any] | None = None,
) -> type[ReaderChecks]:
    """A class of tests that hold a platform's reader to its contract; give it a name that begins with `Test`.

    `connector`: the connector or what stands after `platform:`. `versions`: only these releases. `sandbox`: another sandbox than the
    connector's own. `size`: of the toy city. `requests_when_unchanged`: what a pull may cost when nothing changed. `settings`: more
    of the instance's settings than the sandbox's own block.
    """
    found = resolve(connector) if isinstance(connector, str) else connector
    body = {
        **_place(found, sandbox, size, settings),
        "requests_when_unchanged": requests_when_unchanged,
    }
    made = type("ReaderSuite", (ReaderChecks,), body)
    return pytest.mark.parametrize("version", list(versions or found.versions))(made)


def writer_suite(
    connector: Connector | str,
    *,
    space: Ref,
    voices: Sequence[Voice | None] = (None,),
    versions: Sequence[str] | None = None,
    sandbox: Callable[..., Sandbox] | None = None,
    size: int = 30,
    settings: Mapping[str, Any] | None = None,
) -> type[WriterChecks]:
    """A class of tests that hold a platform's writer to its contract; give it a name that begins with `Test`.

    `space`: where the sandbox's account may write. `voices`: the voices it can write in (None: as suits it best); the other options
    are those of `reader_suite`.
    """
    found = resolve(connector) if isinstance(connector, str) else connector
    assert found.writer is not None, f"{found.platform} is only read; there is no writer to hold to its contract"
    made = type("WriterSuite", (WriterChecks,), {**_place(found, sandbox, size, settings), "space": space})
    spoken = pytest.mark.parametrize("voice", list(voices))(made)
    return pytest.mark.parametrize("version", list(versions or found.versions))(spoken)


def _place(
    connector: Connector, sandbox: Callable[..., Sandbox] | None, size: int, settings: Mapping[str, Any] | None
) -> dict[str, Any]:
    made = sandbox or connector.sandbox
    assert made is not None, f"{connector.platform} has no sandbox to be tested against"
    return {
        "connector": connector,
        "sandbox": staticmethod(made),
        "size": size,
        "settings": dict(settings or {}),
        "__module__": __name__,
    }
