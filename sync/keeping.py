"""What the configuration says of keeping and leaving out, as the store understands it."""

from datetime import timedelta

from ..config.model import Config
from ..core.durations import seconds, term
from ..core.masking import Masker
from ..core.store.intake import Intake
from ..core.store.retention import Keeping


def keeping_of(config: Config, name: str) -> Keeping:
    """How long what is stored of an instance is kept."""
    privacy, kept, settings = config.privacy, config.privacy.retention, config.instances.get(name)
    return Keeping(
        gone=timedelta(seconds=seconds(privacy.purge_gone_after)),
        versions=None if privacy.versions == "kept" else timedelta(seconds=seconds(privacy.versions)),
        names=settings is not None and settings.names == "public",
        comments=term(kept.comments),
        votes=term(kept.votes),
        quarantine=term(kept.quarantine),
        runs=term(kept.runs),
    )


def intake_of(config: Config) -> Intake | None:
    """What is left out before it is stored; None where nothing is, so that nothing stands in the way of a pull."""
    privacy = config.privacy
    comments, votes = term(privacy.retention.comments), term(privacy.retention.votes)
    if not privacy.mask and comments is None and votes is None:
        return None
    return Intake(Masker(privacy.mask) if privacy.mask else None, comments, votes)
