"""The one place that talks to the network, and the only module that imports httpx.

It is polite (the pace of a host is shared by everybody in this process who asks it), patient (Retry-After, jittered back-off, a total
limit), strict (TLS verified, only configured hosts, no redirect followed on POST; every exchange ends by a clock, every answer is
bounded as sent, as unpacked and as decoded) and discreet (an error names method, host and path, never a query, a header or a body).

Whatever a platform sends, what leaves this module is an answer or an error of `connectors.contract.errors`: docs/adr/0013.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import os
import re
import ssl
import tempfile
import zlib
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import IO, Any
from urllib.parse import urlencode, urljoin, urlsplit

import httpx
import msgspec
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from ...core import events
from ...core.clock import Clock
from ..contract.errors import (
    ConnectorError,
    Malformed,
    MaybeDone,
    NotAllowed,
    NotDone,
    NotFound,
    Throttled,
    TooLarge,
    Unreachable,
)
from ..contract.exchange import (
    Download,
    GraphQLResponse,
    Request,
    Response,
    Stats,
    is_loopback,
    place_of,
    redirected,
    site_of,
)
from ..contract.settings import Politeness
from . import body, pace
from .certificates import certificate_words
from .connecting import no_connection
from .wire import Wire

MAX_REDIRECTS = 5
MAX_ATTEMPTS = 6
MAX_PAGE_BYTES = 1_500_000
"""A page for people is parsed into a tree, which takes a hundred times its size; no real one comes near."""
MAX_PAGE_TAGS = 20_000
"""Openings of tags: the parser may look for the end of each through the whole rest of the page."""
MAX_PAGE_WORDS = 250_000
"""Words, each of which may be an attribute: one that is parsed takes half a kilobyte."""
_BETWEEN_WORDS = re.compile(rb"[\s/\"']+")
MAX_COOKIES = 64
MAX_REST = 86_400.0
"""No host is left alone for longer than a day because of one answer."""
_TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""What of the environment says whose certificates are trusted."""
_IN_MEMORY = 4_000_000
"""A file up to this size is not written to disk."""
_RETRY_STATUS = frozenset({408, 425, 500, 502, 503, 504, *range(520, 525)})
"""What may pass by itself; 520 to 524 are what a proxy (Cloudflare) says of the server behind it."""
_JUDGED_BY_WRITER = frozenset(range(300, 500)) - {408, 425, 429}
_FILTERED = "a filter in front of the site may refuse civicsync's User-Agent: ask its operator to let it through"
_BROKEN = (ValueError, ArithmeticError, EOFError, RecursionError, MemoryError, zlib.error, httpx.InvalidURL)
"""What libraries raise over an answer that was made to break them (UnicodeError and OverflowError are among these)."""


class _Again(Exception):
    """This attempt failed in a way that may pass; `final` is what to raise when no attempt is left."""

    def __init__(self, final: ConnectorError, wait: float | None = None) -> None:
        super().__init__(str(final))
        self.final = final
        self.wait = wait


class _NotSent(Exception):
    """The request could not even be put together, or the host is to be left alone; `final` says so."""

    def __init__(self, final: ConnectorError, wait: float | None = None) -> None:
        super().__init__(str(final))
        self.final = final
        self.wait = wait


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One request, and what is expected of its answer."""

    method: str
    url: str
    params: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    content: bytes | None = None
    allow: frozenset[int] = frozenset()
    json: bool = False
    file: IO[bytes] | None = None
    """Where the body goes instead of into memory."""

    @property
    def where(self) -> str:
        return place_of(self.method, self.url)


class HttpTransport:
    """HTTP to one instance; create one per instance and run, close it with `aclose` or `async with`."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        user_agent: str,
        politeness: Politeness | None = None,
        requests_per_minute: int | None = None,
        verify_tls: bool = True,
        keep_cookies: bool = False,
        backend: Any = None,
        on_wait: Callable[[str, float], None] | None = None,
        before_request: Callable[[], None] | None = None,
        paces: pace.Paces = pace.PACES,
        within: Callable[[float], asyncio.Timeout] = asyncio.timeout,
    ) -> None:
        """`backend`: an ASGI application or an httpx transport that answers instead of the network (tests).

        `before_request` is called when a request's turn has come; what it raises keeps the request from being sent (a lost lease).

        `within` ends an exchange after so many seconds of this process's life, which no platform and no other clock can stretch.
        """
        self.url = url.rstrip("/")
        self.stats = Stats()
        self._before_request = before_request
        self.on_wait = on_wait
        """Told why and for how many seconds, whenever more than a moment is waited for the platform."""
        self._clock = clock
        self._politeness = politeness or Politeness()
        self._per_minute = self._politeness.requests_per_minute or requests_per_minute
        self._paces = paces
        self._within = within
        self._backend = backend
        self._loopback = is_loopback(url)
        self._site = site_of(url)
        self._keep_cookies = keep_cookies
        self._wasted = 0.0
        """Seconds that requests took which came to nothing: when they are as many as one may take, no other one is tried again."""
        transport = backend
        if backend is not None and not isinstance(backend, httpx.AsyncBaseTransport):
            transport = httpx.ASGITransport(app=backend, raise_app_exceptions=True)
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=httpx.Timeout(self._politeness.timeout, connect=min(15.0, self._politeness.timeout)),
            verify=_trusted(*map(os.environ.get, _TRUST)) if verify_tls and transport is None else verify_tls,
            follow_redirects=False,
            headers={"User-Agent": user_agent, "Accept-Encoding": "gzip"},
            limits=httpx.Limits(max_connections=2, max_keepalive_connections=1),
            trust_env=not self._loopback,
        )

    async def __aenter__(self) -> HttpTransport:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        redirects: bool = True,
        allow: frozenset[int] = frozenset(),
        json: bool = False,
    ) -> Response:
        """GET a path of the instance (or an address of an allowed host).

        `allow` are the statuses besides 2xx and 304 that the caller understands; a redirect that is not followed is returned.
        With `json` a 200 that is not whole JSON (a login page, a cut answer) is asked again before it is an error.

        Raises:
            Throttled, Unreachable, NotAllowed, NotFound, Malformed: as `contract.errors` says.
        """
        exchange = _Exchange("GET", self._address(path), params, headers, None, allow, json)
        return await self._follow(exchange, redirects)

    @contextlib.asynccontextmanager
    async def download(self, path: str, *, headers: Mapping[str, str] | None = None) -> AsyncGenerator[Download]:
        """GET a file, which is kept on disk while it is read; `contract.exchange.Transport.download`."""
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
            answer = await self._follow(_Exchange("GET", self._address(path), headers=headers, file=file), True)
            file.seek(0)
            yield Download(answer.status, answer.headers, answer.url, file)

    async def _follow(self, exchange: _Exchange, redirects: bool) -> Response:
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._send(exchange)
            location = answer.headers.get("location")
            if not redirects or location is None or answer.status not in {301, 302, 303, 307, 308}:
                return answer
            try:
                target = urljoin(exchange.url, location)
                away = site_of(target) != self._site
            except ValueError:
                raise Malformed(f"{exchange.where}: redirected to what is no address", status=answer.status) from None
            if away:
                raise redirected(exchange.method, exchange.url, location, answer.status)
            exchange = replace(exchange, url=self._address(target), params=None)
        raise Malformed(f"{exchange.where}: redirected more than {MAX_REDIRECTS} times")

    async def post_json(
        self,
        path: str,
        body: Any,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        allow: frozenset[int] = frozenset(),
    ) -> Response:
        """POST JSON that only reads (it is repeated after a failure). Redirects are never followed; a 3xx is returned."""
        headers = {"Content-Type": "application/json", "Accept": "application/json", **(headers or {})}
        content = msgspec.json.encode(body)
        return await self._send(_Exchange("POST", self._address(path), params, headers, content, allow, True))

    async def post_form(
        self, path: str, form: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> Response:
        """POST a form once, without repeating it and without following a redirect: signing in."""
        content = urlencode(form).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        try:
            return await self._once(_Exchange("POST", self._address(path), None, headers, content))
        except (_Again, _NotSent) as error:
            raise error.final from error.__cause__

    async def submit(self, request: Request) -> Response:
        """Send a write once: never repeated, no redirect followed. Every status below 500 but 429 is returned for the writer to judge.

        Raises:
            NotDone: it was never sent, or the platform asks to slow down (429, 503 with Retry-After).
            MaybeDone: it went out, and no answer, half an answer or a server error came back.
            NotAllowed: the address is not of a configured host.
        """
        url = self._address(request.path)
        where = place_of(request.method, url)
        content, headers = request.body()
        try:
            return await self._once(_Exchange(request.method, url, None, headers, content, _JUDGED_BY_WRITER))
        except _NotSent as error:
            final = error.final
            raise NotDone(final.message, hint=final.hint, status=final.status, wait=error.wait) from final
        except Malformed as error:
            raise MaybeDone(f"{where}: it may be stored, the answer could not be read", status=error.status) from error
        except _Again as error:
            final = error.final
            final.__cause__ = error.__cause__
            if isinstance(final, Throttled):
                raise NotDone(
                    final.message, hint="it is tried again later", status=final.status, wait=error.wait
                ) from final
            if isinstance(error.__cause__, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
                raise NotDone(final.message, hint=final.hint) from final
            raise MaybeDone(f"{final.message}; it may be stored all the same", status=final.status) from final

    def forget_cookies(self) -> None:
        """Start a new session."""
        self._client.cookies.clear()

    def _address(self, path: str) -> str:
        url = path if "://" in path else f"{self.url}/{path.lstrip('/')}"
        try:
            parts = urlsplit(url)
            known = site_of(url) == self._site and parts.port != 0
        except ValueError:
            raise NotAllowed("the platform names an address that is none") from None
        if not known:
            raise NotAllowed(
                f"{place_of('', url)} is not one of the configured hosts",
                hint="is `url` the address it is known by?",
            )
        if urlsplit(self.url).scheme == "https" and parts.scheme != "https":
            raise NotAllowed(f"{place_of('', url)}: refusing to go from https to plain http")
        return url

    async def _send(self, exchange: _Exchange) -> Response:
        backoff = wait_exponential(multiplier=0.5, max=30) + wait_random(0, 1)
        started = self._clock.monotonic()

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.wait if isinstance(error, _Again) else None
            return max(asked or 0.0, backoff(state))

        def stop(state: RetryCallState) -> bool:
            spent = self._wasted + self._clock.monotonic() - started + (state.upcoming_sleep or 0.0)
            return stop_after_attempt(MAX_ATTEMPTS)(state) or spent > self._politeness.give_up_after

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_Again),
            wait=wait,
            stop=stop,
            sleep=self._clock.sleep,
            before_sleep=self._before_retry,
            reraise=True,
        )
        try:
            async for attempt in retrying:
                with attempt:
                    if attempt.retry_state.attempt_number > 1:
                        self.stats.retries += 1
                    answer = await self._once(exchange, self._left(started))
                    return self._decoded(answer) if exchange.json and answer.status == 200 else answer
        except (_Again, _NotSent) as error:
            self._wasted += self._clock.monotonic() - started
            raise error.final from error.__cause__
        raise AssertionError("unreachable: tenacity either returns or raises")

    def _left(self, started: float) -> float:
        """Seconds that this attempt may take: the last one of a run ends soon after its patience does, whatever it waits for."""
        patience = self._politeness.give_up_after
        left = patience - self._wasted - (self._clock.monotonic() - started)
        return min(self._politeness.deadline, max(left, 0.05 * patience))

    def _before_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self._tell_wait(str(error) if error is not None else "", state.upcoming_sleep)

    def _tell_wait(self, why: str, seconds: float) -> None:
        if self.on_wait is not None and seconds > 2:
            self.on_wait(why, seconds)

    async def _once(self, exchange: _Exchange, seconds: float | None = None) -> Response:
        """One request and its answer, in the host's turn: nothing in here waits for anything but the platform, and that so long at most."""
        seconds = self._politeness.deadline if seconds is None else seconds
        where = exchange.where
        try:
            request = self._client.build_request(
                exchange.method,
                exchange.url,
                params=exchange.params,
                headers=exchange.headers,
                content=exchange.content,
            )
        except _BROKEN as error:
            raise _NotSent(Malformed(f"{where}: no request can be made of this ({type(error).__name__})")) from error
        host = self._paces.of(exchange.url, self._clock, self._backend)
        host.limit(self, self._per_minute)
        try:
            async with host.turn(self._clock, patience=self._politeness.give_up_after, on_wait=self._tell_pace):
                answer = await self._exchange(exchange, request, host, seconds)
        except pace.MustRest as error:
            raise _NotSent(
                Throttled(f"{where}: asked to slow down a while ago", hint="the next run goes on here", status=429),
                error.seconds,
            ) from None
        self._judge(answer, exchange, host)
        return answer

    async def _exchange(self, exchange: _Exchange, request: httpx.Request, host: pace.Pace, seconds: float) -> Response:
        where = exchange.where
        if self._before_request is not None:
            self._before_request()
        began, status, size = self._clock.monotonic(), 0, 0
        wire: Wire | None = None
        came = False
        self.stats.requests += 1
        memory = io.BytesIO()
        whole = self._within(seconds)
        try:
            async with whole:
                response = await self._client.send(request, stream=True)
                status = response.status_code
                wire = Wire(response.extensions.get("network_stream"), self._clock, began)
                try:
                    size = await self._read(response, exchange, memory, wire)
                    came = True
                    urlsplit(response.headers.get("location", ""))  # what is no address ends here, for whoever reads it
                finally:
                    await response.aclose()
        except (httpx.TimeoutException, TimeoutError) as error:
            late = f"no answer within {self._politeness.timeout:.0f} s"
            if whole.expired():
                late = f"the answer was not whole after {seconds:.3g} s"
            raise _Again(Unreachable(f"{where}: {late}")) from error
        except httpx.ConnectError as error:
            words = certificate_words(error)
            if words is not None:
                raise _NotSent(Unreachable(f"{where}: {words[0]}", hint=words[1])) from error
            why = no_connection(error, exchange.url)
            final = Unreachable(f"{where}: {why.words}", hint=why.hint)
            # Where nothing ever answered, a wrong address is likelier than a server that is being restarted.
            if not why.heals and not self.stats.statuses:
                raise _NotSent(final) from error
            raise _Again(final) from error
        except (httpx.HTTPError, OSError, EOFError, body.Cut) as error:
            raise _Again(Unreachable(f"{where}: the connection broke ({type(error).__name__})")) from error
        except body.BadEncoding as error:
            raise Malformed(f"{where}: the answer cannot be unpacked, {error}") from error
        except _BROKEN as error:
            raise Malformed(f"{where}: the answer cannot be read ({type(error).__name__})") from error
        finally:
            elapsed = self._clock.monotonic() - began
            # For an answer that never came whole we waited to the end.
            waited = wire.seconds(elapsed) if wire is not None and came else elapsed
            host_name = urlsplit(exchange.url).netloc.rpartition("@")[2]
            events.emit(events.RequestMade(host_name, exchange.method, status, waited, size))
            if not self._loopback:
                host.pause(self._clock.monotonic() + min(30.0, waited * self._politeness.pause))
            self._keep_cookies_or_not()
        headers = {name.lower(): value for name, value in response.headers.items()}
        told = _runtime(headers)
        worked = waited if told is None else told
        self.stats.platform_seconds += worked
        self.stats.bytes += size
        self.stats.statuses[response.status_code] = self.stats.statuses.get(response.status_code, 0) + 1
        return Response(response.status_code, headers, memory.getvalue(), exchange.url, worked)

    def _keep_cookies_or_not(self) -> None:
        cookies = self._client.cookies
        if not self._keep_cookies or len(cookies.jar) > MAX_COOKIES:
            cookies.clear()
        elif self._loopback:
            # A browser gives `Secure` cookies back to the machine itself without TLS, and so do we; to nobody else.
            for cookie in cookies.jar:
                cookie.secure = False

    def _decoded(self, answer: Response) -> Response:
        try:
            return replace(answer, decoded=answer.json())
        except TooLarge:
            raise  # the same again would be as large
        except Malformed as error:
            raise _Again(error) from None

    async def _read(self, response: httpx.Response, exchange: _Exchange, memory: io.BytesIO, wire: Wire) -> int:
        setting = "max_response_mb" if exchange.file is None else "max_file_mb"
        limit = int(getattr(self._politeness, setting)) * 1_000_000
        page = exchange.file is None and "html" in response.headers.get("content-type", "").lower()
        sink = memory if exchange.file is None else exchange.file
        sink.seek(0)
        sink.truncate()  # of an attempt that was cut
        encoding = response.headers.get("content-encoding", "")
        try:
            if response.is_stream_consumed:  # a backend's answer, which was never on a wire
                sink.write(response.content)
                if len(response.content) > limit:
                    raise body.TooLarge
            else:
                pieces = wire.watched(response.aiter_raw())
                await body.receive(pieces, encoding, min(limit, MAX_PAGE_BYTES) if page else limit, sink)
        except body.TooLarge:
            if page and limit > MAX_PAGE_BYTES:
                raise Malformed(f"{exchange.where}: too large for a page", status=response.status_code) from None
            raise TooLarge(
                f"{exchange.where}: the answer is larger than {limit // 1_000_000} MB",
                hint=f"raise politeness.{setting}",
                status=response.status_code,
            ) from None
        if page and _too_rich(memory.getvalue()):
            raise Malformed(f"{exchange.where}: too large for a page", status=response.status_code)
        return sink.tell()

    def _judge(self, answer: Response, exchange: _Exchange, host: pace.Pace) -> None:
        status, where = answer.status, exchange.where
        if status in exchange.allow or 200 <= status < 400:
            return
        if status == 429 or (status == 503 and "retry-after" in answer.headers):
            self.stats.throttled += 1
            wait = self._retry_after(answer.headers.get("retry-after"))
            error = Throttled(
                f"{where}: asked to slow down (status {status})", hint="the next run goes on here", status=status
            )
            # Decidim's limiter counts in clock-aligned minutes and sends no Retry-After (docs/platforms/decidim.md 1.2).
            if wait is None and status == 429:
                wait = 61.0 - self._clock.now().second
            if wait is not None:
                host.rest(self._clock.monotonic() + wait)
                if wait > self._politeness.give_up_after:
                    raise error
            raise _Again(error, wait)
        if status in _RETRY_STATUS:
            raise _Again(Unreachable(f"{where}: the server failed (status {status})", status=status))
        if status == 404:
            raise NotFound(f"{where}: not found", status=status)
        if status in {401, 403}:
            hint = _FILTERED if status == 403 else ""
            raise NotAllowed(f"{where}: not allowed (status {status})", hint=hint, status=status)
        raise Malformed(f"{where}: unexpected status {status}", status=status)

    def _retry_after(self, value: str | None) -> float | None:
        if value is None:
            return None
        try:
            wait = float(value) if value.strip().isdecimal() else self._until(value)
        except (TypeError, ValueError, ArithmeticError):
            return None
        # No time at all, or one that is over where a clock is wrong, is not what a server means that has too much to do.
        return min(wait, MAX_REST) if wait > 0 else None

    def _until(self, value: str) -> float:
        return (parsedate_to_datetime(value) - self._clock.now()).total_seconds()

    def _tell_pace(self, seconds: float) -> None:
        self.stats.waited_seconds += seconds
        self._tell_wait("it takes only so many requests a minute", seconds)

    async def graphql(
        self,
        path: str,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        variables_as_text: bool = False,
    ) -> GraphQLResponse:
        """Ask one GraphQL document. Partial data stays beside its errors: neither is ever dropped.

        `variables_as_text` sends the variables as a JSON string (CONSUL dialect A, docs/platforms/consul.md 1).

        Raises:
            NotAllowed: the platform answers with a redirect (`exchange.redirected`).
            and whatever `post_json` raises.
        """
        from .graphql import ask  # gql is large, and not every platform speaks GraphQL

        return await ask(
            self, path, query, variables, params=params, headers=headers, variables_as_text=variables_as_text
        )


@lru_cache(maxsize=1)
def _trusted(*_: str | None) -> ssl.SSLContext:
    """The certificates this machine trusts, read once for these values of `_TRUST`, and not for each of many instances."""
    return ssl.create_default_context()


def _too_rich(page: bytes) -> bool:
    return page.count(b"<") > MAX_PAGE_TAGS or (
        len(page) > MAX_PAGE_WORDS and sum(1 for _ in _BETWEEN_WORDS.finditer(page)) > MAX_PAGE_WORDS
    )


def _runtime(headers: Mapping[str, str]) -> float | None:
    """How long the platform says it worked; nothing that cannot be added up."""
    try:
        seconds = float(headers["x-runtime"])
    except (KeyError, ValueError):
        return None
    return seconds if math.isfinite(seconds) and 0 < seconds < 3600 else None
