"""Messages, what they made, and links between the ids of a patient (:mod:`xds.messaging`)."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.11"
down_revision: Final = "2.10"

_KEY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_OF_MESSAGES: Final = (
    *("door", "feed", "media", "code", "trigger_event", "version", "control_id", "sender"),
    *("receiver", "sent", "caller", "flavour", "digest", "same_id", "state", "verdict"),
    *("findings", "decisions", "patient_id", "documents", "submission_set"),
)
_OF_REPORTS: Final = ("state", "content", "status", "version_time", "patient_id", "parent")
_OF_ORDERS: Final = (
    *("filler_authority", "filler", "order_group", "control", "status", "ordered", "requester"),
    *("organisation", "patient_id", "message"),
)


def upgrade() -> None:
    """Add tables, which programs of before do not look at."""
    _messages()
    _reports()
    _orders()
    _links()


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _messages() -> None:
    op.create_table(
        "message",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        *_texts(*_OF_MESSAGES),
        sa.Column("accepted_as", sa.Text, unique=True),
        sa.Column("in_place_of", sa.Text),
    )
    for column in ("same_id", "control_id", "received", "patient_id"):
        op.create_index(f"ix_message_{column}", "message", [column])
    op.create_index("ix_message_state", "message", ["state", "pk"])
    op.create_table(
        "message_number",
        sa.Column("number", sa.Text, primary_key=True),
        sa.Column("message", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_message_number_message", "message_number", ["message"])
    op.create_table(
        "message_part",
        sa.Column("message", sa.Text, primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("written", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_message_part_written", "message_part", ["written"])


def _reports() -> None:
    op.create_table(
        "report",
        sa.Column("pk", _KEY, primary_key=True),
        *_texts("authority", "number", "slot", *_OF_REPORTS, "message"),
        sa.Column("entry_uuid", sa.Text),
        sa.Column("unique_id", sa.Text),
        sa.UniqueConstraint("authority", "number", "slot"),
    )
    op.create_index("ix_report_unique_id", "report", ["unique_id"])
    has_parent = sa.text("parent != ''")
    op.create_index(
        "ix_report_parent",
        "report",
        ["parent"],
        sqlite_where=has_parent,
        postgresql_where=has_parent,
    )


def _orders() -> None:
    op.create_table(
        "message_order",
        sa.Column("pk", _KEY, primary_key=True),
        *_texts("authority", "placer", "test", *_OF_ORDERS),
        sa.Column("is_cancelled", sa.SmallInteger, nullable=False),
        sa.UniqueConstraint("authority", "placer", "test"),
    )
    op.create_index("ix_message_order_filler", "message_order", ["filler"])


def _links() -> None:
    op.create_table(
        "patient_link",
        sa.Column("patient_id", sa.Text, primary_key=True),
        sa.Column("domain", sa.Text, primary_key=True),
        sa.Column("linked_id", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "patient_details",
        sa.Column("patient_id", sa.Text, primary_key=True),
        *_texts("family", "given", "birth_date", "sex", "postcode", "practice"),
        sqlite_with_rowid=False,
    )
