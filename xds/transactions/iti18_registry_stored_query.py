"""ITI-18 Registry Stored Query (ITI TF-2 3.18)."""

from collections.abc import Sequence
from typing import Final

from lxml import etree

from xds.affinity_domain import AffinityDomain
from xds.errors import RegistryError, XDSRegistryBusy, XDSRegistryError
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.registry.queries import QueryRequest
from xds.transactions.responses import query_response
from xds.transactions.transaction import Request, Response, Transaction


def stored_query(domain: AffinityDomain, request: Request) -> Response:
    """Answer a stored query with ObjectRefs or with the objects' metadata."""
    TRANSACTION.check(request.body)
    asked = query_request(request.body, TRANSACTION.name)
    found = domain.registry.query(asked).objects
    if asked.return_type == v.OBJECT_REF:
        return Response(query_response([one.object_ref() for one in found]))
    return Response(query_response([one.leaf() for one in found]))


def query_request(body: etree._Element, transaction: str) -> QueryRequest:
    """Read a ``query:AdhocQueryRequest`` that is valid against the schema."""
    option = body.find(f"{{{v.NS_QUERY}}}ResponseOption")
    adhoc_query = body.find(f"{ebrim.RIM}AdhocQuery")
    carrier = ebrim.read(adhoc_query, ebrim.RegistryObject)
    return_type = option.get("returnType", "RegistryObject")
    return QueryRequest(carrier.id, carrier.slots, return_type, transaction)


def refused(errors: Sequence[RegistryError]) -> Response:
    """Render a refused query: the schema wants an empty list of objects even then."""
    return Response(query_response((), errors))


TRANSACTION: Final = Transaction(
    name="ITI-18",
    title="Registry Stored Query",
    actor="registry",
    request_action="urn:ihe:iti:2007:RegistryStoredQuery",
    response_action="urn:ihe:iti:2007:RegistryStoredQueryResponse",
    request_element=f"{{{v.NS_QUERY}}}AdhocQueryRequest",
    handler=stored_query,
    refusal=refused,
    invalid=XDSRegistryError,
    failed=XDSRegistryError,
    busy=XDSRegistryBusy,
)
