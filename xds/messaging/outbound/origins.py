"""Which messages brought about changes of documents, so that none goes back to its sender."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from xds.database.lists import one_of
from xds.database.reading import fetch
from xds.messaging.tables import message, message_number

_BY_SUBMISSION_SET: Final = select(
    message.c.submission_set, message.c.sender, message.c.practice
).where(one_of.named(message.c.submission_set, "wanted"))
_BY_FURTHER_SET: Final = (
    select(message_number.c.number, message.c.sender, message.c.practice)
    .join(message, message.c.pk == message_number.c.message)
    .where(one_of.named(message_number.c.number, "wanted"))
)


@dataclass(frozen=True, slots=True)
class DocumentOrigin:
    """What the message said by which a document came."""

    sender: str = ""
    """``application|facility``; empty where it came in another way."""
    practice: str = ""
    """ODS code of the patient's general practice; empty where the message does not say it."""


def origins(connection: Connection, submission_sets: Sequence[str]) -> Mapping[str, DocumentOrigin]:
    """Return the messages behind SubmissionSets, by their entryUUIDs."""
    if not submission_sets:
        return {}
    asked = {"wanted": submission_sets}
    return {
        submission_set: DocumentOrigin(*said)
        for query in (_BY_FURTHER_SET, _BY_SUBMISSION_SET)
        for submission_set, *said in fetch(connection, query, asked)
    }
