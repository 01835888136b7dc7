"""ITI-92 Restricted Update Document Set (ITI TF-2 3.92; supplement Restricted Metadata Update).

A submission of versions of DocumentEntries in which only some attributes may change.
"""

from typing import Final

from xds.errors import XDSMetadataUpdateError
from xds.metadata.catalogue import ITI_92
from xds.transactions.submissions import submission_of
from xds.transactions.transaction import Transaction

TRANSACTION: Final[Transaction] = submission_of(ITI_92, XDSMetadataUpdateError)
