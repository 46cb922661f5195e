"""A civicsync in a hurry: `python -m proof.hurried ARGUMENTS` is `civicsync ARGUMENTS` with leases of three seconds instead of forty.

What waits for a dead process waits for seconds then; all proportions are as they are. Nothing else is changed.
"""

import sys

LEASE = 3.0
_MARGIN = 0.4
ALIVE = 1.5


def hurry() -> None:
    """Shorten what a process waits for, in this process."""
    from civicsync.core import leases, worker_queue
    from civicsync.sync import schedule

    leases.LEASE_SECONDS = leases.SERVER_LEASE_SECONDS = LEASE
    leases.RETRY_SECONDS = 0.2
    leases._MARGIN = _MARGIN  # pyright: ignore[reportPrivateUsage]
    schedule.AGAIN = 0.4
    schedule.SPREAD = 0.0
    worker_queue.ALIVE = ALIVE
    if "worker" in sys.argv:
        from civicsync.app.workers import hosts, manager, working

        hosts._LOOK = 0.2  # pyright: ignore[reportPrivateUsage]
        manager.PAUSE = working.PAUSE = 0.4
        working.HEARTBEAT = working.POLL = 0.4
        working.GIVES_WAY = 1.0


if __name__ == "__main__":
    hurry()
    from civicsync.app.cli.main import app

    app(prog_name="civicsync")
