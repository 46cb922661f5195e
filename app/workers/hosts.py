"""One worker at a time asks a host, over all machines: leases of hosts, kept for as long as a job lasts.

The queue's lock keeps jobs of one host apart, too, and costs nothing while they wait. It knows one host of each job, and goes with the job
from a worker that only sleeps to another; a lease runs out by both their clocks.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable

from sqlalchemy import Engine

from ...config import Config
from ...connectors.contract.exchange import Transport
from ...connectors.contract.reading import Reader
from ...connectors.contract.writing import WriteContext, Writer
from ...connectors.http.pace import host_of
from ...core.clock import Clock
from ...core.leases import Lease
from ...sync.publish.publisher import Publisher
from ...sync.pull.run import Puller

_LOOK = 1.0
"""Seconds between two trials to take the lease of a host."""


def hosts_of(config: Config, work: str, name: str) -> list[str]:
    """All hosts that a pull or a run of a route may ask, in the order in which their leases are taken."""
    instances = {name}
    if work == "publish":
        route = config.routes[name]
        targets = {each.to.instance for each in config.routes.values()}
        origin = route.source.instance
        # Answers go back there, and who writes as whom is asked where others write.
        instances = {route.to.instance} | ({origin} if route.follow.answers_to_origin or origin in targets else set())
    return sorted({host_of(config.instances[each].url) for each in instances})


class HostsTaken(Exception):
    """Another worker asks one of the hosts."""


class Hosts:
    """The right to ask some hosts alone."""

    def __init__(self, engine: Engine, hosts: Iterable[str], clock: Clock) -> None:
        self.clock = clock
        self.leases = [Lease(engine, f"host:{each}") for each in hosts]

    def check(self) -> None:
        """Before each request.

        Raises:
            LeaseLost: one of the hosts may be another's by now.
        """
        for each in self.leases:
            each.check()

    @contextlib.asynccontextmanager
    async def kept(self, patience: float, ending: asyncio.Event) -> AsyncGenerator[None]:
        """Take them all, each within some seconds, and keep them for as long as the block lasts.

        Raises:
            HostsTaken: they were not free in time, or the work shall end.
        """
        async with contextlib.AsyncExitStack() as stack:
            for lease in self.leases:
                until = self.clock.monotonic() + patience
                while not await asyncio.to_thread(lease.take):
                    if ending.is_set() or self.clock.monotonic() >= until:
                        raise HostsTaken(await asyncio.to_thread(lease.held_by))
                    await self.clock.sleep(_LOOK)
                await stack.enter_async_context(lease.kept())
            yield


class HostPuller(Puller):
    """A puller that asks only while its hosts are its own."""

    hosts: Hosts

    @contextlib.asynccontextmanager
    async def reader(
        self, name: str, before_request: Callable[[], None] | None = None
    ) -> AsyncGenerator[tuple[Reader, Transport], None]:
        async with super().reader(name, _both(self.hosts, before_request)) as opened:
            yield opened


class HostPublisher(Publisher):
    """A publisher that asks only while its hosts are its own."""

    hosts: Hosts

    def _writer(
        self, instance: str, before_request: Callable[[], None] | None = None
    ) -> contextlib.AbstractAsyncContextManager[tuple[Writer, WriteContext]]:
        return super()._writer(instance, _both(self.hosts, before_request))


def _both(hosts: Hosts, other: Callable[[], None] | None) -> Callable[[], None]:
    def check() -> None:
        hosts.check()
        if other is not None:
            other()

    return check
