"""ITI-54 Document Metadata Publish: what another registry has registered (ITI TF-2 3.54)."""

from typing import Final

from lxml import etree

from xds.affinity_domain import AffinityDomain
from xds.dsub import reading
from xds.dsub.faults import NotifyMessageNotSupportedFault
from xds.dsub.requests import refused_by
from xds.errors import XDSRegistryBusy, XDSRegistryError
from xds.metadata.catalogue import ITI_54
from xds.metadata.submission import Submission
from xds.registry.publishing import Publication, publish
from xds.security.access import Access
from xds.security.details import SubmissionDetails
from xds.transactions.messages import Request, Response
from xds.transactions.transaction import Transaction


def notify(domain: AffinityDomain, request: Request) -> Response:
    """Note what is published, for those who have subscribed to it; no message is the answer."""
    told = reading.publications(request.body)
    request.access.submits(_whole(told))
    publish(
        domain.database,
        told,
        learn=domain.registry.learn_patients,
        in_commit=request.access.commit,
    )
    return Response(())


def _whole(told: list[Publication]) -> Submission:
    return Submission(tuple(thing for one in told for thing in one.submission.objects))


def _describe(_domain: AffinityDomain, body: etree._Element, access: Access) -> None:
    access.details = SubmissionDetails(_whole(reading.publications(body)))


TRANSACTION: Final = Transaction(
    catalogued=ITI_54,
    messages=ITI_54.soap[0],
    handler=notify,
    describer=_describe,
    refusal=refused_by(NotifyMessageNotSupportedFault),
    invalid=XDSRegistryError,
    failed=XDSRegistryError,
    busy=XDSRegistryBusy,
)
