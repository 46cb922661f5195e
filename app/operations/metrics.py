"""Metrics for Prometheus: counters from the events of this process, gauges from the database when they are asked for.

`METRICS` is the only place that names them; `docs/reference/metrics.md`, the dashboard and the alert rules are held to it by tests.
Labels hold names of the configuration, codes and states: never a text, an address of a page or a person.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from ...core import events
from ...core.clock import Clock
from ...core.schema.failures import DatabaseError
from ...core.vitals import Vitals

THROTTLED = 429
_FRESH = 5.0
"""Seconds for which one look at the database answers whoever asks."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: `kind` is counter or gauge."""

    kind: str
    meaning: str
    labels: tuple[str, ...] = ()


METRICS: Mapping[str, Metric] = {
    "civicsync_info": Metric("gauge", "Always 1; which release this is.", ("version",)),
    "civicsync_started_timestamp_seconds": Metric("gauge", "When this process began, in seconds of the epoch."),
    "civicsync_ready": Metric("gauge", "1 while the process does its work: see `/ready`."),
    "civicsync_config_loaded_timestamp_seconds": Metric("gauge", "When the configuration in use was read."),
    "civicsync_config_reload_failed": Metric(
        "gauge", "1 while the file is wrong and the configuration of before is in use."
    ),
    "civicsync_database_up": Metric("gauge", "1 where the database answers; without it the other gauges are missing."),
    "civicsync_database_bytes": Metric("gauge", "How large the database is, with what lies beside it."),
    "civicsync_last_good_pull_age_seconds": Metric(
        "gauge",
        "How long ago a pull of the instance last came to its end; where none ever did, how long this process has been running.",
        ("instance",),
    ),
    "civicsync_last_good_pull_timestamp_seconds": Metric(
        "gauge", "When that was; missing where none ever did.", ("instance",)
    ),
    "civicsync_last_run_outcome": Metric(
        "gauge", "1 for the outcome of the newest pull, by its word.", ("instance", "outcome")
    ),
    "civicsync_last_run_seconds": Metric("gauge", "How long the newest pull took.", ("instance",)),
    "civicsync_last_run_requests": Metric("gauge", "How many requests it made.", ("instance",)),
    "civicsync_last_run_platform_seconds": Metric("gauge", "For how long its platform worked for it.", ("instance",)),
    "civicsync_quarantined": Metric("gauge", "Records that could not be understood and wait.", ("instance",)),
    "civicsync_publications": Metric("gauge", "Publications by state.", ("route", "state")),
    "civicsync_operations_open": Metric("gauge", "Writes that are not over, by state.", ("route", "kind", "state")),
    "civicsync_waiting_for_person": Metric("gauge", "What waits for a person: `civicsync review list`.", ("route",)),
    "civicsync_waiting_for_person_age_seconds": Metric(
        "gauge", "For how long the first of that has been waiting.", ("route",)
    ),
    "civicsync_twins": Metric("gauge", "Publications with more than one copy.", ("route",)),
    "civicsync_route_halted": Metric("gauge", "1 where a route stopped and a person must let it go on.", ("route",)),
    "civicsync_host_left_alone": Metric(
        "gauge", "1 for a host that failed so often that nothing is written to it for now.", ("host",)
    ),
    "civicsync_workers": Metric("gauge", "Workers that give signs of life, where there is a queue.", ()),
    "civicsync_jobs": Metric("gauge", "Jobs of the queue by state: doing, todo.", ("state",)),
    "civicsync_jobs_waiting_age_seconds": Metric(
        "gauge", "For how long the first of the jobs that could be done has been waiting for a worker.", ()
    ),
    "civicsync_alerts_open": Metric("gauge", "Alerts that are open: `civicsync alerts`.", ("kind",)),
    "civicsync_alert_deliveries_waiting": Metric(
        "gauge", "Notices in the outbox that were not delivered yet; mail as a whole.", ("channel",)
    ),
    "civicsync_alert_deliveries_given_up": Metric(
        "gauge", "Notices that were tried for a week and not delivered.", ("channel",)
    ),
    "civicsync_lease_held": Metric("gauge", "1 for a lease that some process holds.", ("lease",)),
    "civicsync_lease_ends_timestamp_seconds": Metric("gauge", "When it runs out unless it is renewed.", ("lease",)),
    "civicsync_runs_total": Metric("counter", "Runs that ended in this process.", ("work", "instance", "outcome")),
    "civicsync_run_seconds_total": Metric("counter", "For how long they took.", ("work", "instance")),
    "civicsync_records_total": Metric(
        "counter", "Records that pulls saw, made, changed, quarantined.", ("instance", "what")
    ),
    "civicsync_pages_total": Metric("counter", "Pages that were written.", ("instance",)),
    "civicsync_requests_total": Metric("counter", "Requests; status 0 where no answer came.", ("host", "status")),
    "civicsync_request_seconds_total": Metric("counter", "For how long hosts worked on them.", ("host",)),
    "civicsync_response_bytes_total": Metric("counter", "How much they answered.", ("host",)),
    "civicsync_throttled_total": Metric("counter", "Answers that asked to slow down (429).", ("host",)),
    "civicsync_decisions_total": Metric("counter", "What plans decided.", ("route", "action")),
    "civicsync_writes_total": Metric(
        "counter", "Writes that came to rest, by state.", ("route", "instance", "kind", "state")
    ),
    "civicsync_lease_moves_total": Metric("counter", "Leases taken, refused, lost.", ("what",)),
    "civicsync_warnings_total": Metric("counter", "What an operator should look at, by code.", ("instance", "code")),
}


class Metrics(Collector):
    """Counts what happens, and looks into the database when somebody asks."""

    def __init__(self, clock: Clock, version: str, look: Callable[[], Vitals]) -> None:
        """`look`: asks the database; it may raise."""
        self.clock = clock
        self.version = version
        self.started = self.loaded = clock.now()
        self.reload_failed = False
        self.ready: Callable[[], bool] = lambda: False
        self.instances: tuple[str, ...] = ()
        self._look = look
        self._seen: tuple[float, Vitals | None] | None = None
        self._lock = threading.Lock()
        disable_created_metrics()  # a second series beside each counter, which nobody reads
        self.registry = CollectorRegistry()
        self._counters = {
            name: Counter(name, metric.meaning, metric.labels, registry=self.registry)
            for name, metric in METRICS.items()
            if metric.kind == "counter"
        }
        self.registry.register(self)

    def page(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def tell(self, event: events.Event) -> None:
        """Count an event; called from whatever thread it happens in."""
        match event:
            case events.RunEnded():
                self._count("civicsync_runs_total", event.work, event.instance, event.outcome)
                self._count("civicsync_run_seconds_total", event.work, event.instance, by=event.seconds)
            case events.PageWritten():
                self._count("civicsync_pages_total", event.instance)
                told = {"seen": event.records, "created": event.created, "changed": event.changed}
                for what, number in {**told, "quarantined": event.quarantined}.items():
                    self._count("civicsync_records_total", event.instance, what, by=number)
            case events.RequestMade():
                self._count("civicsync_requests_total", event.host, str(event.status))
                self._count("civicsync_request_seconds_total", event.host, by=event.seconds)
                self._count("civicsync_response_bytes_total", event.host, by=event.bytes)
                self._count("civicsync_throttled_total", event.host, by=event.status == THROTTLED)
            case events.DecisionMade():
                self._count("civicsync_decisions_total", event.route, event.action)
            case events.WriteEnded():
                self._count("civicsync_writes_total", event.route, event.instance, event.kind, event.state)
            case events.LeaseMoved():
                self._count("civicsync_lease_moves_total", event.what)
            case events.Warned():
                self._count("civicsync_warnings_total", event.instance, event.code)
            case _:
                pass

    def _count(self, name: str, *labels: str, by: float = 1) -> None:
        self._counters[name].labels(*labels).inc(max(0.0, float(by)))

    def describe(self) -> Iterable[Any]:
        """Nothing is asked while it is registered."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges, for the registry."""
        now, seen = self.clock.now(), self._vitals()
        yield _gauge("civicsync_info", {(self.version,): 1})
        yield _gauge("civicsync_started_timestamp_seconds", {(): self.started.timestamp()})
        yield _gauge("civicsync_ready", {(): float(self.ready())})
        yield _gauge("civicsync_config_loaded_timestamp_seconds", {(): self.loaded.timestamp()})
        yield _gauge("civicsync_config_reload_failed", {(): float(self.reload_failed)})
        yield _gauge("civicsync_database_up", {(): float(seen is not None)})
        if seen is not None:
            yield from self._of_database(seen, now)

    def _of_database(self, seen: Vitals, now: datetime) -> Iterator[GaugeMetricFamily]:
        good, age = seen.good_pulls, "civicsync_last_good_pull_age_seconds"
        names = self.instances or tuple(good)
        yield _gauge("civicsync_database_bytes", {(): seen.bytes})
        yield _gauge(age, {(name,): max(0.0, (now - good.get(name, self.started)).total_seconds()) for name in names})
        known = {(name,): good[name].timestamp() for name in names if name in good}
        yield _gauge("civicsync_last_good_pull_timestamp_seconds", known)
        yield _gauge("civicsync_last_run_outcome", {(each.instance, each.outcome): 1 for each in seen.last_runs})
        yield _gauge("civicsync_last_run_seconds", {(each.instance,): each.seconds for each in seen.last_runs})
        yield _gauge("civicsync_last_run_requests", {(each.instance,): each.requests for each in seen.last_runs})
        spent = {(each.instance,): each.platform_seconds for each in seen.last_runs}
        yield _gauge("civicsync_last_run_platform_seconds", spent)
        yield _gauge("civicsync_quarantined", {(name,): seen.quarantined.get(name, 0) for name in names})
        yield _gauge("civicsync_publications", seen.publications)
        yield _gauge("civicsync_operations_open", seen.operations)
        yield _gauge("civicsync_waiting_for_person", {(name,): many for name, (many, _) in seen.waiting.items()})
        since = {(name,): max(0.0, (now - first).total_seconds()) for name, (_, first) in seen.waiting.items()}
        yield _gauge("civicsync_waiting_for_person_age_seconds", since)
        yield _gauge("civicsync_twins", {(name,): many for name, many in seen.twins.items()})
        yield _gauge("civicsync_route_halted", {(name,): 1 for name in seen.halted})
        yield _gauge("civicsync_host_left_alone", {(host,): 1 for host in seen.breakers})
        if seen.queue.made:
            yield _gauge("civicsync_workers", {(): seen.queue.workers})
            yield _gauge("civicsync_jobs", {("doing",): seen.queue.under_way, ("todo",): seen.queue.waiting})
            yield _gauge("civicsync_jobs_waiting_age_seconds", {(): seen.queue.waits_for})
        yield _gauge("civicsync_alerts_open", {(kind,): many for kind, many in seen.alerts.open.items()})
        waiting = {(name,): many for name, many in seen.alerts.waiting.items()}
        yield _gauge("civicsync_alert_deliveries_waiting", waiting)
        given_up = {(name,): many for name, many in seen.alerts.given_up.items()}
        yield _gauge("civicsync_alert_deliveries_given_up", given_up)
        yield _gauge("civicsync_lease_held", {(each.name,): 1 for each in seen.leases})
        ends = {(each.name,): each.until.timestamp() for each in seen.leases}
        yield _gauge("civicsync_lease_ends_timestamp_seconds", ends)

    def _vitals(self) -> Vitals | None:
        """One look for all who ask within some seconds; None where the database does not answer."""
        with self._lock:
            now = self.clock.monotonic()
            if self._seen is None or now - self._seen[0] >= _FRESH:
                try:
                    self._seen = (now, self._look())
                except (SQLAlchemyError, DatabaseError, OSError):
                    self._seen = (now, None)
            return self._seen[1]


def _gauge(name: str, values: Mapping[Any, float]) -> GaugeMetricFamily:
    metric = METRICS[name]
    family = GaugeMetricFamily(name, metric.meaning, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric([str(each) for each in labels], float(value))
    return family


def reference() -> str:
    """The page `docs/reference/metrics.md`."""
    lines = [
        "# Metrics",
        "",
        "What `GET /metrics` of `civicsync run` tells Prometheus ([how to watch it](../howto/monitor.md)). Counters begin at 0 with each",
        "process; gauges come from the database and are the same wherever they are asked. Labels hold names of the configuration, codes",
        "and states. This page is made from the code (`python -m proof.reference`).",
        "",
        "| metric | kind | labels | meaning |",
        "|---|---|---|---|",
    ]
    for name, metric in METRICS.items():
        labels = ", ".join(f"`{each}`" for each in metric.labels)
        lines.append(f"| `{name}` | {metric.kind} | {labels} | {metric.meaning} |")
    return "\n".join(lines) + "\n"
