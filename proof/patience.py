"""Waiting without waiting: what two minutes do to the leases of a process that was killed."""

import sqlite3
from pathlib import Path


def leases_run_out(database: Path) -> None:
    """As if the time of every lease had passed. A killed holder gives nothing back, and nobody may guess that it is dead."""
    if not database.exists():
        return
    with sqlite3.connect(database) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'lease'").fetchone():
            connection.execute("UPDATE lease SET until = '1970-01-01 00:00:00.000000'")
    connection.close()
