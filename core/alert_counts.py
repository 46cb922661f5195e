"""How many alerts are open and how many deliveries wait, for whoever only shows that: no models of tables are loaded."""

from dataclasses import dataclass, field

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class AlertCounts:
    """`open` by kind; `waiting` and `given_up` by channel, mail as a whole: an address of a person is no label."""

    open: dict[str, int] = field(default_factory=dict[str, int])
    waiting: dict[str, int] = field(default_factory=dict[str, int])
    given_up: dict[str, int] = field(default_factory=dict[str, int])


def label(channel: str) -> str:
    """A channel without the address of a person: `mail`, `webhook:chat`."""
    return "mail" if channel.startswith("mail:") else channel


def count_alerts(connection: Connection) -> AlertCounts:
    """Ask the database.

    Raises:
        SQLAlchemyError: it cannot be asked.
    """
    found = AlertCounts()
    for kind, many in connection.execute(
        text("SELECT kind, count(*) FROM alert WHERE open_as IS NOT NULL GROUP BY kind")
    ):
        found.open[str(kind)] = int(many)
    undelivered = text(
        "SELECT channel, state, count(*) FROM alert_delivery WHERE state <> 'delivered' GROUP BY channel, state"
    )
    for channel, state, many in connection.execute(undelivered):
        of = found.given_up if state == "given_up" else found.waiting
        of[label(str(channel))] = of.get(label(str(channel)), 0) + int(many)
    return found
