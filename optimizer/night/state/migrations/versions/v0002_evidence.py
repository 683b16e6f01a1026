"""The chain of evidence: rows are added, never changed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_SAY = "evidence is only ever added to"
_SQLITE = [
    f"CREATE TRIGGER evidence_keeps_{what.lower()} BEFORE {what} ON evidence "
    f"BEGIN SELECT RAISE(ABORT, '{_SAY}'); END"
    for what in ("UPDATE", "DELETE")
]
_POSTGRES = [
    "CREATE OR REPLACE FUNCTION evidence_keeps() RETURNS trigger LANGUAGE plpgsql AS "
    f"$$ BEGIN RAISE EXCEPTION '{_SAY}'; END $$",
    "CREATE TRIGGER evidence_keeps BEFORE UPDATE OR DELETE OR TRUNCATE ON evidence "
    "FOR EACH STATEMENT EXECUTE FUNCTION evidence_keeps()",
]


def upgrade() -> None:
    """Make the table, with triggers that refuse anything but additions."""
    op.create_table(
        "evidence",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.String, nullable=False, unique=True),
        sa.Column("body", sa.String, nullable=False),
    )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE if is_sqlite else _POSTGRES:
        op.execute(statement)


def downgrade() -> None:
    """Drop it: the file beside the nights holds the same links."""
    op.drop_table("evidence")
