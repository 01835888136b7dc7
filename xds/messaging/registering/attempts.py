"""One attempt to file a message: its steps, from what is known to the one commit."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha1

from sqlalchemy import Connection

from xds.affinity_domain import AffinityDomain
from xds.content.reading.rules import ReadingRules
from xds.database.access import Database
from xds.errors import RegistryError
from xds.messaging import raw_messages, records
from xds.messaging.incoming import FiledDocument, FilingOutcome, IncomingMessage
from xds.messaging.model import (
    CarriedContent,
    MessageContent,
    MessageDocument,
    MessagePatient,
    RenderedContent,
)
from xds.messaging.raw_messages import DocumentText, KeptMessage
from xds.messaging.records import MessageKeys, NewRecord
from xds.messaging.registering import (
    contents,
    orders,
    patients,
    plan,
    registered,
    registry_answers,
    reports,
    results,
    submissions,
)
from xds.messaging.registering.contents import StagedContent
from xds.messaging.registering.metadata import EntryMaker, UniqueIds, numbers_of
from xds.messaging.registering.patients import ChosenPatient, PatientAwaited
from xds.messaging.registering.plan import FilingPlan, NewDocument, RegistryNow
from xds.messaging.registering.planning import Planner
from xds.messaging.rendering.documents import DocumentIdentity
from xds.messaging.rendering.render import render
from xds.messaging.rendering.text import canonical
from xds.messaging.verdicts import (
    DUPLICATE_ID,
    PATIENT_UNKNOWN,
    ContentRefused,
    MessageFinding,
    refused,
)
from xds.metadata.objects import Code, DocumentEntry
from xds.metadata.submission import Registration, StatedVersion, Submission
from xds.registry.storage import observations
from xds.registry.versions import set_rows
from xds.repository.repository import DocumentRepository
from xds.repository.store import StagedDocument, StoreError
from xds.security.access import Access
from xds.security.details import PatientDetails


@dataclass(slots=True, kw_only=True)
class FilingAttempt:
    """What one attempt to file a message holds in its hands."""

    domain: AffinityDomain
    ids: UniqueIds
    assigning_authority: str | None
    rules: ReadingRules
    incoming: IncomingMessage
    content: MessageContent
    access: Access
    keys: MessageKeys
    record_id: str
    in_place_of: str | None = None
    updates: str | None = None
    """The id of the record of before that this attempt brings up to date."""
    stores_results: bool = False
    """Whether the results of messages are kept beside the entries of their documents."""
    chosen: ChosenPatient | None = None
    findings: list[MessageFinding] = field(default_factory=list)
    staged: dict[int, StagedContent] = field(default_factory=dict)
    """By the identity of the content."""
    made: FilingPlan = field(default_factory=FilingPlan)
    """What is to be done."""
    entries: Mapping[str, DocumentEntry] = field(default_factory=dict)
    """The registered documents by which that was decided, by uniqueId."""
    told: Sequence[RegistryError] = ()
    """What the registry warns of."""

    @property
    def repository(self) -> DocumentRepository:
        """Where documents are kept."""
        return self.domain.repository

    @property
    def patient(self) -> MessagePatient:
        """The patient of the message, which has been chosen."""
        assert self.content.patient is not None
        return self.content.patient

    def look_up(self) -> FilingOutcome | None:
        """Return what became of the message when it came before; else choose its patient."""
        incoming = self.incoming
        with self.domain.database.read() as connection:
            if self.updates is None:
                if found := records.replayed(connection, self.keys):
                    return found
                if records.has_same_id(connection, self.keys, incoming.digest):
                    self.findings.append(_same_id(incoming))
            elif found := records.settled(connection, self.updates):
                return found
            chosen = patients.choose(
                connection, self.content.patient, self.assigning_authority, incoming.flavour
            )
        self.chosen = chosen
        self.findings += chosen.findings
        self.access.details = PatientDetails((chosen.patient_id,))
        return None

    def stage(self) -> None:
        """Take the carried documents in; ContentRefused for all that is wrong with them."""
        wrong: list[MessageFinding] = []
        for report in plan.reports_of(self.content):
            for document in report.documents:
                content = document.content
                if isinstance(content, RenderedContent) or id(content) in self.staged:
                    continue
                try:
                    self.staged[id(content)] = contents.stage(
                        self.repository, content, self.incoming.raw, self.rules
                    )
                except ContentRefused as refusal:
                    wrong += refusal.findings
        if wrong:
            raise ContentRefused(*wrong)

    def plan(self) -> None:
        """Decide what becomes of it; ContentRefused."""
        assert self.chosen is not None

        def digest(document: MessageDocument) -> str:
            if isinstance(document.content, CarriedContent):
                return self.staged[id(document.content)].staged.hash
            return sha1(canonical(document.content)).hexdigest()

        def stated(document: MessageDocument) -> StatedVersion | None:
            found = self.staged.get(id(document.content))
            return found.stated if found else None

        patient_id = self.chosen.patient_id
        says_set = any(one.stated and one.stated.set_id for one in self.staged.values())
        numbers = plan.numbers_named(
            plan.reports_of(self.content), lambda one: ("", f"{patient_id}|{digest(one)}")
        )
        with self.domain.database.read() as connection:
            known = reports.of_numbers(connection, numbers)
            filed = {one.entry_uuid for one in known.values() if one.entry_uuid and says_set}
            self.entries, self.told = registered.latest(connection, known.values()), ()
            planner = Planner(
                now=RegistryNow(
                    known=known,
                    entries=self.entries,
                    is_taken=registered.taken(connection),
                    has_content=registered.having(connection),
                    versions=set_rows.versions_of(connection, filed),
                ),
                ids=self.ids,
                flavour=self.incoming.flavour,
                patient_id=patient_id,
                content=self.content,
                record_id=self.record_id,
                digests=digest,
                stated=stated,
                believes_lower=self.domain.registry.policy.lower_versions != "keep",
            )
            self.made = planner.plan
            planner.make()

    def commit(self) -> FilingOutcome:
        """Register, and write all else in the same commit."""
        plan, maker = self.made, self._maker()
        title, digest = _title(self.content), self.incoming.digest
        submission: Submission | None = None
        documents: dict[str, StagedDocument] = {}
        further: list[Registration] = []
        if plan.documents:
            forms = self._documents(documents)
            submission = submissions.of_documents(maker, plan.documents, forms, title, digest)
        if plan.changes:
            further.append(submissions.of_changes(maker, plan.changes, title, digest))
        made = [*((submission,) if submission else ()), *(one.submission for one in further)]
        outcome = partial(self.outcome, made[0] if made else None)
        kept = self._kept(self._texts())
        in_commit = self._in_commit(outcome, kept, [one.submission_set.id for one in made[1:]])
        access = self.access
        submitted = [one for each in made for one in each.objects]
        try:
            if submitted:
                access.submits(Submission(tuple(submitted)), documents=len(documents))
            if submission is not None:
                self.repository.provide_and_register(
                    submission,
                    documents,
                    in_commit,
                    access.visible,
                    further,
                    dict(self._stated()),
                    tell=self._hear,
                )
                self.staged.clear()
            elif further:
                self.domain.registry.register(
                    further[0].submission,
                    transaction=further[0].transaction,
                    in_commit=in_commit,
                    visible=access.visible,
                )
            else:
                with self.domain.database.write() as connection:
                    in_commit(connection)
        except BaseException:
            kept.drop(self.domain.database, self.record_id)
            raise
        return outcome()

    def _hear(self, warnings: Sequence[RegistryError]) -> None:
        self.told = warnings

    def _stated(self) -> Iterator[tuple[str, StatedVersion]]:
        """Yield what documents say of their versions, and which of them come too late."""
        for one in self.made.documents:
            if one.is_deprecated:
                yield one.entry_uuid, replace(one.stated or StatedVersion(), is_late=True)
            elif one.stated is not None:
                yield one.entry_uuid, one.stated

    def _documents(self, documents: dict[str, StagedDocument]) -> Mapping[str, tuple[str, Code]]:
        """Collect the staged documents by the ids of their entries, and render what has to be."""
        forms: dict[str, tuple[str, Code]] = {}
        for one in self.made.documents:
            content = one.document.content
            if isinstance(content, RenderedContent):
                self.staged[id(one)] = self._rendered(one, content)
                found = self.staged[id(one)]
            else:
                found = self.staged[id(content)]
            documents[one.entry_uuid] = found.staged
            forms[one.unique_id] = found.mime_type, found.format_code
        used = {one.key for one in documents.values()}
        unused = [one.staged for one in self.staged.values() if one.staged.key not in used]
        if unused:
            with suppress(StoreError):
                self.repository.store.discard(unused)
        return forms

    def _rendered(self, new: NewDocument, content: RenderedContent) -> StagedContent:
        form = self.incoming.flavour.render
        identity = DocumentIdentity(
            unique_id=new.unique_id,
            set_id=self.ids.minted("report", *new.key),
            replaces=(new.replaced[0].unique_id or "") if new.replaced else "",
        )
        made = render(
            "text" if form == "none" else form,
            new.report,
            content,
            self.patient,
            self.content.envelope,
            identity,
            self.incoming.flavour.zone,
        )
        return StagedContent(
            staged=self.repository.stage(made.chunks()),
            mime_type=made.mime_type,
            format_code=made.format_code,
        )

    def _in_commit(
        self, outcome: Callable[[], FilingOutcome], kept: KeptMessage, further_sets: Sequence[str]
    ) -> Callable[[Connection], None]:
        plan, chosen = self.made, self.chosen
        assert chosen is not None

        def write(connection: Connection) -> None:
            record = self._record(outcome(), further_sets)
            reports.write(connection, plan.numbers, plan.known, plan.changed_rows)
            if self.stores_results:
                observations.write(connection, results.of_documents(plan.documents))
            orders.write(connection, self.content.orders, chosen.patient_id, self.record_id)
            write_record(self.domain.database, connection, self.updates, record, kept)
            self.access.commit(connection)

        return write

    def _record(self, outcome: FilingOutcome, further_sets: Sequence[str] = ()) -> NewRecord:
        content = self.content
        placed = [one for order in content.orders for one in (order.placer, order.filler) if one]
        return NewRecord(
            incoming=self.incoming,
            outcome=outcome,
            keys=self.keys,
            patient_id=self.chosen.patient_id if self.chosen else "",
            numbers=[
                *numbers_of(content.reports),
                *(one.value for one in placed),
                *further_sets,
            ],
            in_place_of=self.in_place_of,
        )

    def _kept(self, texts: Iterable[DocumentText] = ()) -> KeptMessage:
        if self.updates is not None:
            return KeptMessage()
        return raw_messages.keep(self.domain.database, self.record_id, self.incoming, texts)

    def _texts(self) -> Iterator[DocumentText]:
        """Yield the stretches of the message that need not be kept beside the documents."""
        known: set[int] = set()
        for one in self.made.documents:
            staged = self.staged.get(id(one.document.content))
            if staged is None or id(staged) in known:
                continue
            known.add(id(staged))
            passed = 0
            for start, end in staged.text:
                yield DocumentText(
                    start=start,
                    end=end,
                    unique_id=one.unique_id,
                    hash=staged.staged.hash,
                    text_start=passed,
                )
                passed += end - start

    def is_stale(self) -> bool:
        """Tell whether something has changed by which the message was judged."""
        with self.domain.database.read() as connection:
            if self.updates is None and records.replayed(connection, self.keys):
                return True
            known = reports.of_numbers(connection, self.made.numbers)
            if known != self.made.known:
                return True
            now = registered.latest(connection, known.values())
            return registered.standing(now) != registered.standing(self.entries)

    def hold(self, awaited: PatientAwaited) -> FilingOutcome:
        """Keep a message until the patient feed has brought its patient; ContentRefused of FHIR."""
        if self.incoming.media != "hl7v2":  # its sender sends it again: nothing is kept of it here
            raise refused(PATIENT_UNKNOWN, awaited.location, "no patient feed has made it known")
        outcome = FilingOutcome(
            state="held", findings=[awaiting(awaited)], record_id=self.record_id
        )
        record, kept = self._record(outcome), self._kept()
        if self.updates is None:
            with self.domain.database.write() as connection:
                records.write(self.domain.database, connection, record, kept)
                self.access.commit(connection)
        return outcome

    def _maker(self) -> EntryMaker:
        assert self.chosen is not None
        return EntryMaker(
            ids=self.ids,
            envelope=self.content.envelope,
            flavour=self.incoming.flavour,
            patient=self.patient,
            chosen=self.chosen,
            record_id=self.record_id,
        )

    def outcome(self, submission: Submission | None = None) -> FilingOutcome:
        """Return what becomes of the message."""
        plan, chosen = self.made, self.chosen
        made = [
            FiledDocument(
                entry_uuid=one.entry_uuid,
                unique_id=one.unique_id,
                change="replaced"
                if one.replaced
                else "appended"
                if one.appended_to
                else "registered",
            )
            for one in plan.documents
        ]
        made += [
            FiledDocument(
                entry_uuid=one.old.entry_uuid,
                unique_id=one.old.unique_id or "",
                change="deprecated" if one.deprecates else "updated",
            )
            for one in plan.changes
        ]
        return FilingOutcome(
            state="filed" if made else "indexed",
            findings=[
                *self.findings,
                *plan.findings,
                *registry_answers.warnings(self.told, plan.documents),
            ],
            record_id=self.record_id,
            documents=made,
            submission_set=submission.submission_set.id if submission else "",
            decisions=[
                *self.content.decisions,
                *(chosen.decisions if chosen else ()),
                *plan.decisions,
            ],
        )

    def discard(self) -> None:
        """Let go of documents that are not registered; what is gone already is no error."""
        staged = [one.staged for one in self.staged.values()]
        self.staged.clear()
        if staged:
            with suppress(StoreError):
                self.repository.store.discard(staged)


def write_record(
    database: Database,
    connection: Connection,
    updates: str | None,
    record: NewRecord,
    kept: KeptMessage,
) -> None:
    """Write the record of a message, or bring that of before up to date."""
    if updates is None:
        records.write(database, connection, record, kept)
    else:
        records.write_again(database, connection, updates, record)


def _title(content: MessageContent) -> str:
    said = content.envelope
    return f"{said.code}^{said.trigger} {said.control_id}"


def _same_id(incoming: IncomingMessage) -> MessageFinding:
    """Return what is found of a control id that another message had; ContentRefused by policy."""
    finding = MessageFinding(
        verdict=DUPLICATE_ID,
        location="MSH^1^10",
        reason="another message had the same control id",
        is_warning=incoming.flavour.same_control_id == "warn",
    )
    if not finding.is_warning:
        raise ContentRefused(finding)
    return finding


def awaiting(awaited: PatientAwaited) -> MessageFinding:
    """Return what the sender is told of a message that waits for its patient."""
    return MessageFinding(
        verdict=PATIENT_UNKNOWN,
        location=awaited.location,
        reason="the message is kept, and is filed when a patient feed has made the patient known",
        is_warning=True,
    )
