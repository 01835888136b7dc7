"""What ITI-65 and ITI-105 share: bytes become staged documents, metadata is registered."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar
from uuid import uuid4

from xds.affinity_domain import AffinityDomain
from xds.base64_blocks import BadBase64
from xds.content.reading.deployment import rules_of
from xds.content.versions.reading import VersionLook
from xds.errors import RegistryError, TransactionFailure
from xds.fhir.facade import Facade
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Issue, issue_of, refusal
from xds.fhir.r4.resource import Resource
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_42, ITI_61
from xds.metadata.objects import DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.metadata.rules.attributes import too_long
from xds.metadata.submission import Registration, StatedVersion, StatedVersions, Submission
from xds.mhd.mapping.table import absent, element
from xds.outgoing.fetching import CannotFetch
from xds.repository.repository import DocumentRepository
from xds.repository.store import StagedDocument, StoreError
from xds.security.access import Access, Committing
from xds.security.errors import AccessDenied

T = TypeVar("T", bound=MetadataObject)

METADATA_ERROR: Final = "XDSRegistryMetadataError"
_DOCUMENT_ERROR: Final = "XDSRepositoryMetadataError"


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentContent:
    """The bytes of one document, wherever they come from."""

    chunks: Callable[[], Iterable[bytes]]
    """May raise BadBase64 or CannotFetch."""
    path: str
    """FHIRPath of the element that has them."""
    entry: int | None = None
    """The index of the entry that has them, where it is one of the same Bundle."""
    is_rendered: bool = False
    """Whether the bytes are made only now: then no client can know their hash."""
    stated: StatedVersion | None = None
    """What the document says of its versions, where it has been read already."""


def media_type(content_type: str | None) -> str:
    """Return a media type without its parameters, as it compares (RFC 9110 8.3.1)."""
    return (content_type or "").partition(";")[0].strip().lower()


@contextmanager
def staging(repository: DocumentRepository) -> Iterator[dict[str, StagedDocument]]:
    """Collect staged documents by the id of their entries; a failure lets go of them all."""
    documents: dict[str, StagedDocument] = {}
    try:
        yield documents
    except BaseException:
        with suppress(StoreError):
            repository.store.discard(documents.values())
        raise


@dataclass(frozen=True, slots=True)
class ReceivedDocument:
    """One document that was taken in."""

    staged: StagedDocument
    stated: StatedVersion | None
    """What it says of its versions; None where it is neither CDA nor FHIR document."""


def stage(
    facade: Facade, content: DocumentContent, attachment: str, problems: IssueCollector
) -> ReceivedDocument | None:
    """Take the bytes of one document in; ``attachment`` is the FHIRPath of its attachment."""
    try:
        if content.stated is not None:
            staged = facade.domain.repository.stage(content.chunks())
            return ReceivedDocument(staged, content.stated)
        look = VersionLook(content.chunks())
        staged = facade.domain.repository.stage(look)
        return ReceivedDocument(staged, look.stated(rules_of(facade.config, facade.domain.systems)))
    except BadBase64:
        problems.error("value", "this is not base64", content.path)
    except CannotFetch as reason:
        problems.error(reason.code, f"the document was not fetched: {reason}", f"{attachment}.url")
    except TransactionFailure as failure:
        raise refusal(failure) from None
    return None


def fitted(
    entry: DocumentEntry,
    document: StagedDocument,
    attachment: str,
    problems: IssueCollector,
    *,
    is_rendered: bool = False,
) -> DocumentEntry:
    """Hold hash and size that are stated against the bytes, and return the entry with the true.

    A hash that fits vouches for the bytes, so that a wrong size beside it is but a slip: MHD's own
    example of a replacement has one.
    """
    same_hash = entry.hash is None or entry.hash.lower() == document.hash
    same_size = entry.size is None or _number(entry.size) == document.size
    if is_rendered and not (same_hash and same_size):
        problems.warn("hash and size are those of the document as it is stored", attachment)
    elif not same_hash:
        _mismatch(problems, "hash", "is not the SHA-1 of the document", f"{attachment}.hash")
    elif not same_size and entry.hash is None:
        _mismatch(problems, "size", f"is not the document's {document.size}", f"{attachment}.size")
    elif not same_size:
        problems.warn(f"size is not the document's {document.size}", f"{attachment}.size")
    return entry.updated(hash=document.hash, size=str(document.size))


def _number(size: str) -> int | None:
    return int(size) if size.isdecimal() else None


def _mismatch(problems: IssueCollector, attribute: str, reason: str, path: str) -> None:
    problems.error("value", f"{attribute} {reason}", path, error_code=_DOCUMENT_ERROR)


# --- required attributes -------------------------------------------------------------------------

_ELSEWHERE: Final = frozenset({"hash", "size", "repository_unique_id", "object_type", "patient_id"})
"""What the repository adds to an entry (ITI TF-2 3.41.4.1.3), and what subjects lead to."""
_LIMITED: Final = frozenset(
    name
    for kind in (DocumentEntry, SubmissionSet, Folder)
    for name in kind.attributes()
    if name not in ("unique_id", "mime_type", "source_id", "submission_time")
)
"""What may be absent with Minimal Metadata (ITI TF-3 4.3.1)."""


MINIMAL_IS_AN_OPTION: Final = (
    "this server takes Minimal Metadata where its option minimal_metadata is accept"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """What a submission must say, by what it claims to be and by what the deployment allows."""

    is_minimal: bool
    """Whether the client says that it has Minimal Metadata."""
    accepts_minimal: bool
    """Whether the deployment takes that (option ``minimal_metadata``)."""

    def checked(self, thing: T, path: str, problems: IssueCollector) -> T:
        """Note what the object that was read from ``path`` lacks.

        Where Minimal Metadata is accepted, what lacks something is marked limitedMetadata
        (ITI TF-3 4.2.3.2.31); what is complete all the same is registered as any other.
        """
        on_demand = isinstance(thing, DocumentEntry) and thing.is_on_demand
        transaction = (ITI_61 if on_demand else ITI_42).name
        missing = absent(thing, path, transaction=transaction, but=_ELSEWHERE)
        if missing and self.is_minimal and self.accepts_minimal:
            missing = absent(thing, path, transaction=transaction, but=_ELSEWHERE | _LIMITED)
            thing = thing.updated(limited_metadata=True)
        refused = self.is_minimal and not self.accepts_minimal
        only = f"; {MINIMAL_IS_AN_OPTION}" if refused else ""
        problems.add(
            replace(
                issue,
                diagnostics=f"{thing.KIND}.{issue.diagnostics}{only}",
                error_code=METADATA_ERROR,
            )
            for issue in missing
        )
        return thing

    def check_source_patient(self, resource: Resource, path: str, problems: IssueCollector) -> None:
        """Note where a DocumentReference has no ``context.sourcePatientInfo``.

        It is 1..1 in Comprehensive Metadata (MHD Comprehensive DocumentReference).
        """
        if not self.accepts_minimal and not resource.get("context", {}).get("sourcePatientInfo"):
            problems.error(
                "required",
                f"Comprehensive Metadata have sourcePatientInfo; {MINIMAL_IS_AN_OPTION}",
                f"{path}.context.sourcePatientInfo",
                error_code=METADATA_ERROR,
            )


def check_modifiers(element: object, path: str, problems: IssueCollector) -> None:
    """Refuse what changes the meaning of an element in a way that nobody here knows.

    The profiles have no modifierExtension (MHD 2:3.65.4.1.2), and FHIR R4 demands to refuse what
    is not understood (extensibility, 2.4.0.2).
    """
    if isinstance(element, list):
        for place, one in enumerate(element):
            check_modifiers(one, f"{path}[{place}]", problems)
    elif isinstance(element, dict):
        if "modifierExtension" in element:
            reason = "no modifierExtension is understood here"
            problems.error("extension", reason, f"{path}.modifierExtension")
        for name, one in element.items():
            if isinstance(one, dict | list):
                check_modifiers(one, f"{path}.{name}", problems)


def check_lengths(
    thing: MetadataObject, path: str, problems: IssueCollector, *, mapped: bool
) -> None:
    """Refuse texts that an answer to a Document Consumer could not hold (ITI TF-3 4.2.1).

    ``mapped`` tells whether attributes are elements of what is at ``path``.
    """
    for name, most in too_long(thing):
        where = element(thing, name, path) if mapped else path
        reason = f"{thing.KIND}.{name} is longer than {most} characters"
        problems.error("too-long", reason, where, error_code=METADATA_ERROR)


def new_unique_id() -> str:
    """Return a new uniqueId: an OID made of a UUID (ITU-T X.667)."""
    return f"2.25.{uuid4().int}"


def derived_submission_set(entry: DocumentEntry, source_id: str) -> SubmissionSet:
    """Return a SubmissionSet for a document that comes without one (PCC TF-2 4.1).

    What both have is the entry's; the rest is this server's own.
    """
    return SubmissionSet.create(
        author=entry.author,
        content_type_code=entry.type_code,
        patient_id=entry.patient_id,
        source_id=source_id,
        submission_time=datatypes.now(),
        unique_id=new_unique_id(),
        limited_metadata=entry.type_code is None,
    )


# --- registration --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Places:
    """Where in the request the objects of a submission stand."""

    resources: Mapping[str, str]
    """The FHIRPath of what each object was read from, by its id."""
    things: Mapping[str, MetadataObject] = field(default_factory=dict)
    """By their ids the objects whose attributes are elements there."""

    def of(self, error: RegistryError) -> str:
        """Return the FHIRPath of what an error is about, as exactly as it says."""
        path = self.resources.get(error.location, "")
        thing = self.things.get(error.location)
        return element(thing, error.attribute, path) if path and thing else path

    def and_those(self, others: "Places") -> "Places":
        """Return the places of both."""
        return Places({**self.resources, **others.resources}, {**self.things, **others.things})


def _nothing(_: Any) -> None:
    """Write nothing."""


@dataclass(frozen=True, slots=True)
class FurtherRegistrations:
    """What is registered after a submission in the same commit."""

    registrations: tuple[Registration, ...] = ()
    places: Places = field(default_factory=lambda: Places({}))
    """Where in the request their objects stand."""
    commit: Committing = _nothing
    """Writes what else belongs to them."""


ALONE: Final = FurtherRegistrations()


def register(
    domain: AffinityDomain,
    access: Access,
    submission: Submission,
    documents: Mapping[str, StagedDocument],
    places: Places,
    further: FurtherRegistrations = ALONE,
    stated: StatedVersions | None = None,
) -> Sequence[Issue]:
    """Store and register, as by ITI-41; On-Demand entries, as by ITI-61, have no documents.

    ``further`` is registered after it in the same commit; ``stated`` is what documents say of their
    versions. What is returned are warnings.

    Raises Refused with what registry and repository find wrong; then nothing is stored.
    """
    try:
        access.submits(submission, documents=len(documents))
    except AccessDenied:
        with suppress(StoreError):
            domain.repository.store.discard(documents.values())
        raise
    where = places.and_those(further.places).of

    def in_commit(connection: Any) -> None:
        access.commit(connection)
        further.commit(connection)

    try:
        if any(entry.is_on_demand for entry in submission.document_entries):
            warnings = domain.registry.register(
                submission,
                transaction=ITI_61.name,
                further=further.registrations,
                in_commit=in_commit,
                visible=access.visible,
            )
        else:
            warnings = domain.repository.provide_and_register(
                submission, documents, in_commit, access.visible, further.registrations, stated
            )
    except TransactionFailure as failure:
        raise refusal(failure, where) from None
    return [issue_of(one, where) for one in warnings]


def on_demand(entry: DocumentEntry, url: str, repository_unique_id: str) -> DocumentEntry:
    """Return the entry of a document that is made when it is retrieved (ITI TF-3 4.2.3.2.30).

    It has no creation time, which an On-Demand entry must not have; the URL is kept as its URI.
    """
    return entry.updated(
        object_type=v.ON_DEMAND_DOCUMENT_ENTRY,
        creation_time=None,
        hash=None,
        size=None,
        uri=url,
        repository_unique_id=repository_unique_id,
    )
