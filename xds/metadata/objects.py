"""DocumentEntry, SubmissionSet, Folder, Association: each attribute declared once (ITI TF-3 4.2.3).

A declaration says where ebRIM keeps the attribute, its data type, and in which transactions it must
or must not be there. Reading, writing, the rules of :mod:`xds.metadata.rules` and the registry's
index all follow the declaration, so a new attribute is one line here.

An object *is* its ebRIM carrier, and attributes are views of it: what no declaration knows (extra
slots, other languages, ids of classifications) stays in the carrier and is written back unchanged.
"""

from collections.abc import Hashable, Mapping
from functools import cache
from typing import Any, ClassVar, Final, TypeVar, cast

from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.attributes import (
    Attribute,
    Author,
    AuthorAttribute,
    Code,
    CodeAttribute,
    CodeListAttribute,
    FlagAttribute,
    FurtherIdentifiers,
    IdentifierAttribute,
    SlotAttribute,
    SlotListAttribute,
    TextAttribute,
    XmlAttribute,
)
from xds.metadata.catalogue import ITI_42, ITI_61
from xds.metadata.ebrim import (
    AssociationObject,
    Classification,
    ExtrinsicObject,
    RegistryObject,
    RegistryPackage,
)
from xds.metadata.searched import OF_REGISTRY, Index, Searched

O = TypeVar("O", bound="MetadataObject")  # noqa: E741 - one letter, as T elsewhere

REGISTER: Final = frozenset({ITI_42.name})
ON_DEMAND: Final = frozenset({ITI_61.name})
REGISTERED: Final = REGISTER | ON_DEMAND
"""Where the columns DR and OD of ITI TF-3 table 4.2.3.2-1 (and 4.2.3.3-1, 4.2.3.4-1) say R."""


class MetadataObject(RegistryObject):
    """What DocumentEntry, SubmissionSet, Folder and Association share."""

    __slots__ = ()

    KIND: ClassVar[str]
    """The TF's name of the object, used in messages."""

    entry_uuid = XmlAttribute[str]("entryUUID", "id", searched=Searched.REFERENCE)
    home_community_id = XmlAttribute["str | None"](
        "homeCommunityId", "home", "OIDURN", searched=Searched.TEXT
    )
    availability_status = XmlAttribute["str | None"](
        "availabilityStatus", "status", searched=Searched.CODE
    )

    @classmethod
    def attributes(cls) -> Mapping[str, Attribute[Any]]:
        """Return the declared attributes by their Python name."""
        return _declared(cast("Hashable", cls))

    @classmethod
    def indexes(cls) -> Mapping[str, Index]:
        """Return what is searched of such objects, by name."""
        return _indexes(cast("Hashable", cls))

    @classmethod
    def searched_as(cls, name: str) -> Searched | None:
        """Return as what something of such objects is searched, if it is."""
        index = cls.indexes().get(name)
        return OF_REGISTRY.get(name) if index is None else index.searched

    @classmethod
    def create(cls: type[O], **values: object) -> O:
        """Make an object from declared attributes; ``entry_uuid`` defaults to a new UUID."""
        identifier = values.pop("entry_uuid", None) or ebrim.new_uuid()
        return cls(id=cast("str", identifier), **cls._constants()).updated(**values)

    @classmethod
    def _constants(cls) -> dict[str, Any]:
        return {}

    @property
    def version(self) -> str | None:
        """The version number that the registry gave (ITI TF-3 4.2.3.2.34)."""
        return self.version_info.version_name if self.version_info is not None else None

    def updated(self: O, **values: object) -> O:
        """Return a copy with declared attributes set anew; TypeError for an unknown name."""
        declared = self.attributes()
        fields = dict(self.__dict__)
        for name, value in values.items():
            if name not in declared:
                raise TypeError(f"{self.KIND} has no attribute {name}")
            declared[name].put(fields, value)
        return ebrim.made(type(self), fields)


@cache
def _declared(kind: Hashable) -> Mapping[str, Attribute[Any]]:
    found: dict[str, Attribute[Any]] = {}
    for base in reversed(cast("type", kind).__mro__):
        found.update({n: a for n, a in vars(base).items() if isinstance(a, Attribute)})
    return found


@cache
def _indexes(kind: Hashable) -> Mapping[str, Index]:
    return dict(index for one in _declared(kind).values() for index in one.indexes())


class DocumentEntry(ExtrinsicObject, MetadataObject):
    """The metadata of one document (ITI TF-3 4.2.3.2)."""

    __slots__ = ()
    KIND = "DocumentEntry"

    author = AuthorAttribute(
        "author", v.DOCUMENT_ENTRY_AUTHOR, searched=Searched.TEXT, institution_searched=True
    )
    class_code = CodeAttribute(
        "classCode", v.DOCUMENT_ENTRY_CLASS_CODE, required_in=REGISTERED, searched=Searched.CODE
    )
    comments = TextAttribute("comments", "description")
    confidentiality_code = CodeListAttribute(
        "confidentialityCode",
        v.DOCUMENT_ENTRY_CONFIDENTIALITY_CODE,
        required_in=REGISTERED,
        searched=Searched.CODE,
    )
    creation_time = SlotAttribute(
        "creationTime", "DTM", required_in=REGISTER, forbidden_in=ON_DEMAND, searched=Searched.TIME
    )
    document_availability = SlotAttribute(
        v.DOCUMENT_AVAILABILITY, "DocumentAvailability", searched=Searched.TEXT
    )
    event_code_list = CodeListAttribute(
        "eventCodeList", v.DOCUMENT_ENTRY_EVENT_CODE_LIST, searched=Searched.CODE
    )
    fhir_elements = SlotListAttribute(v.FHIR_ELEMENTS)
    further_codes = SlotListAttribute(v.FURTHER_CODES, searched=Searched.TEXT)
    further_identifiers = FurtherIdentifiers(v.FURTHER_IDENTIFIERS, searched=Searched.TEXT)
    format_code = CodeAttribute(
        "formatCode", v.DOCUMENT_ENTRY_FORMAT_CODE, required_in=REGISTERED, searched=Searched.CODE
    )
    hash = SlotAttribute(
        "hash", "SHA1", required_in=REGISTER, forbidden_in=ON_DEMAND, searched=Searched.TEXT
    )
    healthcare_facility_type_code = CodeAttribute(
        "healthcareFacilityTypeCode",
        v.DOCUMENT_ENTRY_HEALTHCARE_FACILITY_TYPE_CODE,
        required_in=REGISTERED,
        searched=Searched.CODE,
    )
    language_code = SlotAttribute("languageCode", "Language", required_in=REGISTERED)
    legal_authenticator = SlotAttribute("legalAuthenticator", "XCN")
    limited_metadata = FlagAttribute("limitedMetadata", v.DOCUMENT_ENTRY_LIMITED_METADATA)
    logical_id = XmlAttribute["str | None"]("logicalID", "lid", "UUID", searched=Searched.REFERENCE)
    mime_type = XmlAttribute["str | None"](
        "mimeType", "mimeType", "MimeType", required_in=REGISTERED
    )
    object_type = XmlAttribute["str | None"](
        "objectType", "objectType", required_in=REGISTERED, searched=Searched.CODE
    )
    on_demand_form = SlotAttribute(v.ON_DEMAND_FORM)
    patient_id = IdentifierAttribute(
        "patientId",
        v.DOCUMENT_ENTRY_PATIENT_ID,
        "CX",
        required_in=REGISTERED,
        searched=Searched.REFERENCE,
    )
    practice_setting_code = CodeAttribute(
        "practiceSettingCode",
        v.DOCUMENT_ENTRY_PRACTICE_SETTING_CODE,
        required_in=REGISTERED,
        searched=Searched.CODE,
    )
    reference_id_list = SlotListAttribute(v.REFERENCE_ID_LIST, "CXi", searched=Searched.TEXT)
    repository_unique_id = SlotAttribute(
        "repositoryUniqueId", "OID", required_in=REGISTERED, searched=Searched.TEXT
    )
    service_start_time = SlotAttribute("serviceStartTime", "DTM", searched=Searched.TIME)
    service_stop_time = SlotAttribute("serviceStopTime", "DTM", searched=Searched.TIME)
    size = SlotAttribute(
        "size", "Size", required_in=REGISTER, forbidden_in=ON_DEMAND, searched=Searched.NUMBER
    )
    source_message = SlotAttribute(v.SOURCE_MESSAGE)
    source_patient_id = SlotAttribute(
        "sourcePatientId", "CX", required_in=REGISTERED, searched=Searched.TEXT
    )
    source_patient_info = SlotListAttribute("sourcePatientInfo", "SourcePatientInfo")
    title = TextAttribute("title", "name", searched=Searched.TEXT)
    type_code = CodeAttribute(
        "typeCode", v.DOCUMENT_ENTRY_TYPE_CODE, required_in=REGISTERED, searched=Searched.CODE
    )
    unique_id = IdentifierAttribute(
        "uniqueId",
        v.DOCUMENT_ENTRY_UNIQUE_ID,
        "Identifier",
        required_in=REGISTERED,
        searched=Searched.TEXT,
    )
    uri = SlotAttribute("URI")

    @classmethod
    def _constants(cls) -> dict[str, Any]:
        return {"objectType": v.STABLE_DOCUMENT_ENTRY}

    @property
    def is_on_demand(self) -> bool:
        """Whether the document is made at retrieval (ITI TF-3 4.2.3.2.30)."""
        return self.objectType == v.ON_DEMAND_DOCUMENT_ENTRY


class Package(RegistryPackage, MetadataObject):
    """What SubmissionSet and Folder share: the Classification that says which of them it is."""

    __slots__ = ()
    NODE: ClassVar[str]

    @classmethod
    def create(cls: type[O], **values: object) -> O:
        """Make a package from declared attributes; ``entry_uuid`` defaults to a new UUID."""
        made = super().create(**values)
        node = Classification(
            objectType=v.OBJECT_TYPE_CLASSIFICATION,
            classificationNode=cls.NODE,  # type: ignore[attr-defined]
            classifiedObject=made.id,
        )
        return ebrim.changed(made, classifications=(*made.classifications, node))

    @classmethod
    def _constants(cls) -> dict[str, Any]:
        return {"objectType": v.OBJECT_TYPE_REGISTRY_PACKAGE}


class SubmissionSet(Package):
    """Why documents were shared together, by whom (ITI TF-3 4.2.3.3)."""

    __slots__ = ()
    KIND = "SubmissionSet"
    NODE = v.SUBMISSION_SET_NODE

    author = AuthorAttribute("author", v.SUBMISSION_SET_AUTHOR, searched=Searched.TEXT)
    comments = TextAttribute("comments", "description")
    content_type_code = CodeAttribute(
        "contentTypeCode",
        v.SUBMISSION_SET_CONTENT_TYPE_CODE,
        required_in=REGISTERED,
        searched=Searched.CODE,
    )
    fhir_elements = SlotListAttribute(v.FHIR_ELEMENTS)
    further_codes = SlotListAttribute(v.FURTHER_CODES, searched=Searched.TEXT)
    further_identifiers = FurtherIdentifiers(v.FURTHER_IDENTIFIERS, searched=Searched.TEXT)
    intended_recipient = SlotListAttribute("intendedRecipient", "IntendedRecipient")
    limited_metadata = FlagAttribute("limitedMetadata", v.SUBMISSION_SET_LIMITED_METADATA)
    patient_id = IdentifierAttribute(
        "patientId",
        v.SUBMISSION_SET_PATIENT_ID,
        "CX",
        required_in=REGISTERED,
        searched=Searched.REFERENCE,
    )
    source_id = IdentifierAttribute(
        "sourceId",
        v.SUBMISSION_SET_SOURCE_ID,
        "OID",
        required_in=REGISTERED,
        searched=Searched.TEXT,
    )
    submission_time = SlotAttribute(
        "submissionTime", "DTM", required_in=REGISTERED, searched=Searched.TIME
    )
    title = TextAttribute("title", "name")
    unique_id = IdentifierAttribute(
        "uniqueId",
        v.SUBMISSION_SET_UNIQUE_ID,
        "UniqueOID",
        required_in=REGISTERED,
        searched=Searched.TEXT,
    )


class Folder(Package):
    """A collection of one patient's documents (ITI TF-3 4.2.3.4)."""

    __slots__ = ()
    KIND = "Folder"
    NODE = v.FOLDER_NODE

    code_list = CodeListAttribute(
        "codeList", v.FOLDER_CODE_LIST, required_in=REGISTERED, searched=Searched.CODE
    )
    comments = TextAttribute("comments", "description")
    fhir_elements = SlotListAttribute(v.FHIR_ELEMENTS)
    further_codes = SlotListAttribute(v.FURTHER_CODES, searched=Searched.TEXT)
    further_identifiers = FurtherIdentifiers(v.FURTHER_IDENTIFIERS, searched=Searched.TEXT)
    last_update_time = SlotAttribute("lastUpdateTime", "DTM", searched=Searched.TIME)
    limited_metadata = FlagAttribute("limitedMetadata", v.FOLDER_LIMITED_METADATA)
    logical_id = XmlAttribute["str | None"]("logicalID", "lid", "UUID", searched=Searched.REFERENCE)
    patient_id = IdentifierAttribute(
        "patientId", v.FOLDER_PATIENT_ID, "CX", required_in=REGISTERED, searched=Searched.REFERENCE
    )
    title = TextAttribute("title", "name", required_in=REGISTERED)
    unique_id = IdentifierAttribute(
        "uniqueId", v.FOLDER_UNIQUE_ID, "UniqueOID", required_in=REGISTERED, searched=Searched.TEXT
    )


class Association(AssociationObject, MetadataObject):
    """A relation between two objects (ITI TF-3 4.2.2)."""

    __slots__ = ()
    KIND = "Association"

    association_type = XmlAttribute[str](
        "associationType", "associationType", searched=Searched.CODE
    )
    source = XmlAttribute[str]("sourceObject", "sourceObject", searched=Searched.REFERENCE)
    target = XmlAttribute[str]("targetObject", "targetObject", searched=Searched.REFERENCE)
    submission_set_status = SlotAttribute(v.SUBMISSION_SET_STATUS, "SubmissionSetStatus")
    previous_version = SlotAttribute(v.PREVIOUS_VERSION)
    association_propagation = SlotAttribute(v.ASSOCIATION_PROPAGATION)
    original_status = SlotAttribute(v.ORIGINAL_STATUS)
    new_status = SlotAttribute(v.NEW_STATUS)
    documentation = CodeAttribute("documentation", v.ASSOCIATION_DOCUMENTATION)

    @classmethod
    def _constants(cls) -> dict[str, Any]:
        return {"objectType": v.OBJECT_TYPE_ASSOCIATION}


_NODES: Final[Mapping[str, type[Package]]] = {
    v.SUBMISSION_SET_NODE: SubmissionSet,
    v.FOLDER_NODE: Folder,
}


def interpreted(carrier: RegistryObject) -> RegistryObject:
    """Return the carrier as the object it stands for; unchanged where it stands for none.

    A RegistryPackage is a SubmissionSet or Folder by its classificationNode (ITI TF-3 4.2.1.3).
    """
    if isinstance(carrier, ExtrinsicObject):
        return ebrim.recast(DocumentEntry, carrier)
    if isinstance(carrier, AssociationObject):
        return ebrim.recast(Association, carrier)
    if isinstance(carrier, RegistryPackage):
        nodes = {c.classificationNode for c in carrier.classifications} & _NODES.keys()
        if len(nodes) == 1:
            return ebrim.recast(_NODES[cast("str", nodes.pop())], carrier)
    return carrier


__all__ = [
    "Association",
    "Attribute",
    "Author",
    "Code",
    "DocumentEntry",
    "Folder",
    "MetadataObject",
    "SubmissionSet",
    "interpreted",
]
