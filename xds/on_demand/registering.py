"""On-Demand entries follow documents and patients: registered, changed, ended with those.

The entries that there should be follow from the documents and the rules alone, and have ids of
their own making: so it may be looked at any document at any time, by any process, and again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from xds import logs
from xds.client.administrator import next_version, status_change_of, update_of
from xds.errors import TransactionFailure
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_57, ITI_61, ITI_62, TransactionRow
from xds.metadata.criteria import ANYTHING, equal
from xds.metadata.document_request import DocumentRequest
from xds.metadata.objects import DocumentEntry
from xds.metadata.submission import Submission
from xds.on_demand import entries, patient_documents, snapshots, tables
from xds.on_demand.documents import OnDemandDocuments
from xds.on_demand.forms import DocumentForm
from xds.on_demand.rules import OnDemandRule
from xds.registry import events
from xds.registry.events import Event
from xds.registry.storage.fragments import FoundObject, parsed
from xds.registry.subscribers import Reaction, Subscriber
from xds.security.access import Access
from xds.security.details import MetadataRemovalDetails, RemovedObject

NAME: Final = "on demand"
"""The subscriber of events."""
RemoveDocuments = Callable[[Sequence[DocumentRequest]], None]
"""Removes documents of the repository; TransactionFailure."""
_OF_DOCUMENTS: Final = frozenset(
    {events.REGISTERED, events.APPROVED, events.UPDATED, events.DEPRECATED, events.REMOVED}
)

_log: Final = logs.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class OnDemandEntries:
    """Sees to the On-Demand entries of one registry; usable from many threads and processes."""

    documents: OnDemandDocuments
    remove_documents: RemoveDocuments

    def subscriber(self) -> Subscriber | None:
        """Return the subscriber of events that does so; None where there are no rules.

        It begins with the first event, so that what was registered before has its entries too.
        """
        if not self.documents.forms.rules:
            return None
        return Subscriber(NAME, self._react, begins="first", rest_seconds=0.05)

    def _react(self, found: Sequence[Event]) -> Reaction:
        """Bring entries up to date. What is written is the same however often it is done."""
        concerned = [one for one in found if _is_of_document(one)]
        sources = self._sources(concerned)
        for logical_id in dict.fromkeys(one.logical_id or one.id for one in sources):
            self.follow(logical_id)
        merges = [one for one in found if one.kind == events.PATIENT_MERGED]
        patients = [patient for one in merges for patient in (one.patient_id, one.survivor)]
        for patient_id in dict.fromkeys(filter(None, (*self._patients(sources), *patients))):
            self.follow_patient(patient_id)
        removed = {one.entry_uuid for one in concerned if one.removed is not None}
        gone = [one.logical_id or one.id for one in sources if one.id in removed]
        if not gone:
            return Reaction(is_idle=True)
        return Reaction(lambda connection: tables.forget(connection, gone))

    def _sources(self, found: Sequence[Event]) -> list[DocumentEntry]:
        """Return the documents of events of which there may be forms."""
        uuids = {one.entry_uuid for one in found if one.entry_uuid and one.removed is None}
        with self.documents.registry.view(ANYTHING) as view:
            known = view.every_version.find(DocumentEntry, [equal("entry_uuid", sorted(uuids))])
            there = [one.thing for one in known]
        removed = _read([one.removed for one in found if one.removed is not None])
        return [one for one in (*there, *removed) if _is_source(one)]

    # --- one document ----------------------------------------------------------------------------

    def follow(self, logical_id: str) -> None:
        """See to the entries of the forms of one document."""
        source = self._latest(logical_id)
        for form in self.documents.forms.rows.values():
            if form.is_of_patient:
                continue
            identifier = entries.entry_uuid(self._repository, form.name, logical_id)
            there = self._latest(identifier)
            if source is None:
                if there is not None:
                    self._tried(self._remove, there)
                continue
            wanted = self._wanted(form, source, logical_id)
            self._tried(self._bring, there, wanted, [(v.XFRM, source.id)])

    def _wanted(
        self, form: DocumentForm, source: DocumentEntry, logical_id: str
    ) -> DocumentEntry | None:
        """Return the entry of a form that there should be; None where there should be none."""
        rule = self._rule(form, source)
        type_ = form.type_of(source)
        if rule is None or type_ is None or source.availability_status != v.APPROVED:
            return None
        made = entries.on_demand_entry(self._repository, form, type_, source, logical_id)
        return made.updated(**rule.entry)

    def _rule(self, form: DocumentForm, source: DocumentEntry) -> OnDemandRule | None:
        """Return the first rule by which a document is had in a form."""
        if source.repository_unique_id != self._repository or not _is_source(source):
            return None
        rules = (one for one in self.documents.forms.rules if one.form == form.name)
        return next((one for one in rules if one.chooses(source)), None)

    # --- one patient -----------------------------------------------------------------------------

    def _patients(self, sources: Sequence[DocumentEntry]) -> list[str]:
        """Return the patients of documents, and those whose they were (CX)."""
        if not self._of_patients():
            return []
        logical_ids = sorted({one.logical_id or one.id for one in sources})
        with self.documents.registry.view(ANYTHING) as view:
            versions = view.every_version.find(DocumentEntry, [equal("logical_id", logical_ids)])
            known = [one.thing.patient_id for one in versions]
        return [one for one in (*known, *(of.patient_id for of in sources)) if one]

    def _of_patients(self) -> list[tuple[DocumentForm, OnDemandRule]]:
        """Return the forms of patients for which there are rules."""
        forms = self.documents.forms
        found = ((forms.rows[rule.form], rule) for rule in forms.rules)
        return [(form, rule) for form, rule in found if form.is_of_patient]

    def follow_patient(self, patient_id: str) -> None:
        """See to the entries of what is made of all documents of one patient (CX)."""
        done: set[str] = set()
        for form, rule in self._of_patients():
            if form.name in done:
                continue
            there = self._latest(entries.entry_uuid(self._repository, form.name, patient_id))
            if self._is_chosen(form, rule, patient_id):
                done.add(form.name)
                wanted = entries.patient_entry(self._repository, form, patient_id, rule.entry)
                self._tried(self._bring, there, wanted, [])
        for name in {form.name for form, _ in self._of_patients()} - done:
            there = self._latest(entries.entry_uuid(self._repository, name, patient_id))
            if there is not None and self._has_documents(patient_id):
                self._tried(self._bring, there, None, [])
            elif there is not None:
                self._tried(self._remove, there)
                with self.documents.registry.database.write() as connection:
                    tables.forget(connection, [there.logical_id or there.id])

    def _is_chosen(self, form: DocumentForm, rule: OnDemandRule, patient_id: str) -> bool:
        """Tell whether a patient has a document that a rule is about and something is made of."""
        criteria = patient_documents.current(self._repository, patient_id)
        with self.documents.registry.view(ANYTHING) as view:
            found = patient_documents.each(view, criteria)
            return any(
                _is_source(one) and form.type_of(one) is not None and rule.chooses(one)
                for one in found
            )

    def _has_documents(self, patient_id: str) -> bool:
        """Tell whether a patient has any document, current or not."""
        criteria = [
            equal("patient_id", [patient_id]),
            equal("object_type", [v.STABLE_DOCUMENT_ENTRY]),
        ]
        with self.documents.registry.view(ANYTHING) as view:
            return view.count(DocumentEntry, criteria) > 0

    # --- what is done ----------------------------------------------------------------------------

    @property
    def _repository(self) -> str:
        return self.documents.repository.unique_id

    def _latest(self, logical_id: str) -> DocumentEntry | None:
        with self.documents.registry.view(ANYTHING) as view:
            found = view.find(DocumentEntry, [equal("logical_id", [logical_id])])
            return found[0].thing if found else None

    def _tried(self, act: Callable[..., None], *arguments: object) -> None:
        """Do something; where the registry refuses it, the log tells, and nothing is held up."""
        try:
            act(*arguments)
        except TransactionFailure as failure:
            codes = [one.code for one in failure.errors]
            _log.warning("an On-Demand entry was refused", act=act.__name__, errors=codes)

    def _bring(
        self,
        there: DocumentEntry | None,
        wanted: DocumentEntry | None,
        relations: Sequence[tuple[str, str]],
    ) -> None:
        """Register an entry, change it, give it its status, or none of these."""
        approved = there is not None and there.availability_status == v.APPROVED
        if there is None:
            if wanted is not None:
                made = entries.submission(self._repository, wanted, relations)
                self._register(made, ITI_61)
            return
        about = entries.of_submission_sets(self._repository)
        if wanted is None:
            if approved:
                self._register(status_change_of(there, v.DEPRECATED, **about), ITI_57)
            return
        if not approved:
            self._register(status_change_of(there, v.APPROVED, **about), ITI_57)
        changes = {
            name: getattr(wanted, name)
            for name in entries.DERIVED
            if getattr(wanted, name) != getattr(there, name)
        }
        if changes:
            latest = self._latest(there.logical_id or there.id) or there
            update = update_of(latest, next_version(latest, **changes), propagates=True, **about)
            self._register(update, ITI_57)

    def _register(self, submission: Submission, row: TransactionRow) -> None:
        access = Access(transaction=row.name)
        with self.documents.recording.passing(access):
            access.submits(submission)
            self.documents.registry.register(
                submission, transaction=row.name, in_commit=access.commit
            )

    def _remove(self, there: DocumentEntry) -> None:
        """Remove an entry with its snapshots, and the documents of these."""
        registry = self.documents.registry
        kept = snapshots.snapshots_of(registry, there, approved=False)
        logical_ids = [one.logical_id or one.id for one in (there, *kept)]
        with registry.view(ANYTHING) as view:
            versions = view.every_version.find(DocumentEntry, [equal("logical_id", logical_ids)])
            gone = view.going_with([one.found.entry_uuid for one in versions])
        access = Access(transaction=ITI_62.name)
        with self.documents.recording.passing(access):
            access.details = MetadataRemovalDetails(
                tuple(RemovedObject(uuid, patient_id=there.patient_id) for uuid in gone)
            )
            registry.remove(gone, in_commit=access.commit)
        requests = [DocumentRequest(self._repository, one.unique_id or "", None) for one in kept]
        if requests:
            self.remove_documents(requests)


def _is_of_document(event: Event) -> bool:
    return event.kind in _OF_DOCUMENTS and event.object_kind == DocumentEntry.KIND


def _is_source(entry: DocumentEntry) -> bool:
    return not entry.is_on_demand and not entry.on_demand_form


def _read(found: Sequence[FoundObject]) -> Iterator[DocumentEntry]:
    return (one for one in parsed(found) if isinstance(one, DocumentEntry))
