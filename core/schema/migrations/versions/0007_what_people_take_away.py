"""What people take away: totals, decisions about duplicates, who was forgotten"""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    pass
