"""The last net under an instance's or a target's run: what nobody foresaw ends that run with a word, and no other."""

import asyncio

from ..core.schema.failures import host_failure

STOPPING = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)
"""What ends a run because somebody wants it to. Everything else is caught, also what is no `Exception`: a library that is written in
another language says so when it panics."""


def unforeseen(instance: str, error: BaseException) -> str:
    """What is said of an error that nobody foresaw: where and of which kind it was, never its text, which may hold anything."""
    known = host_failure(error)
    if known is not None:
        return f"{instance}: {known}"
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    place = f" in {where.tb_frame.f_globals.get('__name__', '?')}, line {where.tb_lineno}" if where is not None else ""
    return f"{instance}: stopped by a mistake in civicsync ({type(error).__name__}{place}); what was committed before is kept"
