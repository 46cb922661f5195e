"""What tells the releases apart in the sandbox: the gem, its limits, and who sees hidden things (docs/platforms/decidim.md 0, 1.2, 1.4)."""

from ...testing.graphql_ruby.engine import RubyProfile

LINES = ("0.27", "0.28", "0.29", "0.30", "0.31", "0.32")


def line_of(version: str) -> str:
    """The release line of a version."""
    return ".".join(version.split(".")[:2])


def is_checked(version: str) -> bool:
    """Whether hidden objects are null (docs/platforms/decidim.md 0.1)."""
    return line_of(version) not in {"0.27", "0.28", "0.29"} or version == "0.28.6"


def profile_of(version: str) -> RubyProfile:
    """The gem and limits of a release (docs/platforms/decidim.md 0, 1.2)."""
    gem = {"0.27": (1, 12), "0.28": (2, 0), "0.29": (2, 2), "0.30": (2, 2), "0.31": (2, 4), "0.32": (2, 6)}[
        line_of(version)
    ]
    patched = version == "0.30.9" or line_of(version) in {"0.31", "0.32"}
    return RubyProfile(
        gem=(2, 4) if version == "0.30.9" else gem,
        max_depth=15,
        max_complexity=5000,
        rule="flat" if gem < (2, 0) else "multiplied",
        page=50,
        max_aliases=5 if patched else None,
        alias_error_twice=version == "0.30.9",
        max_recursion=2 if patched else None,
        introspection=(lambda caller: caller is not None and caller.admin) if patched else True,
    )
