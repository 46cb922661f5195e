"""graphql-ruby's behaviour for the sandboxes: its messages, limits and null propagation, per release of the gem.

Not a GraphQL library: only what CONSUL and Decidim make visible. The recordings of real installations judge it.
"""

from .engine import Engine, RubyProfile
from .execute import FieldError, Hidden, RequestFailed

__all__ = ["Engine", "FieldError", "Hidden", "RequestFailed", "RubyProfile"]
