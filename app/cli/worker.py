"""`civicsync worker`: does what `civicsync run` hands on, on this machine, beside any number of others."""

import asyncio
from typing import Annotated

import typer

from ...config.model import Operations
from .common import EXIT_USAGE, configuration, database, fail
from .run import prepared, say
from .state import state


def run(
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-n", min=1, max=32, help="So many pulls and routes at once.")
    ] = 4,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen", help="Where it answers, instead of `operations: listen`; `off` for nowhere.", metavar="ADDRESS"
        ),
    ] = None,
) -> None:
    """Do pulls and routes that `civicsync run` hands on, beside other workers, until SIGTERM or Ctrl-C."""
    config = configuration()
    if not config.workers:
        fail(
            f"{state.config_file}: there is no work for workers; write `workers: true` there, for `civicsync run` and all workers",
            EXIT_USAGE,
        )
    if listen is not None:
        try:
            Operations(listen=listen)
        except ValueError:
            fail(
                f"--listen {listen}: expected an address of this machine and a port such as 127.0.0.1:9465, or `off`",
                EXIT_USAGE,
            )
    with database(config) as engine:
        prepared(engine)
        from ..workers.working import WorkerProcess

        lost = asyncio.run(WorkerProcess(config, engine, state.config_file, say, concurrency, listen).run())
    if lost:
        fail(lost)
