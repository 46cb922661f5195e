"""What the options before the verb said, and whether the program is still starting."""

import gc
from dataclasses import dataclass
from pathlib import Path


@dataclass
class State:
    """Set once, by the program itself."""

    config_file: Path = Path("civicsync.yaml")
    usual: tuple[int, int, int] | None = None
    """How often Python looks for cycles by itself; set while it does so seldom."""

    def start(self) -> None:
        """From here on modules are loaded: nothing of that is garbage, so it is hardly looked for."""
        self.usual = gc.get_threshold()
        gc.set_threshold(200_000, 10, 10)

    def started(self) -> None:
        """What is loaded stays; from here on garbage is looked for as always. Does nothing in a process that did not `start`."""
        if self.usual is not None:
            gc.freeze()
            gc.set_threshold(*self.usual)
            self.usual = None


state = State()
