"""What differs between releases of graphql-ruby and between the applications using it, and what resolvers may raise.

Holds no behaviour of its own: the other graphql_ruby modules read these values. Must not know any platform by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Rule = Literal["flat", "multiplied", "consul_a"]
ErrorEntry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RubyProfile:
    """One release and one configuration.

    `rule`: `flat` (gem 1.12: every field 1), `multiplied` (from 1.13: a connection costs its page times its items) or
    `consul_a` (each connection 1,000 and its fields once). `introspection` may look at the context of the request.
    `translate` gets the English text of an application's own limit and its values (`code` among them).
    """

    gem: tuple[int, ...] = (2, 4)
    max_depth: int | None = None
    max_complexity: int | None = None
    rule: Rule = "multiplied"
    page: int | None = None
    default_page: int | None = None
    max_aliases: int | None = None
    alias_error_twice: bool = False
    max_recursion: int | None = None
    introspection: bool | Callable[[Any], bool] = True
    previous_page_after_cursor: bool = True
    errors_first: bool | None = None
    located_nulls: bool | None = None
    translate: Callable[[str, Mapping[str, Any]], str] | None = None

    @property
    def writes_errors_first(self) -> bool:
        """From 2.4 on the gem writes `errors` before `data`."""
        return self.gem >= (2, 4) if self.errors_first is None else self.errors_first

    @property
    def locates_nulls(self) -> bool:
        """Before 2.4 a null in a non-null field is reported by its message alone."""
        return self.gem >= (2, 4) if self.located_nulls is None else self.located_nulls

    def introspects(self, context: Any) -> bool:
        """May this request ask for the schema?"""
        return self.introspection(context) if callable(self.introspection) else self.introspection


class FieldError(Exception):
    """A resolver's error: the field becomes null, the message stands in `errors`."""

    def __init__(self, message: str, extensions: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.extensions = extensions


class RequestFailed(Exception):
    """The whole request fails with an HTTP status: a record not found in CONSUL, a resolver that crashes."""

    def __init__(self, status: int, body: Any = None) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class Null:
    """An object that may not be seen: null, with an error entry if it has a message."""

    message: str | None = None
    extensions: Mapping[str, Any] = field(default_factory=dict[str, Any])
