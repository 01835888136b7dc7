"""What a message asks of the registry: decided by what is filed under the numbers that it names.

A plan is made of what was read in one moment, and is held to that in the commit
(:func:`xds.messaging.registering.reports.write`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

from xds.messaging.flavours.flavour import Flavour
from xds.messaging.model import (
    EntityNumber,
    MessageContent,
    MessageDocument,
    MessageReport,
    ReportStatus,
)
from xds.messaging.registering.metadata import UniqueIds, key_of
from xds.messaging.registering.patients import PID_3
from xds.messaging.registering.plan import (
    EntryChange,
    FilingPlan,
    NewDocument,
    RegistryNow,
    numbers_named,
    reports_of,
)
from xds.messaging.registering.reports import Number
from xds.messaging.registering.versions import (
    ComingVersion,
    FiledReport,
    VersionDecision,
    decide,
    is_later,
)
from xds.messaging.verdicts import (
    DOCUMENT_UNKNOWN,
    PATIENT_ID,
    ContentRefused,
    MessageFinding,
    MessageVerdict,
)
from xds.metadata import vocabulary as v
from xds.metadata.datatypes import is_oid
from xds.metadata.objects import DocumentEntry
from xds.metadata.submission import StatedVersion

_MDM: Final = "MDM"


@dataclass(slots=True, kw_only=True)
class Planner:
    """Makes the plan of one message."""

    now: RegistryNow
    ids: UniqueIds
    flavour: Flavour
    patient_id: str
    content: MessageContent
    record_id: str
    digests: Callable[[MessageDocument], str]
    """Returns the SHA-1 of what the sender said in a document."""
    stated: Callable[[MessageDocument], StatedVersion | None]
    """Returns what a document says of its versions."""
    believes_lower: bool = True
    """Whether a document that says to be of an earlier version is one."""
    plan: FilingPlan = field(default_factory=FilingPlan)

    def make(self) -> FilingPlan:
        """Return the plan; ContentRefused with all that speaks against the message."""
        reports = reports_of(self.content)
        self.plan.known = self.now.known
        self.plan.numbers = numbers_named(reports, self.without_number)
        self.plan.rows = dict(self.now.known)
        for one in reports:
            _STEPS[one.action](self, one)
        if refusals := [one for one in self.plan.findings if not one.is_warning]:
            raise ContentRefused(*map(self._placed, refusals))
        return self.plan

    def _placed(self, finding: MessageFinding) -> MessageFinding:
        """Return a finding about a patient as one at the patient's ids, whatever document it is."""
        if finding.verdict is not PATIENT_ID:
            return finding
        patient = self.content.patient
        return replace(finding, location=(patient.location if patient else "") or PID_3)

    # --- steps, one for each action --------------------------------------------------------------

    def file(self, report: MessageReport) -> None:
        """File the documents of a report, each as what is known of it asks for."""
        if report.status == "cancelled":
            self.cancel(report)
            return
        for document in report.documents:
            self._file(report, document)
        if not report.documents and report.number:
            self.decide("a report without a document is indexed")

    def replace(self, report: MessageReport) -> None:
        """File a document in the place of its parent (MDM T10)."""
        if report.parent is None:
            self.warn(report, DOCUMENT_UNKNOWN, "it replaces nothing: there is no parent number")
        elif report.number and key_of(report.parent) != key_of(report.number):
            parents = [one for one in self._filed(report.parent) if self._entry(one)]
            if not parents:
                self._unknown_parent(report)
            for document in report.documents:
                self._file(report, document, replacing=parents)
            return
        self.file(report)

    def append(self, report: MessageReport) -> None:
        """File an addendum to its parent (MDM T06)."""
        parents = [one for one in self._filed(report.parent) if self._entry(one)]
        if not parents:
            self._unknown_parent(report)
        for document in report.documents:
            self._file(report, document, parent=next(iter(parents), None))

    def announce(self, report: MessageReport) -> None:
        """Note that a document is to come (MDM T01, T05)."""
        is_addendum = self.content.envelope.trigger == "T05"
        if is_addendum and not self._rows(report.parent):
            self.refuse(report, DOCUMENT_UNKNOWN, "the parent document is not known")
            return
        if report.number and not self._rows(report.number):
            row = self._row(report, "")
            self.put(replace(row, state="announced"))
            self.decide("the document is announced")

    def status(self, report: MessageReport) -> None:
        """Change the status of what is filed (MDM T03)."""
        rows = self._known_rows(report)
        for row in rows:
            entry = self._entry(row)
            if entry is None:
                continue
            if report.status == "cancelled" or not report.is_available:
                self._deprecate(row, entry, report)
            elif row.status != report.status:
                self.plan.changes.append(EntryChange(old=entry, status=report.status))
                self.put(replace(row, status=report.status, message=self.record_id))

    def cancel(self, report: MessageReport) -> None:
        """Withdraw what is filed, or keep in mind that it is withdrawn (MDM T11, OBR-25 X)."""
        slots = {one.slot for one in report.documents if one.slot}
        rows = [one for one in self._rows(report.number) if not slots or one.slot in slots]
        for row in rows:
            entry = self._entry(row)
            if entry is not None and row.state == "filed":
                if self._patient(row) != self.patient_id:
                    reason = "the number is that of a document of another patient"
                    self.refuse(report, PATIENT_ID, reason)
                    return
                self._deprecate(row, entry, report)
            elif row.state != "cancelled":
                self.put(self._tombstone(report, row.slot))
        if not rows and report.number:
            self.put(self._tombstone(report, ""))
            if self.content.envelope.code == _MDM:
                refuses = self.flavour.early_cancellation == "refuse"
                tell = self.refuse if refuses else self.warn
                tell(report, DOCUMENT_UNKNOWN, "the document is not known")
            self.decide("nothing is filed under the number; that it is cancelled is kept in mind")

    def mark(self, report: MessageReport) -> None:
        """Note that what is filed is stale, and the new content does not come (T07, T09)."""
        if report.action == "replaced" and report.parent is not None:
            report = replace(report, number=report.parent)
        for row in self._known_rows(report):
            self.put(replace(row, message=self.record_id))
            self.decide("its sender has changed the document; what is filed stays as it is")

    # --- parts of these --------------------------------------------------------------------------

    def _file(
        self,
        report: MessageReport,
        document: MessageDocument,
        *,
        replacing: Sequence[FiledReport] = (),
        parent: FiledReport | None = None,
    ) -> None:
        content = self.digests(document)
        key = self._key(report, document)
        row = self.plan.rows.get(key)
        coming = self._coming(report, document, row)
        known, entry = self._standing(row)
        decision = self._decided(row, known, entry, coming)
        self.plan.findings += decision.findings
        if decision.decision:
            self.decide(decision.decision)
        if decision.step == "status" and entry is not None and row is not None:
            self._change_status(row, entry, report, coming)
        if decision.step in ("nothing", "status"):
            return
        is_deprecated = decision.step == "deprecated"
        is_lower = decision.step == "lower"
        if row and (is_deprecated or is_lower) and self._is_here(report, key, content):
            self.decide("the content is here, as Deprecated")
            return
        unique_id = self._unique_id(report, document, content, is_first=row is None)
        replaced = [one for one in map(self._entry, replacing) if one]
        if decision.step == "replace" and entry is not None:
            replaced.append(entry)
        parent_entry = self._entry(parent) if parent else None
        new = NewDocument(
            report=report,
            document=document,
            unique_id=unique_id,
            content=content,
            replaced=() if is_deprecated else tuple(replaced),
            appended_to=parent_entry,
            is_deprecated=is_deprecated,
            stated=self.stated(document),
            key=key,
        )
        self.plan.documents.append(new)
        if row is None or not (is_deprecated or is_lower):
            self._put_filed(new, coming)
        for one in replacing if not is_deprecated else ():
            self.put(
                replace(
                    one,
                    state="cancelled",
                    version_time=coming.version_time,
                    message=self.record_id,
                )
            )

    def _coming(
        self, report: MessageReport, document: MessageDocument, row: FiledReport | None
    ) -> ComingVersion:
        return ComingVersion(
            content=self.digests(document),
            status=report.status,
            version_time=report.version_time or self.content.envelope.sent,
            patient_id=self.patient_id,
            is_available=report.is_available,
            location=document.location or report.location,
            order=self._order(row, document),
        )

    def _order(self, row: FiledReport | None, document: MessageDocument) -> int:
        """Compare the versions that a document and the filed one of its number say to be."""
        said = self.stated(document)
        filed = self.now.versions.get(row.entry_uuid or "") if row else None
        if said is None or filed is None or said.set_id != filed.set_id:
            return 0
        order = filed.order(said)
        return order if order > 0 or self.believes_lower else 0

    def _is_here(self, report: MessageReport, key: tuple[str, str, str], content: str) -> bool:
        """Tell whether a content is registered under its number, as an earlier version."""
        minted = self.ids.of_document(key, content, 0)
        return self.now.is_taken(minted) or any(
            self.now.has_content(one, content) for one in report.unique_ids
        )

    def _put_filed(self, new: NewDocument, coming: ComingVersion) -> None:
        report, awaited = new.report, ""
        if report.action == "append" and report.parent and new.appended_to is None:
            awaited = "|".join(key_of(report.parent))
        authority, number, slot = new.key
        self.put(
            FiledReport(
                authority=authority,
                number=number,
                slot=slot,
                state="filed",
                entry_uuid=new.entry_uuid,
                unique_id=new.unique_id,
                content=coming.content,
                status=coming.status,
                version_time=coming.version_time,
                patient_id=self.patient_id,
                parent=awaited,
                message=self.record_id,
            )
        )

    def _standing(self, row: FiledReport | None) -> tuple[FiledReport | None, DocumentEntry | None]:
        """Return a row as the registry bears it out, and the DocumentEntry that is filed."""
        if row is None or row.state != "filed":
            return row, None
        entry = self._entry(row, is_approved=False)
        if entry is None:  # it was removed
            return None, None
        return replace(row, patient_id=entry.patient_id or row.patient_id), entry

    def _decided(
        self,
        row: FiledReport | None,
        known: FiledReport | None,
        entry: DocumentEntry | None,
        coming: ComingVersion,
    ) -> VersionDecision:
        if entry is None or entry.availability_status == v.APPROVED or row is None:
            return decide(known, coming, self.flavour)
        if row.content == coming.content:
            return VersionDecision(step="nothing", decision="the content is here, as Deprecated")
        return decide(None, coming, self.flavour)

    def _change_status(
        self,
        row: FiledReport,
        entry: DocumentEntry,
        report: MessageReport,
        coming: ComingVersion,
    ) -> None:
        if not coming.is_available:
            self._deprecate(row, entry, report)
            return
        self.plan.changes.append(EntryChange(old=entry, status=report.status))
        changed = replace(row, status=report.status, message=self.record_id)
        if is_later(coming.version_time, row.version_time):
            changed = replace(changed, version_time=coming.version_time)
        self.put(changed)

    def _unique_id(
        self, report: MessageReport, document: MessageDocument, content: str, *, is_first: bool
    ) -> str:
        """Return the uniqueId: the sender's own OID where it is free, else a minted one."""
        own = next((one for one in report.unique_ids if is_oid(one)), "")
        taken = {one.unique_id for one in self.plan.documents}
        is_alone = len(report.documents) == 1 and is_first
        if own and is_alone and own not in taken and not self.now.is_taken(own):
            return own
        key = self._key(report, document)
        for again in count():
            minted = self.ids.of_document(key, content, again)
            if minted not in taken and not self.now.is_taken(minted):
                return minted
        raise AssertionError("numbers do not end")

    def _key(self, report: MessageReport, document: MessageDocument) -> tuple[str, str, str]:
        has_number = report.number is not None and report.number.value
        number = key_of(report.number) if has_number else self.without_number(document)
        return (*number, document.slot)

    def without_number(self, document: MessageDocument) -> Number:
        """Return what stands for the number of a document that has none: its content."""
        return "", f"{self.patient_id}|{self.digests(document)}"

    def _row(self, report: MessageReport, slot: str) -> FiledReport:
        authority, number = key_of(report.number)
        return FiledReport(
            authority=authority,
            number=number,
            slot=slot,
            state="announced",
            status=report.status,
            version_time=report.version_time or self.content.envelope.sent,
            patient_id=self.patient_id,
            message=self.record_id,
        )

    def _tombstone(self, report: MessageReport, slot: str) -> FiledReport:
        return replace(self._row(report, slot), state="cancelled", status="cancelled")

    def _deprecate(self, row: FiledReport, entry: DocumentEntry, report: MessageReport) -> None:
        restricts = report.is_wrong_patient and self.flavour.wrong_patient == "restrict"
        status: ReportStatus = "cancelled" if report.status == "final" else report.status
        if entry.availability_status == v.APPROVED:
            self.plan.changes.append(
                EntryChange(
                    old=entry,
                    status=status if report.action == "cancel" else report.status,
                    deprecates=True,
                    restricts=restricts,
                    comments=report.comments,
                )
            )
        time = report.version_time or self.content.envelope.sent
        gone = replace(row, state="cancelled", version_time=time, message=self.record_id)
        self.put(gone)
        self.decide("what is filed under the number is Deprecated")

    def _known_rows(self, report: MessageReport) -> list[FiledReport]:
        rows = self._filed(report.number)
        if not rows:
            self.refuse(report, DOCUMENT_UNKNOWN, "the document is not known")
        return rows

    def _filed(self, number: EntityNumber | None) -> list[FiledReport]:
        return [one for one in self._rows(number) if one.state == "filed"]

    def _rows(self, number: EntityNumber | None) -> list[FiledReport]:
        if number is None or not number.value:
            return []
        return [one for key, one in self.plan.rows.items() if key[:2] == key_of(number)]

    def _entry(self, row: FiledReport, *, is_approved: bool = True) -> DocumentEntry | None:
        entry = self.now.entries.get(row.unique_id or "")
        if entry is None or (is_approved and entry.availability_status != v.APPROVED):
            return None
        return entry

    def _patient(self, row: FiledReport) -> str:
        entry = self._entry(row, is_approved=False)
        return (entry.patient_id if entry else None) or row.patient_id

    def _unknown_parent(self, report: MessageReport) -> None:
        reason = "the parent document is not known"
        if self.flavour.unknown_parent == "refuse":
            self.refuse(report, DOCUMENT_UNKNOWN, reason)
        else:
            self.warn(report, DOCUMENT_UNKNOWN, reason)

    # --- what is told ----------------------------------------------------------------------------

    def put(self, row: FiledReport) -> None:
        """Have a row written."""
        self.plan.rows[row.key] = row

    def decide(self, what: str) -> None:
        """Note a decision."""
        self.plan.decisions.append(what)

    def warn(self, report: MessageReport, verdict: MessageVerdict, reason: str) -> None:
        """Tell of something beside the acceptance."""
        self._tell(report, verdict, reason, is_warning=True)

    def refuse(self, report: MessageReport, verdict: MessageVerdict, reason: str) -> None:
        """Tell of something that refuses the message."""
        self._tell(report, verdict, reason, is_warning=False)

    def _tell(
        self, report: MessageReport, verdict: MessageVerdict, reason: str, *, is_warning: bool
    ) -> None:
        location = report.location
        if verdict is DOCUMENT_UNKNOWN and self.content.envelope.code == _MDM:
            location = "TXA^1^13" if report.parent else "TXA^1^12"
        self.plan.findings.append(
            MessageFinding(verdict=verdict, location=location, reason=reason, is_warning=is_warning)
        )


_STEPS: Final[Mapping[str, Callable[[Planner, MessageReport], None]]] = {
    "announce": Planner.announce,
    "file": Planner.file,
    "replace": Planner.replace,
    "append": Planner.append,
    "status": Planner.status,
    "cancel": Planner.cancel,
    "edited": Planner.mark,
    "replaced": Planner.mark,
}


def tombstones(plan: FilingPlan) -> Iterator[FiledReport]:
    """Yield the rows that outlast the refusal of a cancellation that came before its document."""
    yield from (one for one in plan.changed_rows if one.state == "cancelled" and not one.unique_id)
