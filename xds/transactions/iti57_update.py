"""ITI-57 Update Document Set (ITI TF-2 3.57; supplement XDS Metadata Update).

A submission of further versions, of statuses and of Associations.
"""

from typing import Final

from xds.errors import XDSMetadataUpdateError
from xds.metadata.catalogue import ITI_57
from xds.transactions.submissions import submission_of
from xds.transactions.transaction import Transaction

TRANSACTION: Final[Transaction] = submission_of(ITI_57, XDSMetadataUpdateError)
