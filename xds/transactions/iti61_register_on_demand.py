"""ITI-61 Register On-Demand Document Entry (ITI TF-2 3.61)."""

from dataclasses import replace
from typing import Final

from xds.affinity_domain import AffinityDomain
from xds.transactions import iti42_register as iti42
from xds.transactions.transaction import Request, Response, Transaction


def register_on_demand(domain: AffinityDomain, request: Request) -> Response:
    """Register a submission of On-Demand DocumentEntries."""
    return iti42.registered(domain, request, TRANSACTION)


TRANSACTION: Final[Transaction] = replace(
    iti42.TRANSACTION,
    name="ITI-61",
    title="Register On-Demand Document Entry",
    request_action="urn:ihe:iti:2010:RegisterOnDemandDocumentEntry",
    response_action="urn:ihe:iti:2010:RegisterOnDemandDocumentResponse",
    handler=register_on_demand,
)
