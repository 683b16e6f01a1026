"""Published nights, parcels in flight, cap bank."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "nights",
        sa.Column("date", sa.Date, primary_key=True),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("published_at_utc", sa.String, nullable=False),
        sa.Column("config_sha256", sa.String, nullable=False),
        sa.Column("num_orders", sa.BigInteger, nullable=False),
        sa.Column("num_chosen", sa.BigInteger, nullable=False),
        sa.Column("saving_micro_cny", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "commitments",
        sa.Column("date", sa.Date, primary_key=True),
        sa.Column("order_id", sa.String, primary_key=True),
        sa.Column("carrier_id", sa.String, nullable=False),
        sa.Column("region_id", sa.String),
        sa.Column("outlet_id", sa.String),
        sa.Column("service_date", sa.Date, nullable=False),
        sa.Column("load", sa.BigInteger, nullable=False),
    )
    op.create_index("commitments_by_service_date", "commitments", ["service_date"])
    op.create_table(
        "bank",
        sa.Column("date", sa.Date, primary_key=True),
        sa.Column("merchant_id", sa.String, primary_key=True),
        sa.Column("earned_nano", sa.BigInteger, nullable=False),
        sa.Column("granted", sa.BigInteger, nullable=False),
        sa.Column("carried_out_nano", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop them: the next upgrade and run make them again from the folders."""
    for table in ("bank", "commitments", "nights"):
        op.drop_table(table)
