"""
Tables of the state database, as the newest migration leaves them.

All of it can be made again from the published folders (evidence: from the file beside
them): they are the truth, the database is what is looked up quickly and shared between
hosts.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Date,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
)

METADATA = MetaData()

#: Nights that are published, and the version of each that the other tables know.
NIGHTS = Table(
    "nights",
    METADATA,
    Column("date", Date, primary_key=True),
    Column("version", String, nullable=False),
    Column("published_at_utc", String, nullable=False),
    Column("config_sha256", String, nullable=False),
    Column("num_orders", BigInteger, nullable=False),
    Column("num_chosen", BigInteger, nullable=False),
    Column("saving_micro_cny", BigInteger, nullable=False),
)

#: Slots that recommended parcels take, where capacity is counted by day.
COMMITMENTS = Table(
    "commitments",
    METADATA,
    Column("date", Date, primary_key=True),
    Column("order_id", String, primary_key=True),
    Column("carrier_id", String, nullable=False),
    Column("region_id", String),
    Column("outlet_id", String),
    Column("service_date", Date, nullable=False),
    Column("load", BigInteger, nullable=False),
    Index("commitments_by_service_date", "service_date"),
)

#: What merchants earned and were granted under carryover, in nano-parcels and parcels.
BANK = Table(
    "bank",
    METADATA,
    Column("date", Date, primary_key=True),
    Column("merchant_id", String, primary_key=True),
    Column("earned_nano", BigInteger, nullable=False),
    Column("granted", BigInteger, nullable=False),
    Column("carried_out_nano", BigInteger, nullable=False),
)

#: The chain of what was published; a trigger refuses changes and removals.
EVIDENCE = Table(
    "evidence",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", String, nullable=False, unique=True),
    Column("body", String, nullable=False),
)

#: What keeps the chain in a file.
KEEPERS = tuple(
    DDL(
        f"CREATE TRIGGER evidence_keeps_{what.lower()} BEFORE {what} ON evidence "
        "BEGIN SELECT RAISE(ABORT, 'evidence is only ever added to'); END"
    )
    for what in ("UPDATE", "DELETE")
)
#: Which migration a database was brought to last.
REVISION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
