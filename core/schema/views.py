"""The stable views analysts query. Their columns are a promise (docs/reference/views.md); the tables behind them are not.

`VIEWS` holds plain SQL that SQLite and PostgreSQL both understand. Rows that are gone stay visible with `gone_at`, so that
a count over time can be explained; filter on `gone_at IS NULL` for what is there now.
"""

import hashlib

_CHILD = "gone_at, gone_reason, first_seen_at, changed_at"
_AGE = "LEFT JOIN scope_confirmation f ON f.instance = t.instance AND f.scope = t.scope"


def _confirmed(row: str) -> str:
    """The later of what confirmed the row itself and its whole scope; a row that is missing follows its scope no longer."""
    later = f"f.confirmed_at IS NOT NULL AND ({row}.confirmed_at IS NULL OR f.confirmed_at > {row}.confirmed_at)"
    return (
        f"CASE WHEN {row}.missing_runs = 0 AND {later} THEN f.confirmed_at ELSE {row}.confirmed_at END AS confirmed_at"
    )


def _swept(table: str, columns: str, where: str = "") -> str:
    """A view of one swept table, with what every swept row tells of itself."""
    named = ", ".join(f"t.{each.strip()}" for each in f"{columns}, key, {_CHILD}".split(","))
    return f"SELECT {named}, {_confirmed('t')} FROM {table} t {_AGE}{where}"


VIEWS: dict[str, str] = {
    "proposals": f"""
        SELECT p.instance, p.kind, p.remote_id, p.title, p.locale, p.state, p.native_state, p.supports, p.opposes, p.endorsements,
            p.comments, p.url, p.reference, s.name AS space, p.space_key, p.author, p.official, p.created_at, p.published_at,
            p.updated_at, p.withdrawn_at, p.address, p.latitude, p.longitude, p.amount, p.selected, p.amends_key, p.version, p.key,
            p.{_CHILD.replace(", ", ", p.")}, {_confirmed("p")}, c.origin_key AS copy_of
        FROM proposal p LEFT JOIN space s ON s.key = p.space_key LEFT JOIN publication c ON c.copy_key = p.key
        LEFT JOIN scope_confirmation f ON f.instance = p.instance AND f.scope = p.scope""",
    "texts": """
        SELECT p.instance, p.kind, p.remote_id, t.locale, t.machine, t.title, t.html, t.plain, t.proposal_key
        FROM proposal_text t JOIN proposal p ON p.key = t.proposal_key""",
    "versions": """
        SELECT p.instance, p.kind, p.remote_id, v.version, v.state, v.native_state, v.texts, v.seen_from, v.seen_until, v.proposal_key
        FROM proposal_version v JOIN proposal p ON p.key = v.proposal_key""",
    "supports_over_time": """
        SELECT p.instance, p.kind, p.remote_id, p.title, t.seen_at, t.supports, t.opposes, t.endorsements, t.comments, t.proposal_key
        FROM tally t JOIN proposal p ON p.key = t.proposal_key""",
    "comments": _swept(
        "comment",
        "instance, kind, remote_id, target_key, parent_key, locale, plain AS body, html, alignment, supports, opposes, author, "
        "created_at, updated_at",
    ),
    # An answer that came inside its proposal is as old as that.
    "answers": f"""
        SELECT t.instance, t.kind, t.remote_id, t.target_key, t.state, t.native_state, t.plain AS body, t.texts, t.answered_at, t.cost,
            t.key, t.{_CHILD.replace(", ", ", t.")}, {_confirmed("h")}
        FROM answer t LEFT JOIN proposal p ON p.key = t.target_key
        LEFT JOIN (SELECT key, scope, confirmed_at, missing_runs FROM proposal UNION ALL
            SELECT key, scope, confirmed_at, missing_runs FROM answer) h ON h.key = CASE WHEN t.scope = '' THEN p.key ELSE t.key END
        LEFT JOIN scope_confirmation f ON f.instance = t.instance AND f.scope = h.scope""",
    "spaces": _swept("space", "instance, kind, remote_id, name, names, native_type, status, url, amount, parent_key"),
    "categories": _swept("category", "instance, kind, remote_id, name, names, parent_key, space_key"),
    "areas": _swept("area", "instance, kind, remote_id, name, names, parent_key"),
    "proposal_categories": """
        SELECT p.instance, p.remote_id, p.title, c.kind, c.name, l.proposal_key, l.category_key
        FROM proposal_category l JOIN proposal p ON p.key = l.proposal_key LEFT JOIN category c ON c.key = l.category_key""",
    "proposal_areas": """
        SELECT p.instance, p.remote_id, p.title, a.kind, a.name, l.proposal_key, l.area_key
        FROM proposal_area l JOIN proposal p ON p.key = l.proposal_key LEFT JOIN area a ON a.key = l.area_key""",
    "votes": _swept("vote", "instance, kind, remote_id, target_key, positive, cast_at"),
    "attachments": """
        SELECT instance, kind, remote_id, owner_key, title, media_type, url, key FROM attachment""",
    "instances": """
        SELECT name, platform, url, title, version, dialect, probed_at, last_full_at, last_success_at FROM instance""",
    "runs": """
        SELECT id, instance, started_at, ended_at, outcome, message, "full", pages, seen, created, changed, unchanged, tallies, missing,
            gone, quarantined, requests, retries, bytes, platform_seconds, seconds FROM run""",
    "budgets": _swept(
        "space", "instance, kind, remote_id, name, status, amount, parent_key", " WHERE t.kind = 'budget'"
    ),
    "unanswered": """
        SELECT p.instance, p.kind, p.remote_id, p.title, p.supports, p.comments, p.created_at, p.url, p.key
        FROM proposal p WHERE p.gone_at IS NULL AND p.state IN ('open', 'evaluating') AND p.kind <> 'amendment'
        AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.target_key = p.key AND a.gone_at IS NULL)""",
    "publications": """
        SELECT id, route, origin_key AS origin, target_instance || '/' || target_space AS target, state, remote_id, url, title, reason,
            target_instance, target_space, copy_key, created_at, changed_at, sent_at FROM publication""",
    "publication_events": """
        SELECT e.id, e.publication_id, p.route, p.origin_key AS origin, e.at, e.what, e.detail
        FROM publication_event e JOIN publication p ON p.id = e.publication_id""",
}


def fingerprint() -> str:
    """Changes when a view's definition changes, so that a database knows when to make them anew."""
    return hashlib.sha256("\n".join(f"{name}={sql}" for name, sql in sorted(VIEWS.items())).encode()).hexdigest()
