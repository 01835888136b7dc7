"""Documents of patients for the tests of the console."""

from itertools import count

from tests.serving import Server
from xds.client import Content, DocumentSource, entry_of, submission_of
from xds.client.submitting import new_oid
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import new_uuid
from xds.metadata.objects import Association, Code, DocumentEntry, Folder
from xds.metadata.submission import Submission

RESTRICTED = (Code("R", "2.16.840.1.113883.5.25", "Restricted"),)
_numbers = count(1)


def cx(number: str, oid: str = "2.999.1.1") -> str:
    """Return a patient id."""
    return f"{number}^^^&{oid}&ISO"


def somebody() -> str:
    """Return the id of a patient whom no other test has."""
    return cx(f"CONSOLE-{next(_numbers)}")


def provide(
    server: Server,
    patient_id: str,
    content: bytes = b"some text",
    mime: str = "text/plain",
    replaces: DocumentEntry | None = None,
    **told: object,
) -> DocumentEntry:
    """Have a document registered, with what is told of its metadata, and return its entry."""
    entry = entry_of(patient_id, mime).updated(**told)
    submission = submission_of([entry])
    if replaces is not None:
        link = Association.create(association_type=v.RPLC, source=entry.id, target=replaces.id)
        submission = Submission((*submission.objects, link))
    with DocumentSource(server.repository_url) as source:
        source.provide_and_register(
            submission, {entry.entry_uuid: Content((content,), len(content))}
        )
    return entry


def provide_in_folder(
    server: Server, patient_id: str, content: bytes, mime: str, **told: object
) -> DocumentEntry:
    """Have a document registered in a new Folder, and return its entry."""
    entry = entry_of(patient_id, mime).updated(**told)
    submission = submission_of([entry])
    folder = Folder.create(
        entry_uuid=new_uuid(),
        patient_id=patient_id,
        unique_id=new_oid(),
        code_list=(Code("episode", "2.999.8", "Episode"),),
        title=str(told.get("title", "")),
    )
    within = _member(folder.id, entry.id)
    holder = submission.submission_set.id
    members = (_member(holder, folder.id), within, _member(holder, within.id))
    with DocumentSource(server.repository_url) as source:
        source.provide_and_register(
            Submission((*submission.objects, folder, *members)),
            {entry.entry_uuid: Content((content,), len(content))},
        )
    return entry


def _member(holder: str, held: str) -> Association:
    return Association.create(association_type=v.HAS_MEMBER, source=holder, target=held)


def page_of(entry: DocumentEntry, part: str = "") -> str:
    """Return the URL of a document's page."""
    return f"/console/documents/{entry.entry_uuid.removeprefix('urn:uuid:')}{part}"
