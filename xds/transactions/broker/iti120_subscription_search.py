"""ITI-120 Subscription Search (DSUB Extensions Rev 2.1, 3.120)."""

from dataclasses import replace
from functools import partial
from typing import Final

from lxml import etree

from xds.affinity_domain import AffinityDomain
from xds.dsub import writing
from xds.dsub.search import search, status_of
from xds.errors import TransactionFailure, XDSRegistryBusy, XDSRegistryError
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_120
from xds.security.access import Access
from xds.security.details import QueryDetails
from xds.transactions.broker.broker_here import broker_of
from xds.transactions.iti18_registry_stored_query import query_request, refused
from xds.transactions.messages import Request, Response
from xds.transactions.responses import query_response
from xds.transactions.transaction import Transaction


def find(domain: AffinityDomain, request: Request) -> Response:
    """Answer with subscriptions, or with references to them."""
    TRANSACTION.check(request.body)
    asked = query_request(request.body, ITI_120.name)
    request.access.details = details = _details(request.body, asked.query_id)
    if asked.return_type not in (v.OBJECT_REF, v.LEAF_CLASS):
        reason = f"returnType {asked.return_type} is not ObjectRef or LeafClass"
        raise TransactionFailure([XDSRegistryError(reason)])
    found = search(
        broker_of(domain).subscriptions, asked.query_id, asked.slots, request.access.caller
    )
    patients = tuple(patient for one in found for patient in one.details[writing.PATIENTS])
    request.access.details = replace(details, patient_ids=lambda: patients, results=len(found))
    if asked.return_type == v.OBJECT_REF:
        return query_response(found, writing.object_ref)
    return query_response([writing.rim_subscription(one, status_of(one)) for one in found])


def _details(body: etree._Element, query_id: str) -> QueryDetails:
    return QueryDetails(query_id, partial(etree.tostring, body, encoding="unicode"))


def _describe(_domain: AffinityDomain, body: etree._Element, access: Access) -> None:
    TRANSACTION.check(body)
    access.details = _details(body, query_request(body, ITI_120.name).query_id)


TRANSACTION: Final = Transaction(
    catalogued=ITI_120,
    messages=ITI_120.soap[0],
    handler=find,
    describer=_describe,
    refusal=refused,
    invalid=XDSRegistryError,
    failed=XDSRegistryError,
    busy=XDSRegistryBusy,
)
