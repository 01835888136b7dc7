"""ITI-43 Retrieve Document Set (ITI TF-2 3.43)."""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Final

from lxml import etree

from xds import logs
from xds.affinity_domain import AffinityDomain, Withheld
from xds.errors import (
    RegistryError,
    TransactionFailure,
    XDSDocumentUniqueIdError,
    XDSRepositoryBusy,
    XDSRepositoryError,
)
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_43
from xds.metadata.document_request import DocumentRequest
from xds.metadata.ebrim import escape
from xds.metadata.white_space import trimmed
from xds.on_demand.forms import NotConvertible
from xds.one_at_a_time import TooBusy
from xds.repository.registering import RegistryUnavailable
from xds.repository.repository import (
    MakeOnDemand,
    OutgoingDocument,
    RetrieveResult,
    nothing_on_demand,
)
from xds.security.access import Access
from xds.security.details import RequestedDocument, RetrieveDetails
from xds.transactions.messages import AttachedDocument, Request, Response
from xds.transactions.responses import registry_response, status_of
from xds.transactions.transaction import BUSY, Transaction

_XDS: Final = f"{{{v.NS_XDS}}}"
_REPOSITORY: Final = f"{_XDS}RepositoryUniqueId"
_DOCUMENT: Final = f"{_XDS}DocumentUniqueId"
_HOME: Final = f"{_XDS}HomeCommunityId"
_OPEN: Final = f'<xds:RetrieveDocumentSetResponse xmlns:xds="{v.NS_XDS}">'.encode()
_CLOSE: Final = b"</xds:RetrieveDocumentSetResponse>"

_log = logs.get_logger(__name__)


def retrieve(domain: AffinityDomain, request: Request) -> Response:
    """Give out the documents asked for, with an error for each that is not there."""
    TRANSACTION.check(request.body)
    requests = [document_request(element) for element in request.body]
    kept_back = withheld(domain, request.access, requests, TRANSACTION)
    retrieval = domain.repository.retrieve(
        requests, withheld=kept_back.unique_ids, make=_on_demand(domain, request.access)
    )
    released = {document.request for document in retrieval.documents}
    contained = list(_contained(domain, retrieval))
    details = _details([*requests, *contained], {*released, *contained}, kept_back.patient_ids)
    request.access.details = details
    if retrieval.errors:
        request.access.answers_with(retrieval.errors, partial=bool(retrieval.documents))
    head = _OPEN + registry_response(retrieval.errors, _status(retrieval))
    return Response(
        _pieces(head, retrieval.documents),
        [AttachedDocument(d.mime_type, d.size, d.chunks) for d in retrieval.documents],
    )


def _on_demand(domain: AffinityDomain, access: Access) -> MakeOnDemand:
    """Return what makes the documents of On-Demand entries, as far as this caller may see."""
    documents = domain.on_demand
    if documents is None:
        return nothing_on_demand

    def make(request: DocumentRequest) -> OutgoingDocument:
        unique_id = request.document_unique_id
        entry = documents.entry_of(unique_id, access.visible)
        if entry is None:
            return nothing_on_demand(request)
        try:
            made = documents.retrieved(entry, access.visible)
        except NotConvertible as reason:
            raise XDSDocumentUniqueIdError(f"{reason}: {unique_id}", unique_id) from None
        except TooBusy:
            raise XDSRepositoryBusy(f"{BUSY}: {unique_id}", unique_id) from None
        except TransactionFailure as failure:
            raise failure.errors[0] from None
        return OutgoingDocument(
            request,
            made.type.mime_type,
            len(made.content),
            made.hash,
            lambda: (made.content,),
            new_unique_id=made.unique_id,
            new_repository_unique_id=domain.repository.unique_id if made.is_kept else "",
            made_of=made.sources,
        )

    return make


def _contained(domain: AffinityDomain, retrieval: RetrieveResult) -> Iterator[DocumentRequest]:
    """Yield the documents whose content was given out by documents made of them."""
    repository = domain.repository.unique_id
    found = (one for document in retrieval.documents for one in document.made_of)
    yield from (DocumentRequest(repository, one, None) for one in dict.fromkeys(found))


def _details(
    asked: Sequence[DocumentRequest],
    released: Set[DocumentRequest],
    patient_ids: Mapping[str, tuple[str, ...]],
) -> RetrieveDetails:
    return RetrieveDetails(requested_documents(asked, released), patient_ids)


def requested_documents(
    asked: Sequence[DocumentRequest], released: Set[DocumentRequest] = frozenset()
) -> tuple[RequestedDocument, ...]:
    """Return documents that are asked for as the details of an access have them."""
    return tuple(
        RequestedDocument(
            one.repository_unique_id,
            one.document_unique_id,
            one.home_community_id,
            is_released=one in released,
        )
        for one in asked
    )


def _describe(domain: AffinityDomain, body: etree._Element, access: Access) -> None:
    """Set the details; a registry elsewhere tells the patients, the one here tells them later."""
    TRANSACTION.check(body)
    asked = [document_request(element) for element in body]
    access.details = _details(asked, frozenset(), {})
    patient_ids = domain.patients_elsewhere(one.document_unique_id for one in asked)
    access.details = _details(asked, frozenset(), patient_ids)


def withheld(
    domain: AffinityDomain,
    access: Access,
    requests: Sequence[DocumentRequest],
    transaction: Transaction,
) -> Withheld:
    """Return the documents that the caller may not know of, by what is registered of them."""
    unique_ids = [one.document_unique_id for one in requests]
    try:
        return domain.withheld(unique_ids, access.visible)
    except RegistryUnavailable as error:
        _log.warning("the registry cannot be asked who may see documents", reason=str(error))
        raise TransactionFailure([transaction.busy(BUSY)]) from error


def document_request(element: etree._Element) -> DocumentRequest:
    """Read one ``xds:DocumentRequest`` that is valid against the schema."""
    texts = {child.tag: trimmed(child.text or "") for child in element}
    return DocumentRequest(
        texts.get(_REPOSITORY, ""), texts.get(_DOCUMENT, ""), texts.get(_HOME) or None
    )


def _status(retrieval: RetrieveResult) -> str:
    if retrieval.errors and retrieval.documents:
        return v.PARTIAL_SUCCESS
    return status_of(retrieval.errors)


def _pieces(head: bytes, documents: Sequence[OutgoingDocument]) -> list[bytes]:
    """Render DocumentResponses, cut where each document's content goes."""
    pieces = [head]
    for document in documents:
        pieces[-1] += _document_head(document)
        pieces.append(b"</xds:Document></xds:DocumentResponse>")
    pieces[-1] += _CLOSE
    return pieces


def _document_head(document: OutgoingDocument) -> bytes:
    asked = document.request
    home = (
        f"<xds:HomeCommunityId>{escape(asked.home_community_id)}</xds:HomeCommunityId>"
        if asked.home_community_id is not None
        else ""
    )
    new = (
        f"<xds:{name}>{escape(value)}</xds:{name}>"
        for name, value in (
            ("NewRepositoryUniqueId", document.new_repository_unique_id),
            ("NewDocumentUniqueId", document.new_unique_id),
        )
        if value
    )
    return (
        f"<xds:DocumentResponse>{home}"
        f"<xds:RepositoryUniqueId>{escape(asked.repository_unique_id)}</xds:RepositoryUniqueId>"
        f"<xds:DocumentUniqueId>{escape(asked.document_unique_id)}</xds:DocumentUniqueId>"
        f"{''.join(new)}"
        f"<xds:mimeType>{escape(document.mime_type)}</xds:mimeType><xds:Document>"
    ).encode()


def refused(errors: Sequence[RegistryError]) -> Response:
    """Render a refused retrieval."""
    return Response([_OPEN + registry_response(errors) + _CLOSE])


TRANSACTION: Final = Transaction(
    catalogued=ITI_43,
    messages=ITI_43.soap[0],
    handler=retrieve,
    describer=_describe,
    refusal=refused,
    invalid=XDSRepositoryError,
    failed=XDSRepositoryError,
    busy=XDSRepositoryBusy,
)
