"""The one place that talks to the network, and the only module that imports httpx.

It is polite (a budget of requests per minute and a pause as long as the last answer, per host), patient (Retry-After, jittered
back-off, a total limit), strict (TLS verified, only configured hosts, no redirect followed on POST, bounded answers, timeouts
on everything) and discreet (an error names method, host and path, never a query, a header or a body).

GraphQL goes over it too, by `connectors.graphql`.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any
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

from ...core.clock import Clock
from ..contract.errors import (
    ConnectorError,
    Malformed,
    MaybeDone,
    NotAllowed,
    NotDone,
    NotFound,
    Throttled,
    Unreachable,
)
from ..contract.exchange import GraphQLResponse, Request, Response, Stats, is_loopback, place_of
from ..contract.settings import Politeness

MAX_REDIRECTS = 5
MAX_ATTEMPTS = 6
_RETRY_STATUS = frozenset({429, 500, 502, 503, 504})
_JUDGED_BY_WRITER = frozenset(range(300, 500)) - {429}


class _Again(Exception):
    """This attempt failed in a way that may pass; `final` is what to raise when no attempt is left."""

    def __init__(self, final: ConnectorError, wait: float | None = None) -> None:
        super().__init__(str(final))
        self.final = final
        self.wait = wait


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
        extra_hosts: frozenset[str] = frozenset(),
        verify_tls: bool = True,
        keep_cookies: bool = False,
        backend: Any = None,
        on_wait: Callable[[str, float], None] | None = None,
        beside: HttpTransport | None = None,
    ) -> None:
        """`backend`: an ASGI application or an httpx transport that answers instead of the network (tests).

        `beside`: a transport to the same host; both together keep within one budget.
        """
        self.url = url.rstrip("/")
        self.stats = Stats()
        self.on_wait = on_wait
        """Told why and for how many seconds, whenever more than a moment is waited for the platform."""
        self._clock = clock
        self._politeness = politeness or Politeness()
        self._per_minute = self._politeness.requests_per_minute or requests_per_minute
        self._recent: deque[float] = beside._recent if beside is not None else deque()
        self._rest_until = 0.0
        self._loopback = is_loopback(url)
        self._hosts = {urlsplit(url).hostname, *extra_hosts}
        self._keep_cookies = keep_cookies
        transport = backend
        if backend is not None and not isinstance(backend, httpx.AsyncBaseTransport):
            transport = httpx.ASGITransport(app=backend, raise_app_exceptions=True)
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=httpx.Timeout(self._politeness.timeout, connect=min(15.0, self._politeness.timeout)),
            verify=ssl.create_default_context() if verify_tls and transport is None else verify_tls,
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
            Throttled, Unreachable, Refused, NotFound, Malformed: as `connectors.errors` says.
        """
        url = self._address(path)
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._send("GET", url, params, headers, None, allow, json)
            location = answer.headers.get("location")
            if not redirects or location is None or answer.status not in {301, 302, 303, 307, 308}:
                return answer
            url, params = self._address(urljoin(url, location)), None
        raise Malformed(f"{place_of('GET', url)}: redirected more than {MAX_REDIRECTS} times")

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
        return await self._send("POST", self._address(path), params, headers, msgspec.json.encode(body), allow, True)

    async def post_form(
        self, path: str, form: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> Response:
        """POST a form once, without repeating it and without following a redirect: signing in."""
        content = urlencode(form).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        try:
            return await self._once("POST", self._address(path), None, headers, content, frozenset())
        except _Again as error:
            raise error.final from error.__cause__

    async def submit(self, request: Request) -> Response:
        """Send a write once: never repeated, no redirect followed. Every status below 500 but 429 is returned for the writer to judge.

        Raises:
            NotDone: it was never sent, or the platform asks to slow down (429, 503 with Retry-After).
            MaybeDone: it went out, and no answer, half an answer or a server error came back.
            Refused: the address is not of a configured host.
        """
        url = self._address(request.path)
        where = place_of(request.method, url)
        content, headers = request.body()
        try:
            return await self._once(request.method, url, None, headers, content, _JUDGED_BY_WRITER)
        except Malformed as error:
            raise MaybeDone(f"{where}: it may be stored, the answer could not be read", status=error.status) from error
        except _Again as error:
            final = error.final
            if isinstance(final, Throttled):
                raise NotDone(
                    final.message, hint="it is tried again later", status=final.status, wait=error.wait
                ) from error
            if isinstance(error.__cause__, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
                raise NotDone(final.message, hint=final.hint) from error
            raise MaybeDone(f"{final.message}; it may be stored all the same", status=final.status) from error

    def forget_cookies(self) -> None:
        """Start a new session."""
        self._client.cookies.clear()

    def _address(self, path: str) -> str:
        url = path if "://" in path else f"{self.url}/{path.lstrip('/')}"
        parts = urlsplit(url)
        if parts.hostname not in self._hosts:
            raise NotAllowed(
                f"{place_of('', url)} is not one of the configured hosts",
                hint="the instance redirects elsewhere: is `url` the address it is known by?",
            )
        if urlsplit(self.url).scheme == "https" and parts.scheme != "https":
            raise NotAllowed(f"{place_of('', url)}: refusing to go from https to plain http")
        return url

    async def _send(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        content: bytes | None,
        allow: frozenset[int],
        json: bool,
    ) -> Response:
        backoff = wait_exponential(multiplier=0.5, max=30) + wait_random(0, 1)
        started = self._clock.monotonic()

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.wait if isinstance(error, _Again) else None
            return asked if asked is not None else backoff(state)

        def stop(state: RetryCallState) -> bool:
            spent = self._clock.monotonic() - started + (state.upcoming_sleep or 0.0)
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
                    answer = await self._once(method, url, params, headers, content, allow)
                    return self._decoded(answer) if json and answer.status == 200 else answer
        except _Again as error:
            raise error.final from error.__cause__
        raise AssertionError("unreachable: tenacity either returns or raises")

    def _before_retry(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        self._tell_wait(str(error) if error is not None else "", state.upcoming_sleep)

    def _tell_wait(self, why: str, seconds: float) -> None:
        if self.on_wait is not None and seconds > 2:
            self.on_wait(why, seconds)

    async def _once(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        content: bytes | None,
        allow: frozenset[int],
    ) -> Response:
        await self._keep_pace()
        where = place_of(method, url)
        began = self._clock.monotonic()
        self.stats.requests += 1
        try:
            async with self._client.stream(method, url, params=params, headers=headers, content=content) as response:
                body = await self._read(response, where)
        except (httpx.TimeoutException, TimeoutError) as error:
            raise _Again(Unreachable(f"{where}: no answer within {self._politeness.timeout:.0f} s")) from error
        except httpx.ConnectError as error:
            raise _Again(
                Unreachable(f"{where}: cannot connect ({_reason(error)})", hint="is the address right?")
            ) from error
        except (httpx.HTTPError, OSError, EOFError) as error:
            raise _Again(Unreachable(f"{where}: the connection broke ({type(error).__name__})")) from error
        finally:
            elapsed = self._clock.monotonic() - began
            if not self._loopback:
                self._rest_until = self._clock.monotonic() + min(30.0, elapsed * self._politeness.pause)
            if not self._keep_cookies:
                self._client.cookies.clear()
            elif self._loopback:
                # A browser gives `Secure` cookies back to the machine itself without TLS, and so do we; to nobody else.
                for cookie in self._client.cookies.jar:
                    cookie.secure = False
        seconds = _runtime(response.headers) or elapsed
        self.stats.platform_seconds += seconds
        self.stats.bytes += len(body)
        self.stats.statuses[response.status_code] = self.stats.statuses.get(response.status_code, 0) + 1
        answer = Response(response.status_code, {k.lower(): v for k, v in response.headers.items()}, body, url, seconds)
        self._judge(answer, where, allow)
        return answer

    def _decoded(self, answer: Response) -> Response:
        try:
            return replace(answer, decoded=answer.json())
        except Malformed as error:
            raise _Again(error) from None

    async def _read(self, response: httpx.Response, where: str) -> bytes:
        limit = self._politeness.max_response_mb * 1_000_000
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > limit:
                raise Malformed(
                    f"{where}: the answer is larger than {limit // 1_000_000} MB",
                    hint="raise politeness.max_response_mb",
                )
            chunks.append(chunk)
        return b"".join(chunks)

    def _judge(self, answer: Response, where: str, allow: frozenset[int]) -> None:
        status = answer.status
        if status in allow or 200 <= status < 400:
            return
        if status == 429 or (status == 503 and "retry-after" in answer.headers):
            self.stats.throttled += 1
            wait = self._retry_after(answer.headers.get("retry-after"))
            error = Throttled(
                f"{where}: asked to slow down (status {status})", hint="the next run goes on here", status=status
            )
            if wait is not None and wait > self._politeness.give_up_after:
                raise error
            # Decidim's limiter counts in clock-aligned minutes and sends no Retry-After (docs/platforms/decidim.md 1.2).
            raise _Again(
                error, wait if wait is not None else (61.0 - self._clock.now().second if status == 429 else None)
            )
        if status in _RETRY_STATUS:
            raise _Again(Unreachable(f"{where}: the server failed (status {status})", status=status))
        if status == 404:
            raise NotFound(f"{where}: not found", status=status)
        if status in {401, 403}:
            raise NotAllowed(f"{where}: not allowed (status {status})", status=status)
        raise Malformed(f"{where}: unexpected status {status}", status=status)

    def _retry_after(self, value: str | None) -> float | None:
        if value is None:
            return None
        if value.strip().isdigit():
            return float(value)
        try:
            return max(0.0, (parsedate_to_datetime(value) - self._clock.now()).total_seconds())
        except (TypeError, ValueError):
            return None

    async def _keep_pace(self) -> None:
        now = self._clock.monotonic()
        ready = self._rest_until
        if self._per_minute is not None:
            while self._recent and self._recent[0] <= now - 60:
                self._recent.popleft()
            if len(self._recent) >= self._per_minute:
                ready = max(ready, self._recent[0] + 60)
        if ready > now:
            self.stats.waited_seconds += ready - now
            self._tell_wait("it takes only so many requests a minute", ready - now)
            await self._clock.sleep(ready - now)
        if self._per_minute is not None:
            self._recent.append(self._clock.monotonic())

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
            Refused: the platform answers with a redirect (to sign in).
            and whatever `post_json` raises.
        """
        from .graphql import ask  # gql is large, and not every platform speaks GraphQL

        return await ask(
            self, path, query, variables, params=params, headers=headers, variables_as_text=variables_as_text
        )


def _runtime(headers: Mapping[str, str]) -> float | None:
    try:
        return float(headers["x-runtime"])
    except (KeyError, ValueError):
        return None


def _reason(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:120] or type(error).__name__
