"""ITI-42 Register Document Set-b (ITI TF-2 3.42)."""

from typing import Final

from lxml import etree

from xds.affinity_domain import AffinityDomain
from xds.errors import XDSRegistryBusy, XDSRegistryError, XDSRegistryMetadataError
from xds.metadata.catalogue import ITI_42
from xds.metadata.submission import Submission
from xds.security.access import Access
from xds.security.details import SubmissionDetails
from xds.transactions.responses import refused, registry_response
from xds.transactions.transaction import Request, Response, Transaction


def register(domain: AffinityDomain, request: Request) -> Response:
    """Register a submission of Stable DocumentEntries."""
    return registered(domain, request, TRANSACTION)


def registered(domain: AffinityDomain, request: Request, transaction: Transaction) -> Response:
    """Register a submission by this transaction or by another that has the same messages."""
    transaction.check(request.body)
    submission = Submission.read(request.body)
    access = request.access
    access.submits(submission)
    domain.registry.register(
        submission, transaction=transaction.name, in_commit=access.commit, visible=access.visible
    )
    return Response([registry_response()])


def describe(domain: AffinityDomain, body: etree._Element, access: Access) -> None:
    """Note what is submitted, by this transaction or by another that has the same messages."""
    TRANSACTION.check(body)
    access.details = SubmissionDetails(Submission.read(body))


TRANSACTION: Final = Transaction(
    catalogued=ITI_42,
    messages=ITI_42.soap[0],
    handler=register,
    describer=describe,
    refusal=refused,
    invalid=XDSRegistryMetadataError,
    failed=XDSRegistryError,
    busy=XDSRegistryBusy,
)
