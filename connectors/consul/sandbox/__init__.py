"""A CONSUL Democracy in memory, as strict as the real one (docs/platforms/consul.md 13)."""

from .web import ConsulSandbox

__all__ = ["ConsulSandbox"]
