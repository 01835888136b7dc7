"""Every UUID and URN of the metadata, named after what it means (ITI TF-3 4.2, 4.1, 4.3)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# XML namespaces
NS_RIM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
NS_RS: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0"
NS_LCM: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
NS_QUERY: Final = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0"
NS_XDS: Final = "urn:ihe:iti:xds-b:2007"
NS_RMD: Final = "urn:ihe:iti:rmd:2017"
NS_HL7V3: Final = "urn:hl7-org:v3"
NS_SOAP12: Final = "http://www.w3.org/2003/05/soap-envelope"
NS_SOAP11: Final = "http://schemas.xmlsoap.org/soap/envelope/"
NS_WSA: Final = "http://www.w3.org/2005/08/addressing"
NS_XOP: Final = "http://www.w3.org/2004/08/xop/include"
NS_WSNT: Final = "http://docs.oasis-open.org/wsn/b-2"
NS_WSRF_BF: Final = "http://docs.oasis-open.org/wsrf/bf-2"
NS_WSRF_R: Final = "http://docs.oasis-open.org/wsrf/r-2"
NS_DSUB: Final = "urn:ihe:iti:dsub:2009"
NS_WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
NS_WSU: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
NS_SAML2: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
NS_XMLDSIG: Final = "http://www.w3.org/2000/09/xmldsig#"
NS_XML: Final = "http://www.w3.org/XML/1998/namespace"

# ExtrinsicObject/@objectType: the kind of DocumentEntry
STABLE_DOCUMENT_ENTRY: Final = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
ON_DEMAND_DOCUMENT_ENTRY: Final = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"

# Classification/@classificationNode: what a RegistryPackage is
SUBMISSION_SET_NODE: Final = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
FOLDER_NODE: Final = "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"

# Classification/@classificationNode: the limitedMetadata flags
DOCUMENT_ENTRY_LIMITED_METADATA: Final = "urn:uuid:ab9b591b-83ab-4d03-8f5d-f93b1fb92e85"
SUBMISSION_SET_LIMITED_METADATA: Final = "urn:uuid:5003a9db-8d8d-49e6-bf0c-990e34ac7707"
FOLDER_LIMITED_METADATA: Final = "urn:uuid:2c144a76-29a9-4b7c-af54-b25409fe7d03"

# Classification/@classificationScheme: authors and coded attributes
DOCUMENT_ENTRY_AUTHOR: Final = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
DOCUMENT_ENTRY_CLASS_CODE: Final = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"
DOCUMENT_ENTRY_CONFIDENTIALITY_CODE: Final = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"
DOCUMENT_ENTRY_EVENT_CODE_LIST: Final = "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"
DOCUMENT_ENTRY_FORMAT_CODE: Final = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d"
DOCUMENT_ENTRY_HEALTHCARE_FACILITY_TYPE_CODE: Final = (
    "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1"
)
DOCUMENT_ENTRY_PRACTICE_SETTING_CODE: Final = "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead"
DOCUMENT_ENTRY_TYPE_CODE: Final = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983"
SUBMISSION_SET_AUTHOR: Final = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
SUBMISSION_SET_CONTENT_TYPE_CODE: Final = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"
FOLDER_CODE_LIST: Final = "urn:uuid:1ba97051-7806-41a8-a48b-8fce7af683c5"
# the reason code of a relationship Association
ASSOCIATION_DOCUMENTATION: Final = "urn:uuid:abd807a3-4432-4053-87b4-fd82c643d1f3"

# ExternalIdentifier/@identificationScheme
DOCUMENT_ENTRY_PATIENT_ID: Final = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
DOCUMENT_ENTRY_UNIQUE_ID: Final = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
SUBMISSION_SET_PATIENT_ID: Final = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
SUBMISSION_SET_SOURCE_ID: Final = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832"
SUBMISSION_SET_UNIQUE_ID: Final = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"
FOLDER_PATIENT_ID: Final = "urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a"
FOLDER_UNIQUE_ID: Final = "urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a"

# the fixed ExternalIdentifier/Name of each identification scheme
IDENTIFIER_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        DOCUMENT_ENTRY_PATIENT_ID: "XDSDocumentEntry.patientId",
        DOCUMENT_ENTRY_UNIQUE_ID: "XDSDocumentEntry.uniqueId",
        SUBMISSION_SET_PATIENT_ID: "XDSSubmissionSet.patientId",
        SUBMISSION_SET_SOURCE_ID: "XDSSubmissionSet.sourceId",
        SUBMISSION_SET_UNIQUE_ID: "XDSSubmissionSet.uniqueId",
        FOLDER_PATIENT_ID: "XDSFolder.patientId",
        FOLDER_UNIQUE_ID: "XDSFolder.uniqueId",
    }
)

# @objectType of everything that is not an ExtrinsicObject
OBJECT_TYPE_REGISTRY_PACKAGE: Final = (
    "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:RegistryPackage"
)
OBJECT_TYPE_ASSOCIATION: Final = (
    "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Association"
)
OBJECT_TYPE_CLASSIFICATION: Final = (
    "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Classification"
)
OBJECT_TYPE_EXTERNAL_IDENTIFIER: Final = (
    "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:ExternalIdentifier"
)

# @status: availabilityStatus
APPROVED: Final = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"
DEPRECATED: Final = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated"

# Association/@associationType (ITI TF-3 4.2.2)
HAS_MEMBER: Final = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
RPLC: Final = "urn:ihe:iti:2007:AssociationType:RPLC"
XFRM: Final = "urn:ihe:iti:2007:AssociationType:XFRM"
APND: Final = "urn:ihe:iti:2007:AssociationType:APND"
XFRM_RPLC: Final = "urn:ihe:iti:2007:AssociationType:XFRM_RPLC"
SIGNS: Final = "urn:ihe:iti:2007:AssociationType:signs"
IS_SNAPSHOT_OF: Final = "urn:ihe:iti:2010:AssociationType:IsSnapshotOf"
# the two that only ask for an update (ITI-57)
UPDATE_AVAILABILITY_STATUS: Final = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus"
SUBMIT_ASSOCIATION: Final = "urn:ihe:iti:2010:AssociationType:SubmitAssociation"

UPDATE_TRIGGERS: Final = frozenset({UPDATE_AVAILABILITY_STATUS, SUBMIT_ASSOCIATION})
# from one DocumentEntry to another
RELATIONSHIPS: Final = frozenset({RPLC, XFRM, APND, XFRM_RPLC, SIGNS, IS_SNAPSHOT_OF})
# those that deprecate their target
REPLACEMENTS: Final = frozenset({RPLC, XFRM_RPLC})

# Slots, and the words that are their values
FHIR_ELEMENTS: Final = "urn:xds:fhir:elements"
"""Slots of this program, extra metadata: elements that came by FHIR and have no attribute."""
SOURCE_MESSAGE: Final = "urn:xds:message"
"""The id of the record of the message that brought a document."""
ON_DEMAND_FORM: Final = "urn:xds:form"
"""The form in which a document is made of others, of those that this program makes."""
FURTHER_CODES: Final = "urn:xds:fhir:codes"
FURTHER_IDENTIFIERS: Final = "urn:xds:fhir:identifiers"
REFERENCE_ID_LIST: Final = "urn:ihe:iti:xds:2013:referenceIdList"
OWN_ID: Final = "urn:xds:document-id"
"""A type code of referenceIdList: what a document calls itself that has another uniqueId."""
SUBMISSION_SET_STATUS: Final = "SubmissionSetStatus"
ORIGINAL: Final = "Original"  # the DocumentEntry is in this submission
REFERENCE: Final = "Reference"  # the DocumentEntry is registered already
PREVIOUS_VERSION: Final = "PreviousVersion"
ASSOCIATION_PROPAGATION: Final = "AssociationPropagation"
PROPAGATED: Final = "yes"
NOT_PROPAGATED: Final = "no"
ORIGINAL_STATUS: Final = "OriginalStatus"
NEW_STATUS: Final = "NewStatus"
DOCUMENT_AVAILABILITY: Final = "documentAvailability"
ONLINE: Final = "urn:ihe:iti:2010:DocumentAvailability:Online"
OFFLINE: Final = "urn:ihe:iti:2010:DocumentAvailability:Offline"

# the type codes of referenceIdList, CXi component 5 (ITI TF-3 table 4.2.3.1.7-2)
REFERENCE_UNIQUE_ID: Final = "urn:ihe:iti:xds:2013:uniqueId"
REFERENCE_ACCESSION: Final = "urn:ihe:iti:xds:2013:accession"
REFERENCE_REFERRAL: Final = "urn:ihe:iti:xds:2013:referral"
REFERENCE_ORDER: Final = "urn:ihe:iti:xds:2013:order"
REFERENCE_WORKFLOW_INSTANCE_ID: Final = "urn:ihe:iti:xdw:2013:workflowInstanceId"
REFERENCE_ENCOUNTER_ID: Final = "urn:ihe:iti:xds:2015:encounterId"
REFERENCE_STUDY_INSTANCE_UID: Final = "urn:ihe:iti:xds:2016:studyInstanceUID"

# the code system of IHE's format codes, and the one for "the MIME type says it all"
IHE_FORMAT_CODES: Final = "1.3.6.1.4.1.19376.1.2.3"
MIME_TYPE_SUFFICIENT: Final = "urn:ihe:iti:xds:2017:mimeTypeSufficient"

# SHA-1 of nothing: with size 0 it marks delayed document assembly
EMPTY_SHA1: Final = "da39a3ee5e6b4b0d3255bfef95601890afd80709"

# @status of a response; PartialSuccess is IHE's own
SUCCESS: Final = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"
FAILURE: Final = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure"
PARTIAL_SUCCESS: Final = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess"

# AdhocQuery/@id: the stored queries of ITI-18 (ITI TF-2 3.18.4.1.2.4)
FIND_DOCUMENTS: Final = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d"
FIND_SUBMISSION_SETS: Final = "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9"
FIND_FOLDERS: Final = "urn:uuid:958f3006-baad-4929-a4de-ff1114824431"
GET_ALL: Final = "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3"
GET_DOCUMENTS: Final = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4"
GET_FOLDERS: Final = "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4"
GET_ASSOCIATIONS: Final = "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155"
GET_DOCUMENTS_AND_ASSOCIATIONS: Final = "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a"
GET_SUBMISSION_SETS: Final = "urn:uuid:51224314-5390-4169-9b91-b1980040715a"
GET_SUBMISSION_SET_AND_CONTENTS: Final = "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83"
GET_FOLDER_AND_CONTENTS: Final = "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7"
GET_FOLDERS_FOR_DOCUMENT: Final = "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578"
GET_RELATED_DOCUMENTS: Final = "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6"
FIND_DOCUMENTS_BY_TITLE: Final = "urn:uuid:ab474085-82b5-402d-8115-3f37cb1e2405"
"""Of the German electronic patient record (gematik)."""
FIND_DOCUMENTS_BY_REFERENCE_ID: Final = "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492"
# from CP-ITI-1323, later than revision 19 of the TF

# AdhocQuery/@id: the stored queries of ITI-51 (ITI TF-2 3.51.4.1.2)
FIND_DOCUMENTS_FOR_MULTIPLE_PATIENTS: Final = "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f"
FIND_FOLDERS_FOR_MULTIPLE_PATIENTS: Final = "urn:uuid:50d3f5ac-39a2-11de-a1ca-b366239e58df"

# AdhocQuery/@id: the filters of subscriptions (ITI TF-2 3.52.4.1.2.2; DSUB Extensions)
SUBSCRIPTION_FOR_DOCUMENT_ENTRY: Final = "urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66"
SUBSCRIPTION_FOR_SUBMISSION_SET: Final = "urn:uuid:fbede94e-dbdc-4f6b-bc1f-d730e677cece"
SUBSCRIPTION_FOR_FOLDER: Final = "urn:uuid:9376254e-da05-41f5-9af3-ac56d63d8ebd"
SUBSCRIPTION_FOR_PATIENT_INDEPENDENT_DOCUMENT_ENTRY: Final = (
    "urn:uuid:742790e0-aba6-43d6-9f1f-e43ed9790b79"
)
SUBSCRIPTION_FOR_PATIENT_INDEPENDENT_SUBMISSION_SET: Final = (
    "urn:uuid:868cad3d-ec09-4565-b66c-1be10d034399"
)

# AdhocQuery/@id: the searches for subscriptions of ITI-120 (DSUB Extensions)
GET_SUBSCRIPTIONS: Final = "urn:uuid:b68a424d-625d-420f-bde7-c5538f22e99f"
FIND_SUBSCRIPTIONS: Final = "urn:uuid:d9882216-d44d-43dc-a89f-fda5de7e52ae"

# ResponseOption/@returnType
OBJECT_REF: Final = "ObjectRef"
LEAF_CLASS: Final = "LeafClass"

# WS-Addressing: the anonymous and the null endpoint, the actions of faults
WSA_ANONYMOUS: Final = "http://www.w3.org/2005/08/addressing/anonymous"
WSA_NONE: Final = "http://www.w3.org/2005/08/addressing/none"
WSA_FAULT_ACTION: Final = "http://www.w3.org/2005/08/addressing/fault"
WSA_SOAP_FAULT_ACTION: Final = "http://www.w3.org/2005/08/addressing/soap/fault"

# WS-BaseNotification: what the actions of its messages begin with, and that of its faults
WSN_ACTIONS: Final = "http://docs.oasis-open.org/wsn/bw-2"
WSN_FAULT_ACTION: Final = "http://docs.oasis-open.org/wsn/fault"
