"""The one pipeline from a message that was read to what it becomes, whichever door it came in.

A door (MLLP, HTTP, FHIR, a watched folder) reads a message and hands it over as an IncomingMessage.
What :meth:`MessageFiler.file` returns is durable: the door acknowledges it as the outcome says.

Documents go to the store first; then one commit has their metadata, what is filed under which
number, the orders, and the record of the message with the message itself. So a crash at any moment
leaves a message filed and recorded, or neither, and a message that is sent again meets its record.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from random import random
from typing import Final, Self
from uuid import uuid4

from xds import logs
from xds.affinity_domain import AffinityDomain
from xds.config import Config
from xds.content.inspection import inspecting
from xds.content.reading.deployment import rules_of
from xds.content.reading.rules import ReadingRules
from xds.errors import FailureKind, TransactionFailure, kind_of
from xds.feeds.paused import FeedPaused
from xds.messaging import raw_messages, records
from xds.messaging.incoming import Door as Door
from xds.messaging.incoming import FiledDocument as FiledDocument
from xds.messaging.incoming import FilingOutcome as FilingOutcome
from xds.messaging.incoming import IncomingMessage as IncomingMessage
from xds.messaging.incoming import MessageState as MessageState
from xds.messaging.measuring import Count, counting, uncounted
from xds.messaging.model import MessageContent
from xds.messaging.raw_messages import KeptMessage
from xds.messaging.records import AlreadyAccepted, MessageKeys, NewRecord
from xds.messaging.registering import planning, registry_answers, reports
from xds.messaging.registering.attempts import FilingAttempt, write_record
from xds.messaging.registering.metadata import UniqueIds, numbers_of
from xds.messaging.registering.patients import PatientAwaited
from xds.messaging.registering.plan import NewDocument
from xds.messaging.registering.reports import ReportsChanged
from xds.messaging.registering.versions import FiledReport
from xds.messaging.verdicts import (
    DENIED,
    INTERNAL,
    LOCKED,
    PAUSED,
    ContentRefused,
    MessageFinding,
)
from xds.metadata.catalogue import CARD_7, LAB_1, LAB_3, TransactionRow
from xds.security.access import Access, MessageHeader
from xds.security.details import PatientDetails
from xds.security.errors import AccessDenied

DOCUMENT_EVENTS: Final[Mapping[tuple[str, str], TransactionRow]] = {
    (event.code, event.trigger): row for row in (LAB_1, LAB_3, CARD_7) for event in row.hl7v2
}
"""The messages that are filed, by the components 1 and 2 of MSH-9, and their transactions."""

_ATTEMPTS: Final = 20
_REST: Final = 0.01
"""Seconds, times the attempts before: others are filing under the same number."""
_MOST_LOGGED: Final = 40
_log = logs.get_logger(__name__)


def _tell_refusal(access: Access, refusal: ContentRefused) -> None:
    """Say of an access that has passed the interceptors what its answer tells to be wrong."""
    access.refused_as = FailureKind.REFUSED
    access.violations = tuple(refusal.violations)
    access.explanations = tuple(refusal.explanations)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFiler:
    """Files messages in one affinity domain; safe to use from many threads."""

    domain: AffinityDomain
    ids: UniqueIds
    assigning_authority: str | None
    rules: ReadingRules
    """By which documents are read for their versions."""
    stores_results: bool = False
    """Whether the results of messages are kept beside the entries of their documents."""
    count: Count = uncounted
    """Is told of each message, and what became of it."""

    @classmethod
    def open(
        cls,
        domain: AffinityDomain,
        config: Config,
    ) -> Self:
        """Make the filer of a process, which counts in the metrics of the domain.

        LookupError unless registry and repository are here.
        """
        domain.registry  # noqa: B018 - it has to be here
        return cls(
            domain=inspecting(config, domain),
            ids=UniqueIds.of_repository(domain.repository.unique_id),
            assigning_authority=config.assigning_authority,
            rules=rules_of(config, domain.systems),
            stores_results=config.observations == "read",
            count=counting(domain.metrics),
        )

    def file(
        self,
        incoming: IncomingMessage,
        *,
        in_place_of: str | None = None,
        held: str | None = None,
        access: Access | None = None,
    ) -> FilingOutcome:
        """File a message, and return what became of it, which is durable then.

        It raises nothing: where the database or the store is not available the outcome has the
        verdict ``internal``, and nothing was stored. ``in_place_of`` is the id of the record of a
        refused message that this one corrects, ``held`` that of the message itself, which has
        waited for its patient. ``access`` is that of a door that has passed the interceptors
        itself: a refusal is told by it.
        """
        outcome = self.guarded(incoming, lambda: self._passing(incoming, in_place_of, held, access))
        if held is None or outcome.state != "held":  # it was told when it came
            self._tell(incoming, outcome, access)
        return outcome

    def refuse(
        self,
        incoming: IncomingMessage,
        findings: Sequence[MessageFinding],
        *,
        held: str | None = None,
        access: Access | None = None,
    ) -> FilingOutcome:
        """Keep a message that is refused before it is filed, so that it can be corrected.

        ``held`` and ``access`` as for :meth:`file`.
        """

        def act() -> FilingOutcome:
            refusal = ContentRefused(*findings)
            if access is None:
                self.domain.interceptors.unreadable(self._access(incoming), refusal)
            else:
                _tell_refusal(access, refusal)
            return self._record_refusal(incoming, findings, held)

        outcome = self.guarded(incoming, act)
        self._tell(incoming, outcome, access)
        return outcome

    # --- the frame round it ----------------------------------------------------------------------

    def guarded(self, incoming: IncomingMessage, act: Callable[[], FilingOutcome]) -> FilingOutcome:
        """Return what an act makes of a message; ``internal`` where it raises, with a log line.

        Nothing is done while the feed that it comes by is paused.
        """
        try:
            if feed := incoming.pausable_feed:
                self.domain.require_feed(feed)
            return act()
        except FeedPaused as error:
            finding = MessageFinding(verdict=PAUSED, reason=str(error))
            return FilingOutcome(state="failed", findings=[finding])
        except Exception as error:
            is_unavailable = kind_of(error) in (FailureKind.UNAVAILABLE, FailureKind.BUSY)
            what = "not available" if is_unavailable else "a message could not be filed"
            _log.error(what, exc_info=error, **_named(incoming))
            reason = "it cannot be filed at the moment: send it again"
            if not is_unavailable:
                reason = "an error in the server, which its log tells of"
            finding = MessageFinding(verdict=INTERNAL, reason=reason)
            return FilingOutcome(state="failed", findings=[finding])

    def _tell(
        self, incoming: IncomingMessage, outcome: FilingOutcome, access: Access | None
    ) -> None:
        self.count(incoming, outcome)
        if access is not None and outcome.state == "failed":  # its door answers all the same
            access.refused_as = FailureKind.UNAVAILABLE
        if not outcome.is_accepted:
            _log.warning(
                "a message was refused",
                verdicts=[f"{one.verdict.name} at {one.location}" for one in outcome.refusals],
                record=outcome.record_id,
                **_named(incoming),
            )

    def _access(self, incoming: IncomingMessage) -> Access:
        said = incoming.envelope
        row = DOCUMENT_EVENTS.get((said.code, said.trigger), LAB_3) if said else LAB_3
        header = MessageHeader(
            said.control_id if said else "",
            f"{said.sending_facility}|{said.sending_application}" if said else "",
            f"{said.receiving_facility}|{said.receiving_application}" if said else "",
        )
        access = Access(transaction=row.name, caller=incoming.caller, message=header)
        if incoming.content is not None:
            access.details = details_of(incoming.content)
        return access

    def _passing(
        self,
        incoming: IncomingMessage,
        in_place_of: str | None,
        held: str | None,
        passed: Access | None = None,
    ) -> FilingOutcome:
        access = passed or self._access(incoming)
        extra: list[FiledReport] = []
        try:
            with nullcontext() if passed else self.domain.interceptors.passing(access):
                return self._file(incoming, access, in_place_of, held, extra)
        except ContentRefused as refusal:
            if passed:
                _tell_refusal(passed, refusal)
            return self._record_refusal(incoming, refusal.findings, held, extra)
        except AccessDenied as denied:
            finding = MessageFinding(verdict=DENIED, location="MSH^1", reason=str(denied))
            return self._record_refusal(incoming, [finding], held)

    def _file(
        self,
        incoming: IncomingMessage,
        access: Access,
        in_place_of: str | None,
        held: str | None,
        tombstones: list[FiledReport],
    ) -> FilingOutcome:
        attempt = self._attempt(incoming, access, in_place_of, held)
        for number in range(_ATTEMPTS):
            if number:
                time.sleep(number * _REST * random())
            attempt.findings = list(attempt.content.findings)
            try:
                if found := attempt.look_up():
                    return found
                attempt.stage()
                attempt.plan()
                return attempt.commit()
            except PatientAwaited as awaited:
                return attempt.hold(awaited)
            except (ReportsChanged, AlreadyAccepted):
                continue
            except TransactionFailure as failure:
                if not attempt.is_stale():
                    raise _refusal(failure, attempt.made.documents) from failure
            except ContentRefused:
                tombstones += planning.tombstones(attempt.made)
                raise
            finally:
                attempt.discard()
        access.refused_as = FailureKind.BUSY
        reason = "documents of the same number are being filed by others: send it again"
        finding = MessageFinding(verdict=LOCKED, location="MSH^1^10", reason=reason)
        return FilingOutcome(state="failed", findings=[finding])

    def _attempt(
        self,
        incoming: IncomingMessage,
        access: Access,
        in_place_of: str | None,
        held: str | None,
    ) -> FilingAttempt:
        assert incoming.content is not None
        return FilingAttempt(
            domain=self.domain,
            ids=self.ids,
            assigning_authority=self.assigning_authority,
            rules=self.rules,
            incoming=incoming,
            content=incoming.content,
            access=access,
            keys=MessageKeys.of(incoming),
            record_id=held or str(uuid4()),
            in_place_of=in_place_of,
            updates=held,
            stores_results=self.stores_results,
        )

    def _record_refusal(
        self,
        incoming: IncomingMessage,
        findings: Sequence[MessageFinding],
        held: str | None,
        tombstones: Sequence[FiledReport] = (),
    ) -> FilingOutcome:
        """Keep a refused message, once however often it comes."""
        keys, database = MessageKeys.of(incoming), self.domain.database
        with database.read() as connection:
            before = held or records.refused_before(connection, keys, incoming.digest)
        record_id = before or str(uuid4())
        outcome = FilingOutcome(state="refused", findings=findings, record_id=record_id)
        patient = incoming.content.patient if incoming.content else None
        national = next((one.cx for one in patient.identifiers), "") if patient else ""
        named = [*numbers_of(incoming.content.reports)] if incoming.content else []
        record = NewRecord(
            incoming=incoming, outcome=outcome, keys=keys, patient_id=national, numbers=named
        )
        kept = KeptMessage() if before else raw_messages.keep(database, record_id, incoming)
        with database.write() as connection:
            if tombstones:
                numbers = {one.key[:2] for one in tombstones}
                there = reports.of_numbers(connection, numbers)
                new = [one for one in tombstones if one.key not in there]
                reports.write(connection, numbers, there, new)
            write_record(database, connection, before, record, kept)
        return outcome

    # --- small parts -----------------------------------------------------------------------------


def details_of(content: MessageContent) -> PatientDetails:
    """Return what the record of a message says of it, until its documents are known."""
    patient = content.patient
    return PatientDetails(tuple(one.cx for one in patient.identifiers) if patient else ())


def _named(incoming: IncomingMessage) -> dict[str, str]:
    """Return what names a message in the log: it is no patient's."""
    said = incoming.envelope
    if said is None:
        return {"door": incoming.door, "flavour": incoming.flavour.name}
    return {
        "door": incoming.door,
        "flavour": incoming.flavour.name,
        "message": f"{said.code}^{said.trigger}"[:_MOST_LOGGED],
        "control_id": said.control_id[:_MOST_LOGGED],
        "sender": said.sender[:_MOST_LOGGED],
    }


def _refusal(failure: TransactionFailure, documents: Sequence[NewDocument]) -> Exception:
    """Return what the registry's or the repository's refusal is for the sender of a message."""
    if kind_of(failure) is not FailureKind.REFUSED:
        return failure
    return ContentRefused(
        *registry_answers.refusals(failure.errors, documents), explanations=failure.explanations
    )
