"""XDS metadata as FHIR resources and back (MHD 4.2.4; docs/mhd-mapping.md is made from table.py).

Written: DocumentReference, List, Patient. Read: DocumentReference, List. What comes back of an
object that was written is the same object, but for what the table lists as lost.
"""

from xds.fhir.mapping.context import Mapped, Reading, Writing
from xds.fhir.mapping.document_references import (
    document_reference,
    document_url,
    read_document_reference,
)
from xds.fhir.mapping.identifiers import (
    identifier_in_use,
    identifier_of_patient,
    of_kind,
    package_unique_id,
    patient_identifier,
    reference_id,
    resource_id,
    unique_id_of,
    unique_identifier,
    uuid_of,
)
from xds.fhir.mapping.lists import (
    folder_list,
    read_folder,
    read_submission_set,
    submission_set_list,
)
from xds.fhir.mapping.patients import patient_resource
from xds.fhir.mapping.relations import RELATES_TO, Related, read_relates_to

__all__ = [
    "RELATES_TO",
    "Mapped",
    "Reading",
    "Related",
    "Writing",
    "document_reference",
    "document_url",
    "folder_list",
    "identifier_in_use",
    "identifier_of_patient",
    "of_kind",
    "package_unique_id",
    "patient_identifier",
    "patient_resource",
    "read_document_reference",
    "read_folder",
    "read_relates_to",
    "read_submission_set",
    "reference_id",
    "resource_id",
    "submission_set_list",
    "unique_id_of",
    "unique_identifier",
    "uuid_of",
]
