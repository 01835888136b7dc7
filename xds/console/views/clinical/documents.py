"""A document: what it is, what it says, what it belongs to, and who has opened it."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from xds.accounts.roles import ConsoleRole
from xds.audit import searching, trail
from xds.audit.searching import RecordFilter
from xds.console.views import shown
from xds.console.views.acting import SHOWN, ListPage, start_of
from xds.console.views.clinical.patients import ListedDocument, listed
from xds.console.views.incoming.messages import READERS as MESSAGE_READERS
from xds.console.visits import Answer, Bytes, PageContent, PageNotFound, Visit
from xds.content.pages.page import MEDIA_TYPE
from xds.content.pages.templates import content_security_policy
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_66, ITI_67, ITI_68
from xds.metadata.criteria import equal
from xds.metadata.ebrim import Slot
from xds.metadata.objects import Association, DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.mhd.document_references import DOCUMENTS
from xds.registry.queries.search import Page
from xds.registry.queries.stored_queries import QueryRequest
from xds.registry.queries.views import Found, RegistryView
from xds.registry.storage.fragments import parsed
from xds.repository import maintenance
from xds.security.access import Access
from xds.security.details import PatientDetails

READERS: Final = frozenset({ConsoleRole.VIEWER, ConsoleRole.CLINICIAN, ConsoleRole.INTEGRATION})
"""Who may come to what a document says, of which the policy has the last word."""
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
"""The id of a message that this server has kept; a submitter may have written anything there."""
_PAGES: Final = "/console/pages/"
UUID_URN: Final = "urn:uuid:"
_BY_BROWSERS: Final = frozenset(
    {"application/pdf", "image/png", "image/jpeg", "image/gif", "image/webp"}
)
"""Types that a browser shows as they are, and runs nothing of."""
_MOST_RECORDS: Final = 100
_RELATIONSHIPS: Final = {
    "RPLC": ("replaces", "is replaced by"),
    "APND": ("is an addendum to", "has the addendum"),
    "XFRM": ("is a transformation of", "has the transformation"),
    "XFRM_RPLC": ("transforms and replaces", "is transformed and replaced by"),
    "signs": ("signs", "is signed by"),
    "IsSnapshotOf": ("is a snapshot of", "has the snapshot"),
}


@dataclass(frozen=True, slots=True)
class RelatedDocument:
    """A document that another one is related to."""

    how: str
    document: ListedDocument


@dataclass(frozen=True, slots=True)
class OpenedDocument:
    """What is read of a document before any of its pages."""

    uuid: str
    found: Found[DocumentEntry]
    view: RegistryView
    access: Access

    @property
    def entry(self) -> DocumentEntry:
        """The entry with its status and patientId of this moment."""
        return self.found.thing


@contextmanager
def _opened(visit: Visit) -> Iterator[OpenedDocument]:
    """Open a document as a read of its metadata; PageNotFound where it is not there for them."""
    uuid = str(visit.path["uuid"])
    with visit.passing(ITI_67.name, patient=_emergency_of(visit, uuid)) as access:
        access.interaction = "read"
        with visit.domain.registry.view(access.visible) as view:
            found = _entry(view, uuid)
            if found is None:
                raise PageNotFound
            access.details = PatientDetails((found.found.patient_id,))
            yield OpenedDocument(uuid, found, view, access)


def _entry(view: RegistryView, uuid: str) -> Found[DocumentEntry] | None:
    wanted = equal("entry_uuid", [UUID_URN + uuid])
    return next(iter(view.every_version.find(DocumentEntry, [wanted])), None)


def _emergency_of(visit: Visit, uuid: str) -> int | None:
    """Return the patient of a document, where the person has broken the glass for somebody."""
    if not visit.logged_in.person.emergencies:
        return None
    with visit.domain.registry.view(visit.would_see(ITI_67.name, is_emergency=True)) as view:
        found = _entry(view, uuid)
    return None if found is None else found.patient


def show(visit: Visit) -> Answer:
    """Show a document with what matters most about it."""
    return _summary(visit)


def check(visit: Visit) -> Answer:
    """Read every byte of a document, and compare it with what is registered."""
    return _summary(visit, checks=True)


def _summary(visit: Visit, *, checks: bool = False) -> Answer:
    with _opened(visit) as opened:
        entry = opened.entry
        replaced = bool(opened.view.replaced([opened.found.found.entry_uuid]))
        newer = _newer(visit, opened) if replaced else []
        values = {**_heading(visit, opened), "newer": newer, "entry": entry}
    held = visit.domain.repository.locate(entry.unique_id or "")
    values["is_here"] = held is not None
    values["may_read"] = visit.has(*READERS)
    values["frame"] = (
        _frame(entry, values["uuid"]) if held is not None and values["may_read"] else ""
    )
    values["is_pdf"] = entry.mime_type == "application/pdf"
    values["type"] = shown.code(entry.type_code)
    values["class_"] = shown.code(entry.class_code)
    values["organisations"] = shown.institutions(entry.author)
    values["checked"] = ""
    if checks and held is not None:
        damage = maintenance.damage_of(visit.domain.repository, held)
        if damage is None and (held.hash.lower(), str(held.size)) != (
            (entry.hash or "").lower(),
            str(entry.size),
        ):
            damage = "hash or size of the metadata are others than those of the document"
        values["checked"] = damage or "ok"
        values["hash"] = held.hash
    return PageContent(values, title=values["name"])


def _heading(visit: Visit, opened: OpenedDocument) -> dict[str, Any]:
    entry = opened.entry
    return {
        "uuid": opened.uuid,
        "name": entry.title or shown.code(entry.type_code),
        "patient": opened.found.patient,
        "identifier": shown.identifier(entry.patient_id or ""),
        "status": shown.status(opened.found.found.availability_status),
        "sees_readers": visit.has(ConsoleRole.PRIVACY),
    }


def _newer(visit: Visit, opened: OpenedDocument) -> list[ListedDocument]:
    return [one.document for one in _related(visit, opened) if "replaced by" in one.how]


def _frame(entry: DocumentEntry, uuid: str) -> str:
    """Return where a document is shown in a frame: as a page, unless browsers do it themselves."""
    if entry.mime_type in _BY_BROWSERS:
        return f"/documents/{uuid}/content"
    return f"/pages/{uuid}"


# --- metadata, relations and raw -----------------------------------------------------------------


def show_metadata(visit: Visit) -> Answer:
    """Show every attribute by its name in the TF."""
    with _opened(visit) as opened:
        values = _heading(visit, opened)
        values["attributes"] = shown.attributes(opened.entry)
        values["registered"] = opened.found.registered_at
        values["updated"] = opened.found.last_updated_at
        versions = opened.view.every_version.find(
            DocumentEntry, [equal("logical_id", [opened.entry.logical_id or ""])]
        )
        values["versions"] = [
            (one.thing.version or "1", listed(one), one.registered_at) for one in versions
        ]
    return PageContent(values, title=f"Metadata: {values['name']}")


def show_relations(visit: Visit) -> Answer:
    """Show what a document replaces, what has replaced it, and what holds it."""
    with _opened(visit) as opened:
        values = _heading(visit, opened)
        values["related"] = _related(visit, opened)
        values["sets"] = _holders(visit, opened, v.GET_SUBMISSION_SETS, "$uuid")
        values["folders"] = _holders(
            visit, opened, v.GET_FOLDERS_FOR_DOCUMENT, "$XDSDocumentEntryEntryUUID"
        )
        message = opened.entry.source_message or ""
        values["source_message"] = message
        values["sees_message"] = visit.has(*MESSAGE_READERS) and bool(_UUID.fullmatch(message))
    return PageContent(values, title=f"Relations: {values['name']}")


def _ask(
    visit: Visit, opened: OpenedDocument, query_id: str, slots: Sequence[tuple[str, str]]
) -> Sequence[Any]:
    request = QueryRequest(query_id, [Slot(name, (text,)) for name, text in slots])
    return parsed(visit.domain.registry.query(request, opened.access.visible).objects)


def _related(visit: Visit, opened: OpenedDocument) -> list[RelatedDocument]:
    own = UUID_URN + opened.uuid
    types = ",".join(f"'{one}'" for one in sorted(v.RELATIONSHIPS))
    slots = (("$XDSDocumentEntryEntryUUID", f"'{own}'"), ("$AssociationTypes", f"({types})"))
    links = [
        one
        for one in _ask(visit, opened, v.GET_RELATED_DOCUMENTS, slots)
        if isinstance(one, Association)
    ]
    others = [end for one in links for end in (one.source, one.target) if end != own]
    found = opened.view.every_version.find(DocumentEntry, [equal("entry_uuid", others)])
    documents = {one.found.entry_uuid: listed(one) for one in found}
    related = []
    for one in links:
        is_source = one.source == own
        other = documents.get(one.target if is_source else one.source)
        name = one.association_type.rpartition(":")[2]
        named = _RELATIONSHIPS.get(name, (name, f"is the target of {name} of"))
        if other is not None:
            related.append(RelatedDocument(named[0] if is_source else named[1], other))
    return related


def _holders(
    visit: Visit, opened: OpenedDocument, query_id: str, parameter: str
) -> list[tuple[str, str, str]]:
    """Return what holds a document: the UUID, its title, its time."""
    own = f"'{UUID_URN}{opened.uuid}'"
    text = f"({own})" if parameter == "$uuid" else own
    found = _ask(visit, opened, query_id, [(parameter, text)])
    return [
        (
            one.id.removeprefix(UUID_URN),
            one.title or "",
            (one.submission_time if isinstance(one, SubmissionSet) else one.last_update_time) or "",
        )
        for one in found
        if isinstance(one, SubmissionSet | Folder)
    ]


def show_raw(visit: Visit) -> Answer:
    """Show a document as protocols have it, and how programs get it."""
    base = visit.console.config.public_url or visit.console.config.url
    with _opened(visit) as opened:
        values = _heading(visit, opened)
        leaf = opened.found.found.leaf().decode("utf-8", "replace")
        values["ebrim"] = leaf.replace("><", ">\n<")
        rendered = DOCUMENTS.render(
            visit.console.facade, f"{base}/fhir", opened.view, [opened.found]
        )
        (resource,) = rendered
        values["fhir"] = json.dumps(resource.resource(), indent=2, ensure_ascii=False)
        entry = opened.entry
    unique_id, patient_id = entry.unique_id or "", entry.patient_id or ""
    values["commands"] = [
        ("The document, by curl", f"curl -O {shlex.quote(f'{base}/fhir/document/{opened.uuid}')}"),
        (
            "Its metadata by FHIR",
            f"curl {shlex.quote(f'{base}/fhir/DocumentReference/{opened.uuid}')}",
        ),
        ("The document, by ITI-43", f"xds get {shlex.quote(unique_id)} --url {base}"),
        (
            "All documents of the patient, by ITI-18",
            f"xds find --patient {shlex.quote(patient_id)} --url {base}",
        ),
    ]
    return PageContent(values, title=f"Raw: {values['name']}")


# --- bytes ---------------------------------------------------------------------------------------


def show_content(visit: Visit) -> Answer:
    """Give a document that browsers show by themselves for a frame of its page."""
    return _bytes(visit, is_download=False)


def download(visit: Visit) -> Answer:
    """Give a document as it is, to be saved."""
    return _bytes(visit, is_download=True)


def _bytes(visit: Visit, *, is_download: bool) -> Answer:
    uuid = str(visit.path["uuid"])
    with visit.passing(ITI_68.name, patient=_emergency_of(visit, uuid)) as access:
        found = visit.console.documents.find(uuid, access)
        reader = visit.console.documents.open(found)
    is_shown = found.mime_type.partition(";")[0].strip().lower() in _BY_BROWSERS
    is_saved = is_download or not is_shown
    return Bytes(found.mime_type, reader, found.size, uuid, is_download=is_saved)


def show_page(visit: Visit) -> Answer:
    """Give the page of a document for a frame: without script, whatever the document has."""
    uuid = str(visit.path["uuid"])
    with visit.passing(ITI_68.name, patient=_emergency_of(visit, uuid)) as access:
        found = visit.console.documents.find(uuid, access)
        data = visit.console.pages.page(found, access, f"{_PAGES}{uuid}")
    return Bytes(MEDIA_TYPE, [data], len(data), uuid, policy=content_security_policy())


def show_attachment(visit: Visit) -> Answer:
    """Give an attachment of a document, which its page refers to."""
    uuid, number = str(visit.path["uuid"]), visit.path["number"]
    with visit.passing(ITI_68.name, patient=_emergency_of(visit, uuid)) as access:
        found = visit.console.documents.find(uuid, access)
        served = visit.console.pages.attachment(found, number)
    content_type = served.media_type or "application/octet-stream"
    is_saved = served.kind not in ("image", "pdf")
    name = f"{uuid}-{number}"
    return Bytes(content_type, [served.data], len(served.data), name, is_download=is_saved)


# --- sets and folders ----------------------------------------------------------------------------


def show_submission_set(visit: Visit) -> Answer:
    """Show a SubmissionSet and what it holds."""
    return _package(visit, SubmissionSet, "Submission set")


def show_folder(visit: Visit) -> Answer:
    """Show a Folder and what it holds."""
    return _package(visit, Folder, "Folder")


def _package(visit: Visit, kind: type[SubmissionSet] | type[Folder], name: str) -> Answer:
    uuid: UUID = visit.path["uuid"]
    start = start_of(visit)
    with visit.passing(ITI_66.name) as access:
        access.interaction = "read"
        with visit.domain.registry.view(access.visible) as view:
            every = view.every_version
            wanted: Any = kind
            found = every.find(wanted, [equal("entry_uuid", [f"{UUID_URN}{uuid}"])])
            if not found:
                raise PageNotFound
            thing: MetadataObject = found[0].thing
            members = every.members([found[0].found.entry_uuid])
            uuids = [one.entry_uuid for one in members]
            some = Page(start, SHOWN + 1)
            documents = every.find(DocumentEntry, [equal("entry_uuid", uuids)], page=some)
            folders = every.find(Folder, [equal("entry_uuid", uuids)], page=some)
        access.details = PatientDetails((found[0].found.patient_id,))
    path = f"/{'submission-sets' if kind is SubmissionSet else 'folders'}/{uuid}"
    return PageContent(
        {
            "name": getattr(thing, "title", None) or name,
            "kind": name,
            "patient": found[0].patient,
            "identifier": shown.identifier(found[0].found.patient_id or ""),
            "attributes": shown.attributes(thing),
            "documents": [listed(one) for one in documents[:SHOWN]],
            "folders": [
                (one.found.entry_uuid.removeprefix(UUID_URN), one.thing.title or "")
                for one in folders[:SHOWN]
            ],
            "list": ListPage(start, path, {}, max(len(documents), len(folders)) <= SHOWN),
        },
        title=name,
    )


# --- who has opened it ---------------------------------------------------------------------------


def show_readers(visit: Visit) -> Answer:
    """Show who has retrieved a document; that this was looked at is recorded as well."""
    with _opened(visit) as opened:
        values, entry = _heading(visit, opened), opened.entry
    wanted = RecordFilter(
        patient_ids=(entry.patient_id,) if entry.patient_id else (),
        documents=(entry.unique_id or entry.id, entry.id),
    )
    visit.record(trail.of_reading(visit.caller, wanted.told()))
    with visit.domain.database.read() as connection:
        found = searching.page(connection, wanted, _MOST_RECORDS).records
    values["records"] = found
    values["most"] = _MOST_RECORDS
    return PageContent(values, title=f"Who opened it: {values['name']}")
