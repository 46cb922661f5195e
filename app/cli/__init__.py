"""The command line: a module per verb; `main` is the entry point.

Exit codes: 0 done (or throttled, and it says so), 1 something failed, 2 wrong usage or configuration, 130 stopped by Ctrl-C.
"""

from .main import main

__all__ = ["main"]
