"""ITI-57 Update Document Set (ITI TF-2 3.57; supplement XDS Metadata Update)."""

from dataclasses import replace
from typing import Final

from xds.affinity_domain import AffinityDomain
from xds.errors import XDSMetadataUpdateError
from xds.metadata.catalogue import ITI_57
from xds.transactions import iti42_register as iti42
from xds.transactions.transaction import Request, Response, Transaction


def update(domain: AffinityDomain, request: Request) -> Response:
    """Update metadata: further versions, statuses, Associations."""
    return iti42.registered(domain, request, TRANSACTION)


TRANSACTION: Final[Transaction] = replace(
    iti42.TRANSACTION,
    catalogued=ITI_57,
    messages=ITI_57.soap[0],
    handler=update,
    invalid=XDSMetadataUpdateError,
)
