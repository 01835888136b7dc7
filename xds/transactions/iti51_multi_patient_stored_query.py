"""ITI-51 Multi-Patient Stored Query (ITI TF-2 3.51)."""

from dataclasses import replace
from typing import Final

from xds.affinity_domain import AffinityDomain
from xds.metadata.catalogue import ITI_51
from xds.transactions import iti18_registry_stored_query as iti18
from xds.transactions.messages import Request, Response
from xds.transactions.transaction import Transaction


def multi_patient_stored_query(domain: AffinityDomain, request: Request) -> Response:
    """Answer a stored query over several patients, or over all of them."""
    return iti18.answered(domain, request, TRANSACTION)


TRANSACTION: Final[Transaction] = replace(
    iti18.TRANSACTION,
    catalogued=ITI_51,
    messages=ITI_51.soap[0],
    handler=multi_patient_stored_query,
)
