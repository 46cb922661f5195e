"""Who an instance is, what a person was shown, and what was purged"""

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    pass
