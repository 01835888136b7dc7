"""ITI-61 Register On-Demand Document Entry: a submission of such entries (ITI TF-2 3.61)."""

from typing import Final

from xds.metadata.catalogue import ITI_61
from xds.transactions.submissions import submission_of
from xds.transactions.transaction import Transaction

TRANSACTION: Final[Transaction] = submission_of(ITI_61)
