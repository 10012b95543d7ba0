"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "journals",
        sa.Column("dev", sa.String(32), primary_key=True),
        sa.Column("jid", sa.String(32), primary_key=True),
        sa.Column("folder", sa.String(48), nullable=False, unique=True),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "recordings",
        sa.Column("rec", sa.String(64), primary_key=True),
        sa.Column("dev", sa.String(32), nullable=False, index=True),
        sa.Column("jid", sa.String(32), nullable=False),
        sa.Column("start_seq", sa.BigInteger, nullable=False),
        sa.Column("start_utc", sa.String(24), index=True),
        sa.Column("start_err_ms", sa.BigInteger),
        sa.Column("wearer", sa.String(32)),
        sa.Column("stop_seq", sa.BigInteger),
        sa.Column("stop_cause", sa.String(16)),
        sa.Column("fragments", sa.BigInteger),
        sa.Column("duration_ms", sa.BigInteger),
        sa.Column("held", sa.Boolean, nullable=False),
        sa.Column("held_until", sa.String(24)),
    )
    op.create_table(
        "segments",
        sa.Column("rec", sa.String(64), primary_key=True),
        sa.Column("seg", sa.Integer, primary_key=True),
        sa.Column("dev", sa.String(32), nullable=False),
        sa.Column("jid", sa.String(32), nullable=False),
        sa.Column("seal_seq", sa.BigInteger, nullable=False),
        sa.Column("seal_head", sa.String(64), nullable=False),
        sa.Column("recovered", sa.Boolean, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("blob", sa.String(64), nullable=False),
        sa.Column("stored", sa.Boolean, nullable=False),
        sa.Column("receipt_seq", sa.BigInteger),
        sa.Column("purge_seq", sa.BigInteger),
    )
    op.create_index("segments_due", "segments", ["dev", "jid", "stored", "receipt_seq", "seal_seq"])
    op.create_table(
        "orders",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("dev", sa.String(32), nullable=False, index=True),
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("utc", sa.String(24), nullable=False),
    )
