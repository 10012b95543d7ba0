"""Alembic's entry: the steps run inside the transaction that dock/catalogue.py opened."""

from __future__ import annotations

from alembic import context

from dock.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
