"""What a message brings about, as a value: it is decided first, and written in one commit."""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from xds.messaging.model import (
    MessageContent,
    MessageDocument,
    MessageOrder,
    MessageReport,
    ReportStatus,
)
from xds.messaging.registering.metadata import LABORATORY_ORDER, ORDER, key_of
from xds.messaging.registering.orders import CANCELLING
from xds.messaging.registering.reports import Number
from xds.messaging.registering.versions import FiledReport
from xds.messaging.verdicts import MessageFinding
from xds.metadata.ebrim import new_uuid
from xds.metadata.objects import DocumentEntry
from xds.metadata.submission import StatedVersion
from xds.registry.versions.set_rows import KnownDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDocument:
    """A document that is to be registered."""

    report: MessageReport
    document: MessageDocument
    entry_uuid: str = field(default_factory=new_uuid)
    unique_id: str
    content: str
    replaced: tuple[DocumentEntry, ...] = ()
    appended_to: DocumentEntry | None = None
    is_deprecated: bool = False
    """Whether the message itself comes too late."""
    stated: StatedVersion | None = None
    """What the document says of its versions."""
    key: tuple[str, str, str]
    """Of its row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryChange:
    """A change of the metadata of what is registered."""

    old: DocumentEntry
    status: ReportStatus | None = None
    deprecates: bool = False
    restricts: bool = False
    comments: str = ""


@dataclass(slots=True, kw_only=True)
class FilingPlan:
    """All that one message brings about."""

    known: Mapping[Any, FiledReport] = field(default_factory=dict)
    numbers: Set[Number] = frozenset()
    documents: list[NewDocument] = field(default_factory=list)
    changes: list[EntryChange] = field(default_factory=list)
    rows: dict[tuple[str, str, str], FiledReport] = field(default_factory=dict)
    findings: list[MessageFinding] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)

    @property
    def changed_rows(self) -> list[FiledReport]:
        """The rows that are new or other than before."""
        return [one for key, one in self.rows.items() if self.known.get(key) != one]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryNow:
    """What is there at the moment."""

    known: Mapping[Any, FiledReport]
    entries: Mapping[str, DocumentEntry]
    """The latest versions of the documents of ``known``, by uniqueId."""
    is_taken: Callable[[str], bool]
    """Tells whether a uniqueId is registered."""
    has_content: Callable[[str, str], bool] = lambda _, __: False
    """Tells whether a uniqueId is registered for a document of a SHA-1."""
    versions: Mapping[str, KnownDocument] = field(default_factory=dict)
    """What the documents of ``known`` say of their versions, by their logicalIDs."""


def reports_of(content: MessageContent) -> list[MessageReport]:
    """Return the reports of a message, and its orders that have forms, as documents alike."""
    return [*content.reports, *(_form(one) for one in content.orders if one.documents)]


def _form(order: MessageOrder) -> MessageReport:
    number = order.placer or order.filler
    return MessageReport(
        action="cancel" if order.control in CANCELLING else "file",
        number=number,
        documents=order.documents,
        class_code=ORDER,
        type_code=LABORATORY_ORDER,
        event_codes=(order.test,) if order.test and order.test.coding_scheme else (),
        created=order.ordered,
        authors=(order.requester,) if order.requester else (),
        laboratory=order.organisation,
        placer_numbers=[one for one in (order.placer, order.group) if one],
        filler_numbers=[order.filler] if order.filler else (),
        location=order.location,
    )


def numbers_named(
    reports: Iterable[MessageReport], without: Callable[[MessageDocument], Number]
) -> set[Number]:
    """Return the numbers of documents that reports name.

    ``without`` returns what stands for the number of a document that has none.
    """
    found: set[Number] = set()
    for each in reports:
        found |= {key_of(one) for one in (each.number, each.parent) if one and one.value}
        if each.number is None or not each.number.value:
            found |= {without(one) for one in each.documents}
    return found
