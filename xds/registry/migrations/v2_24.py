"""The indexes of audit records have those of a value in the order of a search."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "2.24"
down_revision: Final = "2.23"

_TABLE: Final = "audit_record"


def upgrade() -> None:
    """Make four indexes in the place of others, on a server without holding up who writes."""
    for old, new, columns, where in (
        ("patient_id", "of_patient", ["patient_id"], "patient_id IS NOT NULL"),
        ("user_id", "of_user", ["user_id"], "user_id IS NOT NULL"),
        ("transaction", "of_transaction", ["transaction"], None),
        ("failed", "of_failure", [], "outcome > 0"),
    ):
        condition = where and sa.text(where)
        replaced, made = f"ix_{_TABLE}_{old}", f"ix_{_TABLE}_{new}"
        whole = [*columns, "at", "pk"]
        if op.get_context().dialect.name == "postgresql":
            with op.get_context().autocommit_block():
                op.drop_index(made, _TABLE, postgresql_concurrently=True, if_exists=True)
                op.create_index(
                    made, _TABLE, whole, postgresql_concurrently=True, postgresql_where=condition
                )
                op.drop_index(replaced, _TABLE, postgresql_concurrently=True, if_exists=True)
        else:
            op.create_index(made, _TABLE, whole, sqlite_where=condition)
            op.drop_index(replaced, _TABLE)
