"""For whoever adds a platform: the kit that holds it to the contract, a fake to begin with, a sandbox to build on, a store in memory."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .kit import reader_suite, writer_suite

__all__ = ["reader_suite", "writer_suite"]


def __getattr__(name: str) -> Any:
    """The kit, when it is asked for: it imports pytest, which the program itself does without."""
    if name in __all__:
        from . import kit

        return getattr(kit, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
