"""The sandbox's people who can sign in: accounts, sessions, tokens, and the limits on trying (docs/platforms/decidim.md 4.3, 4.4).

Nothing here knows a page, a proposal or GraphQL. Passwords and tokens are toys, made from the sandbox's seed.
"""

import hashlib
import hmac
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

SESSION = timedelta(minutes=30)
API_TOKEN = timedelta(minutes=120)
ATTEMPTS_PER_MINUTE = 5
FAILURES_BEFORE_LOCK = 20
ROBOT, API_USER, NEIGHBOUR = 9001, 9002, 9003
CLIENT = ("toy-client", "toy-client-secret")
REDIRECT = "http://127.0.0.1:8765/callback"


@dataclass(slots=True, eq=False)
class Account:
    """Somebody who can sign in; `api`: an API user of the system administrator."""

    id: int
    email: str
    password: str
    name: str
    nickname: str
    locale: str
    admin: bool = False
    api: bool = False
    confirmed: bool = True
    blocked: bool = False
    accepted_terms: bool = True
    accepted_admin_terms: bool = True
    verified: bool = False
    failures: int = 0
    locked_until: datetime | None = None
    return_to: str = "/"


@dataclass(slots=True, eq=False)
class Session:
    """What a cookie stands for."""

    key: str
    user: Account | None
    secret: str
    seen: datetime
    flash: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def form_token(self, method: str, path: str) -> str:
        """A token that is good for one form only, as Rails makes them."""
        return hmac.digest(self.secret.encode(), f"{method} {path}".encode(), hashlib.sha256).hex()[:32]

    def accepts(self, token: str, method: str, path: str) -> bool:
        """Whether a form may be believed: the page's own token fits every form."""
        return token in {self.secret, self.form_token(method, path)}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks the interface. `scopes`: None for a session, which may do everything."""

    user: Account | None = None
    kind: str = "anonymous"
    scopes: frozenset[str] | None = frozenset({"api:read"})

    @property
    def writes(self) -> bool:
        """Whether a mutation is looked at at all."""
        return self.kind != "anonymous" and (self.scopes is None or "api:write" in self.scopes)

    @property
    def reads(self) -> bool:
        """Whether a query is looked at at all."""
        return self.scopes is None or "api:read" in self.scopes

    @property
    def admin(self) -> bool:
        """Administrators and API users."""
        return self.user is not None and (self.user.admin or self.user.api)


ANONYMOUS = Caller()


@dataclass(slots=True, eq=False)
class Token:
    """A bearer token; `client` names the OAuth application."""

    account: Account
    expires: datetime
    client: str | None = None
    scopes: frozenset[str] = frozenset({"api:read", "api:write"})


class Accounts:
    """All accounts, sessions and tokens of one organization."""

    def __init__(self, seed: int, clock: Callable[[], datetime], locale: str) -> None:
        self.clock = clock
        self._rng = random.Random(f"{seed}:sessions")
        self.sessions: dict[str, Session] = {}
        self.tokens: dict[str, Token] = {}
        self.refresh: dict[str, Token] = {}
        self.codes: dict[str, tuple[Account, frozenset[str], str | None]] = {}
        self.granted: set[tuple[int, frozenset[str]]] = set()
        self.api_key, self.api_secret = "toy-key", "toy-secret"
        self._attempts: Counter[tuple[str, int]] = Counter()
        robot = Account(
            ROBOT, "robot@toy.example", "toy-password-123", "Brug CivicSync", "brug", locale, admin=True, verified=True
        )
        self.api_user = Account(API_USER, "", "", "Automaat CivicSync", "automaat", locale, api=True)
        neighbour = Account(NEIGHBOUR, "buur@toy.example", "toy-password-456", "Buur Vidal", "buur", locale)
        self.people = {each.id: each for each in (robot, self.api_user, neighbour)}

    def add(self, account: Account) -> Account:
        """One more account."""
        self.people[account.id] = account
        return account

    def by_email(self, email: str) -> Account | None:
        """Upper case is taken, a space at the end is not."""
        return next((each for each in self.people.values() if each.email and each.email == email.lower()), None)

    def by_nickname(self, nickname: str) -> Account | None:
        return next((each for each in self.people.values() if each.nickname == nickname), None)

    def secret(self) -> str:
        """Something nobody guesses."""
        return f"{self._rng.getrandbits(128):032x}"

    def start(self, user: Account | None = None) -> Session:
        """A new session."""
        session = Session(self.secret(), user, self.secret(), self.clock())
        self.sessions[session.key] = session
        return session

    def session(self, key: str | None) -> Session | None:
        """The session of a cookie, renewed by being used; None once thirty minutes have passed."""
        found = self.sessions.get(key or "")
        if found is None:
            return None
        if self.clock() - found.seen > SESSION:
            del self.sessions[found.key]
            return None
        found.seen = self.clock()
        return found

    def too_often(self, email: str) -> bool:
        """Counts an attempt: the sixth for one e-mail within a clock minute is too many."""
        key = (email.lower().strip(), int(self.clock().timestamp() // 60))
        self._attempts[key] += 1
        return self._attempts[key] > ATTEMPTS_PER_MINUTE

    def authenticate(self, email: str, password: str) -> Account | None:
        """The account, unless the password is wrong or the account is locked after too many failures."""
        account = self.by_email(email)
        if account is None:
            return None
        if account.locked_until is not None and self.clock() < account.locked_until:
            return None
        if account.password != password:
            account.failures += 1
            if account.failures >= FAILURES_BEFORE_LOCK:
                account.locked_until, account.failures = self.clock() + timedelta(hours=1), 0
            return None
        account.failures, account.locked_until = 0, None
        return account

    def issue(self, account: Account, client: str | None = None, scopes: frozenset[str] | None = None) -> str:
        """A new bearer token, valid for two hours."""
        token = f"toy.{self.secret()}"
        kept = scopes if scopes is not None else frozenset({"api:read", "api:write"})
        self.tokens[token] = Token(account, self.clock() + API_TOKEN, client, kept)
        return token

    def bearer(self, token: str, audience: str | None) -> Caller:
        """Whom a token stands for: an API user without, an OAuth token only with the right `X-JWT-AUD`."""
        found = self.tokens.get(token)
        if found is None or self.clock() >= found.expires:
            return ANONYMOUS
        if found.client is None:
            return Caller(found.account, "api", found.scopes) if audience is None else ANONYMOUS
        if audience != found.client:
            # Measured: the scopes count, the person does not (docs/platforms/decidim.md 4.3).
            return Caller(None, "oauth", found.scopes)
        return Caller(found.account, "oauth", found.scopes)
