"""Which messages brought about changes of documents, so that none goes back to its sender."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from xds.database.lists import one_of
from xds.database.reading import fetch
from xds.messaging.tables import message

_BY_SUBMISSION_SET: Final = select(message.c.submission_set, message.c.sender).where(
    one_of.named(message.c.submission_set, "wanted")
)


@dataclass(frozen=True, slots=True)
class DocumentOrigin:
    """What the message said by which a document came."""

    sender: str = ""
    """``application|facility``; empty where it came in another way."""
    practice: str = ""
    """ODS code of the patient's general practice; empty where it is not known."""


def origins(connection: Connection, submission_sets: Sequence[str]) -> Mapping[str, DocumentOrigin]:
    """Return the messages behind SubmissionSets, by their entryUUIDs."""
    if not submission_sets:
        return {}
    rows = fetch(connection, _BY_SUBMISSION_SET, {"wanted": submission_sets})
    return {submission_set: DocumentOrigin(sender) for submission_set, sender in rows}
