"""What the options before the verb said."""

from dataclasses import dataclass
from pathlib import Path


@dataclass
class State:
    """Set once, by the program's own options."""

    config_file: Path = Path("civicsync.yaml")


state = State()
