"""Slots that a parcel takes, in databases that were made before there were several."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column where it is missing: a parcel took one slot then."""
    columns = sa.inspect(op.get_bind()).get_columns("commitments")
    if "load" not in {column["name"] for column in columns}:
        one = sa.Column("load", sa.BigInteger, nullable=False, server_default="1")
        op.add_column("commitments", one)


def downgrade() -> None:
    """Leave it: versions of schema 0002 know it."""
