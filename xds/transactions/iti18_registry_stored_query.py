"""ITI-18 Registry Stored Query (ITI TF-2 3.18)."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from lxml import etree

from xds.affinity_domain import AffinityDomain
from xds.errors import RegistryError, XDSRegistryBusy, XDSRegistryError
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_18
from xds.metadata.white_space import trimmed
from xds.registry.queries.search import Page
from xds.registry.queries.stored_queries import QueryRequest, QueryResult
from xds.registry.storage.fragments import FoundObject
from xds.security.access import Access
from xds.security.details import QueryDetails
from xds.transactions.messages import Request, Response
from xds.transactions.responses import query_response
from xds.transactions.transaction import Transaction


def stored_query(domain: AffinityDomain, request: Request) -> Response:
    """Answer a stored query with ObjectRefs or with the objects' metadata."""
    return answered(domain, request, TRANSACTION)


def answered(domain: AffinityDomain, request: Request, transaction: Transaction) -> Response:
    """Answer a stored query of this transaction or of another that has the same messages."""
    transaction.check(request.body)
    asked = query_request(request.body, transaction.name)
    request.access.details = details = _details(request.body, asked)
    result = domain.registry.query(asked, request.access.visible)
    request.access.details = replace(details, results=len(result.objects))
    is_reference = asked.return_type == v.OBJECT_REF
    render = FoundObject.object_ref if is_reference else FoundObject.leaf
    paging = _paging(asked, result)
    return query_response(result.objects, render, result.warnings, paging=paging)


def describe(domain: AffinityDomain, body: etree._Element, access: Access) -> None:
    """Note what is asked, by this transaction or by another that has the same messages."""
    TRANSACTION.check(body)
    access.details = _details(body, query_request(body, TRANSACTION.name))


def _details(body: etree._Element, asked: QueryRequest) -> QueryDetails:
    text = partial(etree.tostring, body, encoding="unicode")
    return QueryDetails(asked.query_id, text, asked.patient_ids)


def query_request(body: etree._Element, transaction: str) -> QueryRequest:
    """Read a ``query:AdhocQueryRequest`` that is valid against the schema."""
    option = body.find(f"{{{v.NS_QUERY}}}ResponseOption")
    query = body.find(f"{ebrim.RIM}AdhocQuery")
    return_type = option.get("returnType", "RegistryObject")
    query_id, slots = trimmed(query.get("id", "")), ebrim.read_slots(query)
    return QueryRequest(query_id, slots, return_type, transaction, _page(body))


def _page(body: etree._Element) -> Page | None:
    """Read startIndex and maxResults; without either, or with their defaults, all is wanted."""
    start, size = int(body.get("startIndex", "0")), int(body.get("maxResults", "-1"))
    if start <= 0 and size < 0:
        return None
    return Page(max(start, 0), size if size >= 0 else None)


def _paging(asked: QueryRequest, result: QueryResult) -> tuple[int, int] | None:
    return None if asked.page is None else (asked.page.start, result.total)


def refused(errors: Sequence[RegistryError]) -> Response:
    """Render a refused query: the schema wants an empty list of objects even then."""
    return query_response(errors=errors)


TRANSACTION: Final = Transaction(
    catalogued=ITI_18,
    messages=ITI_18.soap[0],
    handler=stored_query,
    describer=describe,
    refusal=refused,
    invalid=XDSRegistryError,
    failed=XDSRegistryError,
    busy=XDSRegistryBusy,
)
