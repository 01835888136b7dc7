"""ITI-42 Register Document Set-b: a submission of Stable DocumentEntries (ITI TF-2 3.42)."""

from typing import Final

from xds.metadata.catalogue import ITI_42
from xds.transactions.submissions import submission_of
from xds.transactions.transaction import Transaction

TRANSACTION: Final[Transaction] = submission_of(ITI_42)
