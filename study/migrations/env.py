"""Runs the migrations on the connection that study.store.database gives, in its one transaction."""

from alembic import context
from sqlalchemy import func, select

from study.store.tables import Base

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":  # two processes that start at once take turns, as SQLite's lock has it
    connection.execute(select(func.pg_advisory_xact_lock(0x57D1)))
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True, transactional_ddl=False)
context.run_migrations()
