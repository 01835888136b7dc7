"""ITI-61 Register On-Demand Document Entry (ITI TF-2 3.61)."""

from dataclasses import replace
from typing import Final

from xds.affinity_domain import AffinityDomain
from xds.metadata.catalogue import ITI_61
from xds.transactions import iti42_register as iti42
from xds.transactions.transaction import Request, Response, Transaction


def register_on_demand(domain: AffinityDomain, request: Request) -> Response:
    """Register a submission of On-Demand DocumentEntries."""
    return iti42.registered(domain, request, TRANSACTION)


TRANSACTION: Final[Transaction] = replace(
    iti42.TRANSACTION,
    catalogued=ITI_61,
    messages=ITI_61.soap[0],
    handler=register_on_demand,
)
