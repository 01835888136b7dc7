"""One document that comes without a SubmissionSet: ITI-105, ITI-106 (MHD 2:3.105, 2:3.106)."""

from collections.abc import Sequence

from xds.fhir.facade import Facade
from xds.fhir.r4.issues import IssueCollector
from xds.metadata import vocabulary as v
from xds.metadata.objects import Association, DocumentEntry
from xds.metadata.submission import StatedVersion, Submission
from xds.mhd.provide.attachments import attachment_path
from xds.mhd.provide.publishing import (
    DocumentContent,
    Places,
    check_lengths,
    derived_submission_set,
    fitted,
    register,
    stage,
    staging,
)
from xds.security.access import Access


def register_document(
    facade: Facade,
    access: Access,
    entry: DocumentEntry,
    content: DocumentContent,
    problems: IssueCollector,
    *,
    associations: Sequence[Association] = (),
    path: str = "",
) -> DocumentEntry:
    """Store one document, and register it in a SubmissionSet of its own; return its entry.

    ``path`` is the FHIRPath to which errors of the registry are told, where they are not about an
    element of a DocumentReference. What the document says of its versions is heeded, and told in
    warnings. Raises Refused, and nothing is stored then.
    """
    is_mapped = not path
    path = path or "DocumentReference"
    attachment = attachment_path(path)
    check_lengths(entry, path, problems, mapped=is_mapped)
    problems.raise_if_any()
    stated: dict[str, StatedVersion] = {}
    with staging(facade.domain.repository) as documents:
        if received := stage(facade, content, attachment, problems):
            documents[entry.id] = staged = received.staged
            if received.stated is not None:
                stated[entry.id] = received.stated
            entry = fitted(entry, staged, attachment, problems, is_rendered=content.is_rendered)
        problems.raise_if_any()
    submission_set = derived_submission_set(entry, facade.domain.repository.unique_id)
    held = Association.create(
        association_type=v.HAS_MEMBER,
        source=submission_set.id,
        target=entry.id,
        submission_set_status=v.ORIGINAL,
    )
    things = (submission_set, entry, held, *associations)
    elements = {entry.id: entry} if is_mapped else {}
    places = Places({thing.id: path for thing in things}, elements)
    submission = Submission(things)
    told = register(facade.domain, access, submission, documents, places, stated=stated)
    problems.add(told)
    return entry
