"""The first schema that was released."""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: Final = "1.0"
down_revision: Final = None

_KEY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_UUID: Final = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
_EVENT_CODE, _REFERENCE_ID, _CODE_LIST = 1, 3, 4
"""Numbers of attributes whose values lead to their objects."""


def upgrade() -> None:
    """Make the tables of an empty database."""
    _patients()
    _document_entries()
    _submission_sets()
    _folders()
    _associations()
    _values("document_entry", event_code_list=_EVENT_CODE, reference_id_list=_REFERENCE_ID)
    _values("submission_set")
    _values("folder", code_list=_CODE_LIST)
    _events()
    _documents()


def _required(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _patient(name: str = "patient", *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _KEY, sa.ForeignKey("patient.pk"), nullable=nullable)


def _patients() -> None:
    op.create_table(
        "patient",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("patient_id", sa.Text, nullable=False, unique=True),
        _patient("survivor", nullable=True),
    )
    merged = sa.text("survivor IS NOT NULL")
    op.create_index(
        "ix_patient_survivor",
        "patient",
        ["survivor"],
        sqlite_where=merged,
        postgresql_where=merged,
    )


def _object(name: str, *columns: sa.Column[Any]) -> None:
    op.create_table(
        name,
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("entry_uuid", _UUID, nullable=False, unique=True),
        _required("availability_status", sa.SmallInteger()),
        *columns,
        _required("fragment", sa.LargeBinary()),
    )


def _times() -> tuple[sa.Column[Any], sa.Column[Any]]:
    return (
        _required("registered_at", sa.BigInteger()),
        _required("last_updated_at", sa.BigInteger()),
    )


def _indexes(table: str, *columns: str) -> None:
    for column in columns:
        op.create_index(f"ix_{table}_{column}", table, [column])


def _document_entries() -> None:
    _object(
        "document_entry",
        _required("object_type", sa.SmallInteger()),
        _patient(),
        sa.Column("source_patient_id", sa.Text),
        _required("unique_id", sa.Text()),
        _required("logical_id", _UUID),
        _required("version", sa.Integer()),
        sa.Column("home_community_id", sa.Text),
        sa.Column("creation_time", sa.BigInteger),
        sa.Column("service_start_time", sa.BigInteger),
        sa.Column("service_stop_time", sa.BigInteger),
        sa.Column("class_code", sa.Text),
        sa.Column("type_code", sa.Text),
        sa.Column("format_code", sa.Text),
        sa.Column("practice_setting_code", sa.Text),
        sa.Column("healthcare_facility_type_code", sa.Text),
        sa.Column("hash", sa.Text),
        sa.Column("size", sa.BigInteger),
        sa.Column("repository_unique_id", sa.Text),
        *_times(),
    )
    op.create_index("ix_document_entry_patient", "document_entry", ["patient", "pk"])
    _indexes("document_entry", "unique_id", "logical_id")
    _indexes("document_entry", "class_code", "healthcare_facility_type_code")


def _submission_sets() -> None:
    _object(
        "submission_set",
        _patient(),
        sa.Column("unique_id", sa.Text, nullable=False, unique=True),
        sa.Column("home_community_id", sa.Text),
        _required("source_id", sa.Text()),
        _required("submission_time", sa.BigInteger()),
        sa.Column("content_type_code", sa.Text),
        *_times(),
    )
    op.create_index("ix_submission_set_patient", "submission_set", ["patient", "pk"])


def _folders() -> None:
    _object(
        "folder",
        _patient(),
        _required("unique_id", sa.Text()),
        _required("logical_id", _UUID),
        _required("version", sa.Integer()),
        sa.Column("home_community_id", sa.Text),
        _required("last_update_time", sa.BigInteger()),
        *_times(),
    )
    op.create_index("ix_folder_patient", "folder", ["patient", "pk"])
    _indexes("folder", "unique_id", "logical_id")


def _associations() -> None:
    _object(
        "association",
        _required("association_type", sa.SmallInteger()),
        _required("source", _UUID),
        _required("target", _UUID),
        sa.Column("home_community_id", sa.Text),
    )
    _indexes("association", "source", "target")


def _values(owner: str, **indexed: int) -> None:
    """Make a table of values: in SQLite it is its own index, elsewhere it has a small one."""
    table = f"{owner}_value"
    is_sqlite = op.get_context().dialect.name == "sqlite"
    op.create_table(
        table,
        _required("owner", _KEY),
        _required("attribute", sa.SmallInteger()),
        _required("value", sa.Text()),
        *([sa.PrimaryKeyConstraint("owner", "attribute", "value")] if is_sqlite else []),
        sqlite_with_rowid=False,
    )
    if not is_sqlite:
        op.create_index(f"ix_{table}_owner", table, ["owner", "attribute"])
    for name, number in indexed.items():
        chosen = sa.text(f"attribute = {number}")
        op.create_index(
            f"ix_{table}_{name}", table, ["value"], sqlite_where=chosen, postgresql_where=chosen
        )


def _events() -> None:
    op.create_table(
        "event",
        sa.Column("pk", _KEY, primary_key=True),
        _required("kind", sa.Text()),
        _required("at", sa.BigInteger()),
        _required("object_kind", sa.Text()),
        sa.Column("entry_uuid", _UUID),
        sa.Column("patient", _KEY),
        sa.Column("survivor", _KEY),
        sa.Column("submission_set", _UUID),
    )


def _documents() -> None:
    op.create_table(
        "document",
        sa.Column("unique_id", sa.Text, primary_key=True),
        _required("key", sa.Text()),
        _required("mime_type", sa.Text()),
        _required("size", sa.BigInteger()),
        _required("hash", sa.Text()),
        sqlite_with_rowid=False,
    )
    _indexes("document", "key")
    op.create_table(
        "registration",
        sa.Column("unique_id", sa.Text, primary_key=True),
        sa.Column("attempt", sa.Text, primary_key=True),
        _required("since", sa.BigInteger()),
        sqlite_with_rowid=False,
    )
