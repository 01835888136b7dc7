"""CATALOGUE: a row for each IHE transaction that is answered here, by SOAP, FHIR or HL7 v2.

A row says what the transaction is called, what kind it is, by which messages it comes and how it is
recorded. The names that a policy and the options of users know, audit events, SOAP operations,
trigger events, labels of metrics and the table of conformance are made of it. What has to be
written beside a row (a handler, an operation of the WSDL) tests/test_catalogue.py names.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from xds.metadata import vocabulary as v

BROKER: Final = "notification"
"""The actor that takes subscriptions: the Document Metadata Notification Broker (ITI TF-1 26.1)."""

_OF_MDM: Final = (
    *("Announcement of a document", "A document", "Change of a document's status"),
    *("Change of a document's status, with the document", "Announcement of an addendum"),
    *("An addendum", "Announcement of an edited document", "An edited document"),
    *("Announcement of a replacement", "A replacement", "Cancellation of a document"),
)
_MERGES: Final = ("A18", "A34", "A36", "A39")
_IHE: Final = "urn:ihe:iti"
_HL7: Final = "urn:hl7-org:v3"


class TransactionKind(Enum):
    """What a transaction does: by this a policy knows what its rules decide."""

    SUBMIT = "submit"
    """It brings metadata, with documents or without."""
    QUERY = "query"
    """It finds metadata or patients."""
    RETRIEVE = "retrieve"
    """It gives documents out."""
    UPDATE = "update"
    """It changes metadata that are registered."""
    FEED = "feed"
    """It tells of patients, and of no document."""
    REMOVE = "remove"
    """It takes metadata or documents away."""
    SUBSCRIBE = "subscribe"
    """It asks to be told of metadata that come to be registered, or fetches what was told."""


class AuditEventID(Enum):
    """The EventID of audit records: of DICOM (PS3.15 A.5.3), or of FHIR for what is RESTful."""

    EXPORT = "export"
    IMPORT = "import"
    QUERY = "query"
    PATIENT_RECORD = "patient record"
    APPLICATION_ACTIVITY = "application activity"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class AuditedAs:
    """How the actor that answers a transaction records it (ITI TF-2 3.x.5.1; MHD 2:3.x.5.1)."""

    event: AuditEventID
    action: str
    """EventActionCode: C, R, U, D or E."""
    interaction: str = ""
    """The subtype of what is RESTful (R4, restful-interaction)."""
    title: str = ""
    """The title that the record has, where it is not that of the transaction."""


@dataclass(frozen=True, slots=True)
class SoapMessages:
    """A request by SOAP and its response."""

    action: str
    """wsa:Action of the request; its last part names the operation."""
    response_action: str
    """Empty where no message is the answer."""
    element: str
    """The body element of the request, ``{namespace}name``."""
    is_mtom: bool = False
    title: str = ""
    """What the request does, where a transaction has several."""

    @property
    def operation(self) -> str:
        """The last part of the request's action, which tells apart the messages of one name."""
        return self.action.rpartition(":")[2].rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class TriggerEvent:
    """A message of HL7 v2."""

    trigger: str
    """MSH-9 component 2: ``A04``."""
    title: str
    code: str = "ADT"
    """MSH-9 component 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionRow:
    """One row of CATALOGUE: one transaction with all its bindings."""

    name: str
    """As in the TF: ``ITI-42``."""
    title: str
    kind: TransactionKind
    actor: str
    """``registry``, ``repository`` or BROKER; by SOAP, the path that it is served at."""
    audit: AuditedAs | None = None
    """None is for what nobody has decided yet: it would not be recorded."""
    soap: tuple[SoapMessages, ...] = ()
    fhir: str | None = None
    """The path of its resources below the FHIR base, ``/List``; empty for the base itself."""
    hl7v2: tuple[TriggerEvent, ...] = ()
    is_over_http: bool = False
    """Whether its messages of HL7 v2 come over HTTP as well as by MLLP."""

    @property
    def takes_users(self) -> bool:
        """Whether requests have a place for someone's word for their user: MLLP has none."""
        return bool(self.soap) or self.fhir is not None or self.is_over_http


def _soap(
    action: str, response_action: str, element: str, *, is_mtom: bool = False
) -> tuple[SoapMessages, ...]:
    messages = SoapMessages(f"{_IHE}:{action}", f"{_IHE}:{response_action}", element, is_mtom)
    return (messages,)


def _patient_feed_v3(interaction: str, title: str) -> SoapMessages:
    return SoapMessages(
        f"{_HL7}:{interaction}",
        f"{_HL7}:MCCI_IN000002UV01",
        f"{{{v.NS_HL7V3}}}{interaction}",
        title=title,
    )


def _wsn(port: str, name: str, title: str = "", *, is_one_way: bool = False) -> SoapMessages:
    """Return messages of WS-BaseNotification, whose actions are made of port type and operation."""
    action = f"{v.WSN_ACTIONS}/{port}/{name}"
    return SoapMessages(
        action if is_one_way else f"{action}Request",
        "" if is_one_way else f"{action}Response",
        f"{{{v.NS_WSNT}}}{name}",
        title=title,
    )


def _subscriptions(
    name: str, title: str, action: str, interaction: str, path: str = "/Subscription"
) -> TransactionRow:
    """Return the row of a transaction of DSUBm by which a client subscribes."""
    audit = AuditedAs(AuditEventID.REST, action, interaction)
    kind = TransactionKind.SUBSCRIBE
    return TransactionRow(
        name=name, title=title, kind=kind, actor="registry", audit=audit, fhir=path
    )


def _reports(name: str, title: str, *events: TriggerEvent) -> TransactionRow:
    """Return the row of messages of HL7 v2 that bring reports, documents or orders."""
    audit = AuditedAs(AuditEventID.IMPORT, "C")
    told = {"kind": TransactionKind.SUBMIT, "actor": "repository", "is_over_http": True}
    return TransactionRow(name=name, title=title, audit=audit, hl7v2=events, **told)  # type: ignore[arg-type]


ITI_8: Final = TransactionRow(
    name="ITI-8",
    title="Patient Identity Feed",
    kind=TransactionKind.FEED,
    actor="registry",
    audit=AuditedAs(AuditEventID.PATIENT_RECORD, "C"),
    hl7v2=(
        TriggerEvent("A01", "Admission of an in-patient"),
        TriggerEvent("A04", "Registration of an out-patient"),
        TriggerEvent("A05", "Pre-admission of an in-patient"),
        TriggerEvent("A08", "Update of a patient's data"),
        TriggerEvent("A24", "Link of the ids of one person"),
        *(TriggerEvent(one, "Addition or update of a person") for one in ("A28", "A31")),
        TriggerEvent("A29", "Deletion of a person, whose documents stay"),
        *(TriggerEvent(one, "Merge of two patients, in another form") for one in _MERGES),
        TriggerEvent("A37", "End of a link"),
        TriggerEvent("A40", "Merge of two patients"),
        *(TriggerEvent(f"A{one}", "Merge of two accounts or visits") for one in (41, 42)),
        *(TriggerEvent(f"A{one}", "Move of an account or visit, refused") for one in (44, 45)),
        *(TriggerEvent(f"A{one}", "Change of an id") for one in (46, 47)),
    ),
)
ITI_18: Final = TransactionRow(
    name="ITI-18",
    title="Registry Stored Query",
    kind=TransactionKind.QUERY,
    actor="registry",
    audit=AuditedAs(AuditEventID.QUERY, "E"),
    soap=_soap(
        "2007:RegistryStoredQuery",
        "2007:RegistryStoredQueryResponse",
        f"{{{v.NS_QUERY}}}AdhocQueryRequest",
    ),
)
ITI_41: Final = TransactionRow(
    name="ITI-41",
    title="Provide and Register Document Set-b",
    kind=TransactionKind.SUBMIT,
    actor="repository",
    audit=AuditedAs(AuditEventID.IMPORT, "C"),
    soap=_soap(
        "2007:ProvideAndRegisterDocumentSet-b",
        "2007:ProvideAndRegisterDocumentSet-bResponse",
        f"{{{v.NS_XDS}}}ProvideAndRegisterDocumentSetRequest",
        is_mtom=True,
    ),
)
ITI_42: Final = TransactionRow(
    name="ITI-42",
    title="Register Document Set-b",
    kind=TransactionKind.SUBMIT,
    actor="registry",
    audit=AuditedAs(AuditEventID.IMPORT, "C"),
    soap=_soap(
        "2007:RegisterDocumentSet-b",
        "2007:RegisterDocumentSet-bResponse",
        f"{{{v.NS_LCM}}}SubmitObjectsRequest",
    ),
)
ITI_43: Final = TransactionRow(
    name="ITI-43",
    title="Retrieve Document Set",
    kind=TransactionKind.RETRIEVE,
    actor="repository",
    audit=AuditedAs(AuditEventID.EXPORT, "R"),
    soap=_soap(
        "2007:RetrieveDocumentSet",
        "2007:RetrieveDocumentSetResponse",
        f"{{{v.NS_XDS}}}RetrieveDocumentSetRequest",
        is_mtom=True,
    ),
)
ITI_44: Final = TransactionRow(
    name="ITI-44",
    title="Patient Identity Feed HL7 V3",
    kind=TransactionKind.FEED,
    actor="registry",
    audit=AuditedAs(AuditEventID.PATIENT_RECORD, "C", title="Patient Identity Feed"),
    soap=(
        _patient_feed_v3("PRPA_IN201301UV02", "add"),
        _patient_feed_v3("PRPA_IN201302UV02", "revise"),
        _patient_feed_v3("PRPA_IN201304UV02", "merge"),
    ),
)
ITI_51: Final = TransactionRow(
    name="ITI-51",
    title="Multi-Patient Stored Query",
    kind=TransactionKind.QUERY,
    actor="registry",
    audit=AuditedAs(AuditEventID.QUERY, "E"),
    soap=_soap(
        "2009:MultiPatientStoredQuery",
        "2009:MultiPatientStoredQueryResponse",
        f"{{{v.NS_QUERY}}}AdhocQueryRequest",
    ),
)
ITI_52: Final = TransactionRow(
    name="ITI-52",
    title="Document Metadata Subscribe",
    kind=TransactionKind.SUBSCRIBE,
    actor=BROKER,
    audit=AuditedAs(AuditEventID.QUERY, "C"),
    soap=(
        _wsn("NotificationProducer", "Subscribe", "subscribe"),
        _wsn("SubscriptionManager", "Unsubscribe", "unsubscribe"),
        _wsn("SubscriptionManager", "Renew", "renew"),
    ),
)
ITI_54: Final = TransactionRow(
    name="ITI-54",
    title="Document Metadata Publish",
    kind=TransactionKind.SUBMIT,
    actor=BROKER,
    audit=AuditedAs(AuditEventID.IMPORT, "C"),
    soap=(_wsn("NotificationConsumer", "Notify", is_one_way=True),),
)
ITI_57: Final = TransactionRow(
    name="ITI-57",
    title="Update Document Set",
    kind=TransactionKind.UPDATE,
    actor="registry",
    audit=AuditedAs(AuditEventID.IMPORT, "U"),
    soap=_soap(
        "2010:UpdateDocumentSet",
        "2010:UpdateDocumentSetResponse",
        f"{{{v.NS_LCM}}}SubmitObjectsRequest",
    ),
    fhir="/DocumentReference",
)
ITI_61: Final = TransactionRow(
    name="ITI-61",
    title="Register On-Demand Document Entry",
    kind=TransactionKind.SUBMIT,
    actor="registry",
    audit=AuditedAs(AuditEventID.IMPORT, "C"),
    soap=_soap(
        "2010:RegisterOnDemandDocumentEntry",
        "2010:RegisterOnDemandDocumentResponse",
        f"{{{v.NS_LCM}}}SubmitObjectsRequest",
    ),
)
ITI_62: Final = TransactionRow(
    name="ITI-62",
    title="Remove Metadata",
    kind=TransactionKind.REMOVE,
    actor="registry",
    audit=AuditedAs(AuditEventID.PATIENT_RECORD, "D"),
    soap=_soap(
        "2010:DeleteDocumentSet",
        "2010:DeleteDocumentSetResponse",
        f"{{{v.NS_LCM}}}RemoveObjectsRequest",
    ),
    fhir="/DocumentReference",
)
ITI_64: Final = TransactionRow(
    name="ITI-64",
    title="Notify XAD-PID Link Change",
    kind=TransactionKind.FEED,
    actor="registry",
    audit=AuditedAs(AuditEventID.PATIENT_RECORD, "U"),
    hl7v2=(TriggerEvent("A43", "Change of the link of a local patient id"),),
)
ITI_65: Final = TransactionRow(
    name="ITI-65",
    title="Provide Document Bundle",
    kind=TransactionKind.SUBMIT,
    actor="repository",
    audit=AuditedAs(AuditEventID.IMPORT, "C"),
    fhir="",
)
ITI_66: Final = TransactionRow(
    name="ITI-66",
    title="Find Document Lists",
    kind=TransactionKind.QUERY,
    actor="registry",
    audit=AuditedAs(AuditEventID.REST, "E", "search"),
    fhir="/List",
)
ITI_67: Final = TransactionRow(
    name="ITI-67",
    title="Find Document References",
    kind=TransactionKind.QUERY,
    actor="registry",
    audit=AuditedAs(AuditEventID.REST, "E", "search"),
    fhir="/DocumentReference",
)
ITI_68: Final = TransactionRow(
    name="ITI-68",
    title="Retrieve Document",
    kind=TransactionKind.RETRIEVE,
    actor="repository",
    audit=AuditedAs(AuditEventID.REST, "R", "read"),
    fhir="/document",
)
ITI_69: Final = TransactionRow(
    name="ITI-69",
    title="Create/Destroy Pull Point",
    kind=TransactionKind.SUBSCRIBE,
    actor=BROKER,
    audit=AuditedAs(AuditEventID.APPLICATION_ACTIVITY, "C"),
    soap=(
        _wsn("CreatePullPoint", "CreatePullPoint", "create"),
        _wsn("PullPoint", "DestroyPullPoint", "destroy"),
    ),
)
ITI_70: Final = TransactionRow(
    name="ITI-70",
    title="Pull Notification",
    kind=TransactionKind.SUBSCRIBE,
    actor=BROKER,
    audit=AuditedAs(AuditEventID.QUERY, "E"),
    soap=(_wsn("PullPoint", "GetMessages"),),
)
ITI_78: Final = TransactionRow(
    name="ITI-78",
    title="Patient Demographics Query for Mobile",
    kind=TransactionKind.QUERY,
    actor="registry",
    audit=AuditedAs(AuditEventID.REST, "E", "search"),
    fhir="/Patient",
)
ITI_86: Final = TransactionRow(
    name="ITI-86",
    title="Remove Documents",
    kind=TransactionKind.REMOVE,
    actor="repository",
    audit=AuditedAs(AuditEventID.PATIENT_RECORD, "D"),
    soap=_soap(
        "2017:RemoveDocuments",
        "2017:RemoveDocumentsResponse",
        f"{{{v.NS_RMD}}}RemoveDocumentsRequest",
    ),
)
ITI_92: Final = TransactionRow(
    name="ITI-92",
    title="Restricted Update Document Set",
    kind=TransactionKind.UPDATE,
    actor="registry",
    audit=AuditedAs(AuditEventID.IMPORT, "U"),
    soap=_soap(
        "2018:RestrictedUpdateDocumentSet",
        "2018:RestrictedUpdateDocumentSetResponse",
        f"{{{v.NS_LCM}}}SubmitObjectsRequest",
    ),
)
ITI_105: Final = TransactionRow(
    name="ITI-105",
    title="Simplified Publish",
    kind=TransactionKind.SUBMIT,
    actor="repository",
    audit=AuditedAs(AuditEventID.REST, "C", "create"),
    fhir="/DocumentReference",
)
ITI_106: Final = TransactionRow(
    name="ITI-106",
    title="Generate Metadata",
    kind=TransactionKind.SUBMIT,
    actor="repository",
    audit=AuditedAs(AuditEventID.REST, "C", "create"),
    fhir="/DocumentReference",
)
ITI_110: Final = _subscriptions("ITI-110", "Resource Subscription", "C", "create")
ITI_111: Final = TransactionRow(
    name="ITI-111",
    title="Resource Publish",
    kind=TransactionKind.SUBMIT,
    actor="registry",
    audit=AuditedAs(AuditEventID.IMPORT, "C"),
    fhir="/publish",
)
ITI_113: Final = _subscriptions("ITI-113", "Resource Subscription Search", "E", "search")
ITI_114: Final = _subscriptions(
    "ITI-114", "Resource SubscriptionTopic Search", "E", "search", "/Basic"
)
ITI_120: Final = TransactionRow(
    name="ITI-120",
    title="Subscription Search",
    kind=TransactionKind.SUBSCRIBE,
    actor=BROKER,
    audit=AuditedAs(AuditEventID.QUERY, "E"),
    soap=_soap(
        "dsub:2024:SubscriptionSearchRequest",
        "dsub:2024:SubscriptionSearchResponse",
        f"{{{v.NS_QUERY}}}AdhocQueryRequest",
    ),
)
CARD_7: Final = _reports(
    "CARD-7",
    "Encapsulated Report Submission",
    *(TriggerEvent(f"T{i:02}", title, "MDM") for i, title in enumerate(_OF_MDM, 1)),
)
LAB_1: Final = _reports(
    *("LAB-1", "Placer Order Management", TriggerEvent("O01", "An order", "ORM")),
    TriggerEvent("O21", "A laboratory order", "OML"),
    TriggerEvent("O19", "A general clinical order", "OMG"),
)
_ORU: Final = TriggerEvent("R01", "Results of observations", "ORU")
LAB_3: Final = _reports("LAB-3", "Order Results Management", _ORU)
PROCESS_MESSAGE: Final = replace(
    ITI_106,
    name="process-message",
    title="Process Message",
    audit=AuditedAs(AuditEventID.REST, "C", "operation"),
    fhir="/$process-message",
)

CATALOGUE: Final = (
    *(ITI_8, ITI_18, ITI_41, ITI_42, ITI_43, ITI_44, ITI_51, ITI_52, ITI_54, ITI_57, ITI_61),
    *(ITI_62, ITI_64, ITI_65, ITI_66, ITI_67, ITI_68, ITI_69, ITI_70, ITI_78, ITI_86, ITI_92),
    *(ITI_105, ITI_106, ITI_110, ITI_111, ITI_113, ITI_114, ITI_120),
    *(CARD_7, LAB_1, LAB_3, PROCESS_MESSAGE),
)
"""Those of ITI, then of other domains, by their numbers."""


def actions_of(names: Collection[str]) -> frozenset[str]:
    """Return the actions of the SOAP requests of some transactions."""
    return frozenset(one.action for row in CATALOGUE if row.name in names for one in row.soap)


def names_of(*kinds: TransactionKind) -> tuple[str, ...]:
    """Return the names of the transactions of some kinds, in order."""
    return tuple(row.name for row in CATALOGUE if row.kind in kinds)
