"""ITI-86 Remove Documents (ITI TF-2 3.86; supplement Remove Metadata and Documents)."""

from collections.abc import Mapping, Sequence
from typing import Final

from lxml import etree

from xds import logs
from xds.affinity_domain import AffinityDomain
from xds.errors import TransactionFailure, XDSRepositoryBusy, XDSRepositoryError
from xds.metadata.catalogue import ITI_86
from xds.metadata.document_request import DocumentRequest
from xds.repository.registering import RegistryUnavailable
from xds.security.access import Access
from xds.security.details import DocumentRemovalDetails
from xds.transactions import iti43_retrieve as iti43
from xds.transactions.messages import Request, Response
from xds.transactions.responses import refused, registry_response
from xds.transactions.transaction import BUSY, Transaction

_log = logs.get_logger(__name__)


def remove(domain: AffinityDomain, request: Request) -> Response:
    """Remove the documents that a request names, all of them or none."""
    TRANSACTION.check(request.body)
    access = request.access
    asked = [iti43.document_request(element) for element in request.body]
    access.details = DocumentRemovalDetails(iti43.requested_documents(asked))
    kept_back = iti43.withheld(domain, access, asked, TRANSACTION)
    try:
        patient_ids = {**kept_back.patient_ids, **_patients(domain, asked)}
        documents = iti43.requested_documents(asked, frozenset(asked))
        access.details = DocumentRemovalDetails(documents, patient_ids)
        domain.remove_documents(asked, withheld=kept_back.unique_ids, in_commit=access.commit)
    except RegistryUnavailable as error:
        _log.warning("the registry cannot be asked what it has of documents", reason=str(error))
        raise TransactionFailure([TRANSACTION.busy(BUSY)]) from error
    return Response([registry_response()])


def _patients(
    domain: AffinityDomain, asked: Sequence[DocumentRequest]
) -> Mapping[str, tuple[str, ...]]:
    """Return the patients of documents by uniqueId, as far as they are registered."""
    unique_ids = [one.document_unique_id for one in asked]
    if domain.registry_here is None:
        return domain.patients_elsewhere(unique_ids)
    found = domain.registry_here.patients_of_documents(unique_ids)
    return {one: tuple(patients) for one, patients in found.items()}


def _describe(domain: AffinityDomain, body: etree._Element, access: Access) -> None:
    TRANSACTION.check(body)
    asked = [iti43.document_request(element) for element in body]
    access.details = DocumentRemovalDetails(iti43.requested_documents(asked))
    documents = iti43.requested_documents(asked)
    access.details = DocumentRemovalDetails(documents, _patients(domain, asked))


TRANSACTION: Final = Transaction(
    catalogued=ITI_86,
    messages=ITI_86.soap[0],
    handler=remove,
    describer=_describe,
    refusal=refused,
    invalid=XDSRepositoryError,
    failed=XDSRepositoryError,
    busy=XDSRepositoryBusy,
)
