"""The port to whoever makes documents: a form is a row with a function that builds one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from xds.metadata.criteria import Criterion
from xds.metadata.objects import Code, DocumentEntry
from xds.on_demand.rules import OnDemandRule

T = TypeVar("T")


class NotConvertible(ValueError):
    """A document cannot be had in a form; the sentence says why, without a value of it."""


@dataclass(frozen=True, slots=True)
class FormType:
    """What a made document is."""

    mime_type: str
    format_code: Code


@dataclass(frozen=True, slots=True)
class FormSource:
    """A registered document that another one is made of."""

    entry: DocumentEntry
    read: Callable[[], bytes]
    """Returns its bytes; StoreError."""
    results: Callable[[], Sequence[str]] = tuple
    """Returns its structured results, as they are stored beside its entry (JSON)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormRequest:
    """One document that is to be made: for the same request the bytes are the same."""

    unique_id: str
    """Of the document that is made, an OID."""
    made: str
    """DTM, UTC: when this content was made for the first time."""
    patient_id: str
    """CX."""
    sources: Sequence[FormSource]
    left_out: int = 0
    """Of what is made of a patient's documents: how many older ones it is not made of."""
    others: int = 0
    """How many further documents the patient has that nothing can be made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentForm:
    """One form in which documents can be had."""

    name: str
    """As rules and requests name it: ``pdf``."""
    title: str
    """What is added to the title of a document: ``PDF``; or the title of what is of a patient."""
    type_of: Callable[[DocumentEntry], FormType | None]
    """Returns what the form of a document is; None where it cannot be had, or where the document
    has nothing to say in what is made of a patient's."""
    build: Callable[[FormRequest], bytes]
    """Makes it; NotConvertible."""
    type: FormType | None = None
    """What it is, where it is made of all documents of a patient; None where it is of one."""
    entry: Mapping[str, Any] = field(default_factory=dict)
    """Attributes of the On-Demand entries of what is made of a patient's documents; those that are
    required and not here a rule has to give."""

    @property
    def is_of_patient(self) -> bool:
        """Whether it is made of all documents of a patient, and not of one."""
        return self.type is not None


@dataclass(frozen=True, slots=True)
class DocumentForms:
    """The forms of one deployment."""

    rows: Mapping[str, DocumentForm] = field(default_factory=dict)
    """By their names."""
    settings: str = ""
    """What tells these forms from those of another version or configuration: what is made by
    others is another document."""
    rules: tuple[OnDemandRule, ...] = ()
    """Which documents are registered in which of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltDocument:
    """A document that was made."""

    unique_id: str
    type: FormType
    content: bytes
    hash: str
    """SHA-1."""
    made: str
    """DTM, UTC: when this content was made for the first time."""
    sources: tuple[str, ...]
    """The uniqueIds of the documents that it was made of."""
    is_kept: bool = False
    """Whether the repository has it under its uniqueId from now on."""


class OnDemandSource(Protocol):
    """Who makes documents of those that are here: the On-Demand Document Source (ITI TF-1 10.1).

    Each method raises NotConvertible where a document cannot be made, StoreError where what it is
    made of cannot be read, and TooBusy where too many large ones are being made.
    """

    @property
    def forms(self) -> DocumentForms:
        """The forms in which documents can be had."""

    def entry_of(self, unique_id: str, visible: Criterion) -> DocumentEntry | None:
        """Return the On-Demand DocumentEntry of a uniqueId of this repository, if there is one."""

    def retrieved(self, entry: DocumentEntry, visible: Criterion) -> BuiltDocument:
        """Make the document of an On-Demand entry for someone to whom that much is visible."""

    def of_document(self, form: DocumentForm, source: DocumentEntry) -> BuiltDocument:
        """Make the form of a document, which whoever asks may see."""

    def of_patient(self, form: DocumentForm, patient_id: str, visible: Criterion) -> BuiltDocument:
        """Make the form of what may be seen of a patient (CX)."""

    def weighed(self, size: int, call: Callable[[], T]) -> T:
        """Return what a call returns that reads so many bytes of documents; large ones wait.

        Raises TooBusy.
        """
