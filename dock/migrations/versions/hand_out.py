"""Who has which camera; and numbers of orders that never come again, which SQLite promises only when it is told to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, length in (("wearer", 32), ("service", 100), ("sector", 100), ("worn_from", 24), ("worn_until", 24)):
        op.add_column("journals", sa.Column(name, sa.String(length)))
    with op.batch_alter_table("orders", recreate="always", table_kwargs={"sqlite_autoincrement": True}):
        pass
