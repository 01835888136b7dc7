"""Find Document References [ITI-67], and the read of one (MHD 2:3.67)."""

from typing import Final

from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.search import searchset
from xds.mhd.document_references import DOCUMENTS
from xds.mhd.search.parameters import DOCUMENT_REFERENCES
from xds.mhd.vocabulary import FIND_REFERENCES_RESPONSE


def find(facade: Facade, call: Call) -> Answer:
    """Search DocumentReferences."""
    return searchset.find(
        facade, call, DOCUMENT_REFERENCES, FIND_REFERENCES_RESPONSE, DOCUMENTS.render
    )


read: Final = DOCUMENTS.read
