"""Alembic's entry: runs the migrations on the connection that `core.database` gives."""

import sqlmodel  # noqa: F401  a migration may name its column types
from alembic import context
from sqlmodel import SQLModel

from civicsync.core.schema import ledger_tables, tables  # noqa: F401  fill the metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
