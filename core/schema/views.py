"""The stable views analysts query. Their columns are a promise (docs/reference/views.md); the tables behind them are not.

The definitions are one text for both databases but for a few functions of time (`_Words`). On PostgreSQL the views have a schema of their
own (`SCHEMA`), so that an analyst's role can be given all of them and nothing else. What each column means, in words, is in
`analysis.columns`; a test holds the two against each other.

Rows that are gone stay visible with `gone_at`, so that a count over time can be explained; filter on `gone_at IS NULL` for what is there
now. `proposals` are originals: what civicsync itself copied is in `all_proposals`, so that nothing is counted twice.
"""

import hashlib
from dataclasses import dataclass
from functools import cache

SCHEMA = "civicsync"
"""Of the views on PostgreSQL."""
FORMER = ("texts", "versions")
"""Views of earlier releases, taken away by an upgrade."""

_CHILD = "gone_at, gone_reason, first_seen_at, changed_at"
_AGE = "LEFT JOIN scope_confirmation f ON f.instance = t.instance AND f.scope = t.scope"
_OWN_COPY = "EXISTS (SELECT 1 FROM publication c WHERE c.copy_key = p.key)"


@dataclass(frozen=True, slots=True)
class _Words:
    """What the two databases say differently."""

    postgres: bool

    def day(self, moment: str) -> str:
        """The date of a moment, in UTC."""
        return f"({moment} AT TIME ZONE 'UTC')::date" if self.postgres else f"date({moment})"

    def days_since(self, moment: str) -> str:
        """Whole days from a moment until now."""
        if self.postgres:
            return f"CAST(floor(extract(epoch FROM now() - {moment}) / 86400) AS integer)"
        return f"CAST(julianday('now') - julianday({moment}) AS INTEGER)"


def _confirmed(row: str) -> str:
    """The later of what confirmed the row itself and its whole scope; a row that is missing follows its scope no longer."""
    later = f"f.confirmed_at IS NOT NULL AND ({row}.confirmed_at IS NULL OR f.confirmed_at > {row}.confirmed_at)"
    return (
        f"CASE WHEN {row}.missing_runs = 0 AND {later} THEN f.confirmed_at ELSE {row}.confirmed_at END AS confirmed_at"
    )


def _confirmed_with(row: str, above: str) -> str:
    """As `_confirmed`; a row without a scope came inside another one, and is as old as that."""
    own = {
        name: f"CASE WHEN {row}.scope = '' THEN {above}.{name} ELSE {row}.{name} END"
        for name in ("missing_runs", "confirmed_at")
    }
    later = f"f.confirmed_at IS NOT NULL AND ({own['confirmed_at']} IS NULL OR f.confirmed_at > {own['confirmed_at']})"
    return f"CASE WHEN {own['missing_runs']} = 0 AND {later} THEN f.confirmed_at ELSE {own['confirmed_at']} END AS confirmed_at"


def _swept(table: str, columns: str, where: str = "") -> str:
    """A view of one swept table, with what every swept row tells of itself."""
    named = ", ".join(f"t.{each.strip()}" for each in f"{columns}, key, {_CHILD}".split(","))
    return f"SELECT {named}, {_confirmed('t')} FROM {table} t {_AGE}{where}"


_PROPOSAL = f"""
        SELECT p.instance, p.kind, p.remote_id, p.title, p.locale, p.state, p.native_state, p.supports, p.opposes, p.endorsements,
            p.comments, p.url, p.reference, s.name AS space, p.space_key, p.author, p.official, p.created_at, p.published_at,
            p.updated_at, p.withdrawn_at, p.address, p.latitude, p.longitude, p.amount, p.selected, p.amends_key, p.version, p.key,
            p.{_CHILD.replace(", ", ", p.")}, {_confirmed("p")}"""
_PROPOSAL_FROM = """
        FROM proposal p LEFT JOIN space s ON s.key = p.space_key
        LEFT JOIN scope_confirmation f ON f.instance = p.instance AND f.scope = p.scope"""
_BUDGET_OF = (
    "CASE WHEN s.kind = 'budget' THEN s.key WHEN u.kind = 'budget' THEN u.key WHEN v.kind = 'budget' THEN v.key END"
)


@cache
def views(dialect: str) -> dict[str, str]:
    """The definition of every view by its name, for `sqlite` or `postgresql`; later ones may use earlier ones."""
    say = _Words(dialect == "postgresql")
    waiting = "COALESCE(p.published_at, p.created_at, p.first_seen_at)"
    return {
        "proposals": f"{_PROPOSAL}{_PROPOSAL_FROM}\n        WHERE NOT {_OWN_COPY}",
        "all_proposals": f"{_PROPOSAL},\n            c.origin_key AS copy_of{_PROPOSAL_FROM}\n"
        "        LEFT JOIN publication c ON c.copy_key = p.key",
        "proposal_texts": """
        SELECT p.instance, p.kind, p.remote_id, t.locale, t.machine, t.title, t.plain AS body, t.html, t.proposal_key
        FROM proposal_text t JOIN proposal p ON p.key = t.proposal_key""",
        "proposal_versions": """
        SELECT p.instance, p.kind, p.remote_id, v.version, v.state, v.native_state, v.texts, v.seen_from, v.seen_until, v.proposal_key
        FROM proposal_version v JOIN proposal p ON p.key = v.proposal_key""",
        "supports_over_time": """
        SELECT p.instance, p.kind, p.remote_id, p.title, t.seen_at, t.supports, t.opposes, t.endorsements, t.comments, t.proposal_key
        FROM tally t JOIN proposal p ON p.key = t.proposal_key""",
        # The last row of each day, found by the primary key: no sorting of a whole history for the first page of it.
        "supports_daily": f"""
        SELECT p.instance, p.kind, p.remote_id, p.title, {say.day("t.seen_at")} AS day, t.supports, t.opposes, t.endorsements,
            t.comments, t.proposal_key
        FROM tally t JOIN proposal p ON p.key = t.proposal_key
        WHERE NOT EXISTS (SELECT 1 FROM tally n WHERE n.proposal_key = t.proposal_key AND n.seen_at > t.seen_at
            AND {say.day("n.seen_at")} = {say.day("t.seen_at")})""",
        "comments": _swept(
            "comment",
            "instance, kind, remote_id, target_key, parent_key, locale, plain AS body, html, alignment, supports, opposes, author, "
            "created_at, updated_at",
        ),
        # An answer that came inside its proposal is as old as that.
        "answers": f"""
        SELECT t.instance, t.kind, t.remote_id, t.target_key, t.state, t.native_state, t.plain AS body, t.texts, t.answered_at, t.cost,
            t.key, t.{_CHILD.replace(", ", ", t.")}, {_confirmed_with("t", "p")}
        FROM answer t LEFT JOIN proposal p ON p.key = t.target_key
        LEFT JOIN scope_confirmation f ON f.instance = t.instance AND f.scope = CASE WHEN t.scope = '' THEN p.scope ELSE t.scope END""",
        "unanswered": f"""
        SELECT p.instance, p.kind, p.remote_id, p.title, p.supports, p.comments, p.created_at, {waiting} AS waiting_since,
            {say.days_since(waiting)} AS waiting_days, s.name AS space, p.space_key, r.name AS process, r.key AS process_key,
            p.url, p.key
        FROM proposal p LEFT JOIN space s ON s.key = p.space_key LEFT JOIN space_total x ON x.space_key = p.space_key
        LEFT JOIN space r ON r.key = x.root_key
        WHERE p.gone_at IS NULL AND p.state IN ('open', 'evaluating') AND p.kind <> 'amendment' AND NOT {_OWN_COPY}
        AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.target_key = p.key AND a.gone_at IS NULL)""",
        "monthly_top": """
        SELECT m.month, m.instance, CASE WHEN m.category_key = '' THEN 'overall' ELSE 'category' END AS list, m.position AS rank,
            c.name AS category, NULLIF(m.category_key, '') AS category_key, p.title, m.supports, p.state, p.url, m.proposal_key,
            m.frozen_at
        FROM monthly_top_entry m LEFT JOIN proposal p ON p.key = m.proposal_key LEFT JOIN category c ON c.key = m.category_key""",
        "participation_by_area": """
        SELECT t.instance, NULLIF(t.area_key, '') AS area_key, a.name AS area, t.proposals, t.proposal_authors, t.comments,
            t.comment_authors, t.participants, t.refreshed_at
        FROM area_total t LEFT JOIN area a ON a.key = t.area_key""",
        "processes": """
        SELECT s.instance, s.kind, s.remote_id, s.name, s.native_type, s.status, s.url, s.amount, x.root_key, r.name AS root, s.parent_key,
            x.depth, x.proposals, x.open_proposals, x.answered, x.supports, x.comments, x.participants, x.first_at, x.last_at, s.key,
            s.gone_at, x.refreshed_at
        FROM space s LEFT JOIN space_total x ON x.space_key = s.key LEFT JOIN space r ON r.key = x.root_key""",
        "spaces": _swept(
            "space", "instance, kind, remote_id, name, names, native_type, status, url, amount, parent_key"
        ),
        "categories": _swept("category", "instance, kind, remote_id, name, names, parent_key, space_key"),
        "areas": _swept("area", "instance, kind, remote_id, name, names, parent_key"),
        "proposal_categories": """
        SELECT p.instance, p.remote_id, p.title, c.kind, c.name, l.proposal_key, l.category_key
        FROM proposal_category l JOIN proposal p ON p.key = l.proposal_key LEFT JOIN category c ON c.key = l.category_key""",
        "proposal_areas": """
        SELECT p.instance, p.remote_id, p.title, a.kind, a.name, l.proposal_key, l.area_key
        FROM proposal_area l JOIN proposal p ON p.key = l.proposal_key LEFT JOIN area a ON a.key = l.area_key""",
        "budgets": _swept(
            "space", "instance, kind, remote_id, name, status, amount, parent_key", " WHERE t.kind = 'budget'"
        ),
        "projects": f"""
        SELECT p.instance, p.kind, p.remote_id, p.title, {_BUDGET_OF} AS budget_key, b.name AS budget, s.name AS heading, p.space_key,
            p.amount, p.supports, p.selected, p.state, p.native_state, p.url, p.latitude, p.longitude, p.key, p.gone_at
        FROM proposal p LEFT JOIN space s ON s.key = p.space_key LEFT JOIN space u ON u.key = s.parent_key
        LEFT JOIN space v ON v.key = u.parent_key LEFT JOIN space b ON b.key = {_BUDGET_OF}
        WHERE p.kind IN ('investment', 'project') AND NOT {_OWN_COPY}""",
        "moderation": " UNION ALL ".join(
            (
                *(
                    f"SELECT '{many}' AS record, t.instance, t.kind, t.remote_id, t.key, 'gone' AS what, t.gone_at AS at, "
                    f"t.gone_reason AS reason FROM {one} t WHERE t.gone_at IS NOT NULL"
                    for one, many in (("proposal", "proposals"), ("comment", "comments"), ("answer", "answers"))
                ),
                """SELECT 'proposals', p.instance, p.kind, p.remote_id, p.key, 'withdrawn', COALESCE(p.withdrawn_at, p.changed_at),
                p.native_state FROM proposal p WHERE p.state = 'withdrawn' AND p.gone_at IS NULL""",
                """SELECT 'quarantine', q.instance, q.scope, q.ref, q.instance || '/' || q.ref, 'withheld', q.first_seen_at,
                q.field || ': ' || q.reason FROM quarantine q""",
            )
        ),
        "publications": """
        SELECT id, route, origin_key AS origin, target_instance || '/' || target_space AS target, state, remote_id, url, title, reason,
            target_instance, target_space, copy_key, created_at, changed_at, sent_at FROM publication""",
        "publication_events": """
        SELECT e.id, e.publication_id, p.route, p.origin_key AS origin, e.at, e.what, e.detail
        FROM publication_event e JOIN publication p ON p.id = e.publication_id""",
        # Neither supports nor people are ever added up over the two.
        "duplicate_candidates": """
        SELECT d.key_a, a.instance AS instance_a, a.title AS title_a, a.locale AS locale_a, a.supports AS supports_a, a.url AS url_a,
            d.key_b, b.instance AS instance_b, b.title AS title_b, b.locale AS locale_b, b.supports AS supports_b, b.url AS url_b,
            d.score, d.lexical, d.semantic, d.method, d.version, d.evidence, d.found_at, d.decision, d.decided_at
        FROM duplicate_pair d JOIN proposal a ON a.key = d.key_a JOIN proposal b ON b.key = d.key_b
        WHERE a.gone_at IS NULL AND b.gone_at IS NULL""",
        "votes": _swept("vote", "instance, kind, remote_id, target_key, positive, cast_at"),
        "attachments": """
        SELECT instance, kind, remote_id, owner_key, title, media_type, url, key FROM attachment""",
        "instances": """
        SELECT name, platform, url, title, version, dialect, probed_at, last_full_at, last_success_at FROM instance""",
        "runs": """
        SELECT id, instance, started_at, ended_at, outcome, message, "full", pages, seen, created, changed, unchanged, tallies, missing,
            gone, quarantined, requests, retries, bytes, platform_seconds, seconds FROM run""",
        # What may be given to everybody: no pseudonym, nothing that is gone or was withdrawn, and no number that tells of few people.
        "public_proposals": f"""
        SELECT p.instance, p.kind, p.remote_id, p.title, p.locale, p.state, p.supports, p.opposes, p.endorsements, p.comments, p.url,
            p.reference, s.name AS space, p.official, {say.day("COALESCE(p.published_at, p.created_at)")} AS published_on,
            p.latitude, p.longitude, p.amount, p.selected, p.key
        FROM proposal p LEFT JOIN space s ON s.key = p.space_key
        WHERE p.gone_at IS NULL AND p.state <> 'withdrawn' AND NOT {_OWN_COPY}""",
        "public_processes": """
        SELECT s.instance, s.kind, s.remote_id, s.name, s.status, s.url, x.proposals, x.open_proposals, x.answered, x.supports, x.comments,
            s.key
        FROM space s LEFT JOIN space_total x ON x.space_key = s.key WHERE s.gone_at IS NULL""",
        "public_participation_by_area": """
        SELECT t.instance, NULLIF(t.area_key, '') AS area_key, a.name AS area, t.proposals, t.proposal_authors, t.proposals_suppressed,
            t.comments, t.comment_authors, t.comments_suppressed, t.published_at
        FROM published_area t LEFT JOIN area a ON a.key = t.area_key""",
        "public_monthly_top": """
        SELECT m.month, m.instance, CASE WHEN m.category_key = '' THEN 'overall' ELSE 'category' END AS list, m.position AS rank,
            c.name AS category, p.title, m.supports, p.url, m.proposal_key
        FROM monthly_top_entry m JOIN proposal p ON p.key = m.proposal_key LEFT JOIN category c ON c.key = m.category_key
        WHERE p.gone_at IS NULL AND p.state <> 'withdrawn'""",
    }


NAMES = tuple(views("sqlite"))
"""Of all views."""


def fingerprint(dialect: str) -> str:
    """Changes when a view's definition changes, so that a database knows when to make them anew."""
    return hashlib.sha256(
        "\n".join(f"{name}={sql}" for name, sql in sorted(views(dialect).items())).encode()
    ).hexdigest()
