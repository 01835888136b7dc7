"""Find Document Lists [ITI-66], and the read of one (MHD 2:3.66).

A List is a SubmissionSet or a Folder, which its code tells.
"""

from typing import Final

from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.search import searchset
from xds.mhd.document_lists import STORED_LISTS
from xds.mhd.search.parameters import LISTS
from xds.mhd.vocabulary import FIND_LISTS_RESPONSE


def find(facade: Facade, call: Call) -> Answer:
    """Search Lists."""
    return searchset.find(facade, call, LISTS, FIND_LISTS_RESPONSE, STORED_LISTS.render)


read: Final = STORED_LISTS.read
