"""What a server answers to a transaction, as values (ITI TF-3 4.2.4, ITI TF-2 3.18.4.1.3)."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, TypeVar

from lxml import etree

from xds.errors import ERROR_SEVERITY
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import RIM, RegistryObject
from xds.metadata.objects import Association, DocumentEntry, Folder, SubmissionSet, interpreted

T = TypeVar("T", bound=RegistryObject)

_SUCCESS: Final = v.SUCCESS.rpartition(":")[2]
_FAILURE: Final = v.FAILURE.rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class ReportedError:
    """One ``rs:RegistryError`` of an answer; the code context may name a patient."""

    code: str
    code_context: str
    severity: str = ERROR_SEVERITY
    location: str = ""

    @property
    def is_warning(self) -> bool:
        """Whether the transaction succeeded in spite of it."""
        return self.severity.rpartition(":")[2] == "Warning"

    def __str__(self) -> str:
        where = f" [{self.location}]" if self.location else ""
        return f"{self.code}: {self.code_context or 'no further word'}{where}"


@dataclass(frozen=True, slots=True)
class RegistryResponse:
    """The outcome of a transaction; a Failure comes as the exception TransactionRefused."""

    status: str
    errors: tuple[ReportedError, ...] = ()
    """Errors and warnings in the order given."""

    @property
    def is_success(self) -> bool:
        """Whether all was done that was asked for; some servers write the status without URN."""
        return self.status.rpartition(":")[2] == _SUCCESS

    @property
    def is_failure(self) -> bool:
        """Whether nothing was done; neither this nor success is PartialSuccess."""
        return self.status.rpartition(":")[2] == _FAILURE

    @classmethod
    def read(cls, element: etree._Element) -> "RegistryResponse":
        """Read the status and the errors of an answer, in whatever namespace its errors are."""
        errors = tuple(_reported(error) for error in element.iter("{*}RegistryError"))
        return cls((element.get("status") or "").strip(), errors)


def _reported(error: etree._Element) -> ReportedError:
    return ReportedError(
        error.get("errorCode", ""),
        error.get("codeContext", "") or (error.text or "").strip(),
        error.get("severity", ERROR_SEVERITY),
        error.get("location", ""),
    )


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """A reference to a registered object, which is all that the return type ObjectRef gives."""

    entry_uuid: str
    home_community_id: str | None = None


@dataclass(frozen=True)
class QueryResponse:
    """What a stored query found; its metadata are read when they are first asked for."""

    response: RegistryResponse
    """Has errors where some of several registries could not answer (PartialSuccess)."""
    _found: etree._Element | None = field(repr=False, compare=False)

    @classmethod
    def read(cls, element: etree._Element) -> "QueryResponse":
        """Read a ``query:AdhocQueryResponse``."""
        return cls(RegistryResponse.read(element), element.find(f"{RIM}RegistryObjectList"))

    @cached_property
    def object_refs(self) -> tuple[ObjectRef, ...]:
        """The references, in the order of the answer."""
        if self._found is None:
            return ()
        return tuple(
            ObjectRef(element.get("id", ""), element.get("home"))
            for element in self._found.iterchildren(f"{RIM}ObjectRef")
        )

    @cached_property
    def objects(self) -> tuple[RegistryObject, ...]:
        """Every object with its metadata, in the order of the answer."""
        if self._found is None:
            return ()
        return tuple(interpreted(found) for found in ebrim.read_list(self._found))

    @property
    def document_entries(self) -> tuple[DocumentEntry, ...]:
        """The DocumentEntries among the objects."""
        return self._of(DocumentEntry)

    @property
    def submission_sets(self) -> tuple[SubmissionSet, ...]:
        """The SubmissionSets among the objects."""
        return self._of(SubmissionSet)

    @property
    def folders(self) -> tuple[Folder, ...]:
        """The Folders among the objects."""
        return self._of(Folder)

    @property
    def associations(self) -> tuple[Association, ...]:
        """The Associations among the objects."""
        return self._of(Association)

    def _of(self, kind: type[T]) -> tuple[T, ...]:
        return tuple(thing for thing in self.objects if isinstance(thing, kind))
