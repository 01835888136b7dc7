"""A Document Registry that is elsewhere: the repository is its client, by ITI-42 and ITI-18."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from xds import logs
from xds.client import (
    ClientError,
    DocumentConsumer,
    DocumentSource,
    NotReached,
    QueryResponse,
    RegistryResponse,
    ReportedError,
    Settings,
    SoapFaultReceived,
    TransactionRefused,
    TransportFailed,
)
from xds.config import Config
from xds.errors import (
    ERROR_SEVERITY,
    WARNING_SEVERITY,
    RegistryError,
    TransactionFailure,
    XDSRegistryBusy,
    XDSRegistryError,
    XDSRegistryNotAvailable,
    XDSRegistryOutOfResources,
    XDSRepositoryMetadataError,
    XDSResultNotSinglePatient,
)
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import UnusedObject
from xds.metadata.objects import DocumentEntry
from xds.metadata.submission import Submission
from xds.metadata.unique_ids import spellings
from xds.repository.registering import OutcomeUnknown, RegistryUnavailable
from xds.tls import contexts

_CONNECT_SECONDS: Final = 5.0
_QUESTIONS_AT_ONCE: Final = 8
_UNCLEAR: Final = frozenset(
    kind.code for kind in (XDSRegistryBusy, XDSRegistryError, XDSRegistryOutOfResources)
)
"""Codes of a registry in trouble: it may have committed before (ITI TF-3 4.2.4)."""
_REFUSED_BY_THE_SENDER: Final = ("Sender", "Client", "MustUnderstand", "VersionMismatch")
"""Faults of a message that was not understood, in SOAP 1.2 and 1.1."""
_NOT_SENT: Final = "the registry cannot be reached; nothing is stored, try again later"
_NOT_TAKEN: Final = "the registry does not take registrations; nothing is stored"
_NOT_KNOWN: Final = (
    "the registry did not answer as it should, and it is not known whether the submission is "
    "registered; try again later"
)

_log = logs.get_logger(__name__)


def registry_client(config: Config, url: str) -> "RegistryClient":
    """Return the client of a registry, which shows this node's certificate where it is asked to."""
    settings = Settings(
        timeout=config.registry_seconds,
        connect_timeout=_CONNECT_SECONDS,
        tls=contexts.outgoing(config) if url.startswith("https:") else None,
    )
    return RegistryClient(url, settings)


class RegistryClient:
    """A :class:`xds.repository.registering.RemoteRegistry` at a URL; usable from many threads."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._source = DocumentSource(registry_url=url, settings=settings)
        self._consumer = DocumentConsumer(url, settings=settings)

    def register(self, submission: Submission) -> Sequence[RegistryError]:
        """Send ITI-42; what the registry says is passed on as it is (ITI TF-2 3.41.4.1.3)."""
        if unsendable := list(_unsendable(submission)):
            raise TransactionFailure(unsendable)
        try:
            response = self._source.register(submission)
        except TransactionRefused as refusal:
            raise _refusal(refusal.response) from None
        except NotReached as error:
            _log.warning("the registry cannot be reached", reason=str(error))
            raise TransactionFailure([XDSRegistryNotAvailable(_NOT_SENT)]) from error
        except SoapFaultReceived as fault:
            # its reason may quote what was sent
            _log.error("the registry answered with a fault", code=fault.code, codes=fault.subcodes)
            if fault.code in _REFUSED_BY_THE_SENDER:
                raise TransactionFailure([XDSRegistryNotAvailable(_NOT_TAKEN)]) from None
            raise OutcomeUnknown([XDSRegistryNotAvailable(_NOT_KNOWN)]) from None
        except ClientError as error:
            reason = str(error) if isinstance(error, TransportFailed) else type(error).__name__
            _log.error("the registry did not answer as it should", reason=reason)
            raise OutcomeUnknown([XDSRegistryNotAvailable(_NOT_KNOWN)]) from error
        return _passed_on(response.errors)

    def document_entries(self, unique_ids: Collection[str]) -> Sequence[DocumentEntry]:
        """Ask GetDocuments of each document (ITI TF-2 3.18.4.1.2.3.7.5).

        One query cannot have several: its answer may not have several patients (ibid. 3.8). Each
        spelling is asked for, since the registry may be one that tells them apart.
        """
        asked = dict.fromkeys(one for each in unique_ids for one in spellings(each))
        try:
            with ThreadPoolExecutor(_QUESTIONS_AT_ONCE) as threads:
                every = [one for found in threads.map(self._of_unique_id, asked) for one in found]
            return list({one.entry_uuid: one for one in every}.values())
        except ClientError as error:
            raise RegistryUnavailable(str(error)) from error

    def _of_unique_id(self, unique_id: str) -> Sequence[DocumentEntry]:
        try:
            return _whole(self._consumer.get_documents(unique_ids=[unique_id])).document_entries
        except TransactionRefused as refusal:
            if not any(
                one.code == XDSResultNotSinglePatient.code for one in refusal.response.errors
            ):
                raise
        ask = partial(self._consumer.get_documents, return_type=v.OBJECT_REF)
        references = _whole(ask(unique_ids=[unique_id])).object_refs
        return [entry for one in references for entry in self._of_uuid(one.entry_uuid)]

    def _of_uuid(self, entry_uuid: str) -> Sequence[DocumentEntry]:
        return _whole(self._consumer.get_documents(entry_uuids=[entry_uuid])).document_entries

    def close(self) -> None:
        """Close the connections."""
        self._source.close()
        self._consumer.close()


def _whole(answer: QueryResponse) -> QueryResponse:
    """Require that every part of a registry has answered: else nothing follows from silence."""
    if not answer.response.is_success:
        raise RegistryUnavailable("It does not answer for all that it stands for.")
    return answer


def _unsendable(submission: Submission) -> Iterator[RegistryError]:
    """Find objects that XDS has no use for: they are not read, and cannot be passed on."""
    for thing in submission.others:
        if isinstance(thing, UnusedObject):
            said = f"{thing.kind} is no kind of object that XDS registers"
            yield XDSRepositoryMetadataError(said, thing.id)


def _refusal(response: RegistryResponse) -> TransactionFailure:
    """Return what a refusal amounts to: nothing is registered, or it is not known."""
    errors = _passed_on(response.errors)
    plain = {error.code for error in errors if error.severity == ERROR_SEVERITY}
    if not plain:
        errors += (XDSRegistryError("the registry refuses the submission, and names no error"),)
    if response.is_failure and plain and not plain & _UNCLEAR:
        return TransactionFailure(errors)
    return OutcomeUnknown(errors)


def _passed_on(reported: Iterable[ReportedError]) -> tuple[RegistryError, ...]:
    return tuple(
        RegistryError.passed_on(
            one.code,
            one.code_context,
            one.location,
            WARNING_SEVERITY if one.is_warning else ERROR_SEVERITY,
        )
        for one in reported
    )
