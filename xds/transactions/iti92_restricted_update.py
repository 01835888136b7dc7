"""ITI-92 Restricted Update Document Set (ITI TF-2 3.92; supplement Restricted Metadata Update)."""

from dataclasses import replace
from typing import Final

from xds.affinity_domain import AffinityDomain
from xds.metadata.catalogue import ITI_92
from xds.transactions import iti42_register as iti42
from xds.transactions import iti57_update as iti57
from xds.transactions.transaction import Request, Response, Transaction


def restricted_update(domain: AffinityDomain, request: Request) -> Response:
    """Update those attributes of DocumentEntries that may change."""
    return iti42.registered(domain, request, TRANSACTION)


TRANSACTION: Final[Transaction] = replace(
    iti57.TRANSACTION,
    catalogued=ITI_92,
    messages=ITI_92.soap[0],
    handler=restricted_update,
)
