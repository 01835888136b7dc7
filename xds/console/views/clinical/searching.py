"""The search box: whatever has exactly this number or id, of whatever kind."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from xds.console.views import shown
from xds.console.views.incoming import messages
from xds.console.visits import Answer, PageContent, SeeOther, Visit
from xds.messaging import operations
from xds.messaging.operations import MessageSelection
from xds.metadata.catalogue import ITI_66, ITI_67, ITI_78
from xds.metadata.criteria import Criterion, any_of, equal
from xds.metadata.datatypes import CX
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet
from xds.registry import patient_links
from xds.registry.queries.search import Page
from xds.registry.queries.views import KnownPatient, RegistryView
from xds.security.details import QueryDetails, distinct
from xds.security.errors import AccessDenied

_MOST_CHARACTERS: Final = 500
_MOST: Final = 50
"""Hits of one kind."""
_GROUPED: Final = re.compile(r"[0-9][0-9 -]{8,14}[0-9]")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UUID_URN: Final = "urn:uuid:"


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One thing that was found."""

    kind: str
    name: str
    place: str
    """Its page, below /console."""
    detail: str = ""


def find(visit: Visit) -> Answer:
    """Find whatever has the text as a number or an id; where that is one thing, go there."""
    text = visit.given["q"].strip()[:_MOST_CHARACTERS]
    hits = list(_hits(visit, text)) if text else []
    if len(hits) == 1:
        return SeeOther(hits[0].place)
    return PageContent({"q": text, "hits": hits})


def _hits(visit: Visit, text: str) -> Iterator[SearchHit]:
    for search in (_patients, _documents, _lists, _messages):
        with suppress(AccessDenied):
            yield from search(visit, text)


# --- patients ------------------------------------------------------------------------------------


def _patients(visit: Visit, text: str) -> list[SearchHit]:
    with visit.passing(ITI_78.name) as access:
        asked = urlencode({"identifier": text})
        access.details = QueryDetails("Patient", lambda: f"Patient?{asked}")
        with visit.domain.registry.view(access.visible) as view:
            known = view.not_all_withheld(_known(view, text))[:_MOST]
            details = patient_links.details(view.connection, [one.patient_id for one in known])
        found = [one.patient_id for one in known]
        access.details = QueryDetails(
            "Patient", lambda: f"Patient?{asked}", lambda: found, results=len(found)
        )
    return [_patient(one, shown.person(details.get(one.patient_id))) for one in known]


def _patient(known: KnownPatient, person: shown.ShownPerson) -> SearchHit:
    identifier = shown.identifier(known.patient_id)
    named = f"{identifier.domain} {identifier.text}"
    merged = "merged into another" if known.survivor is not None else ""
    return SearchHit("Patient", person.name or named, f"/patients/{known.number}", merged or named)


def _known(view: RegistryView, text: str) -> list[KnownPatient]:
    """Return the patients with an id: as CX, or as the number alone, in whatever domain."""
    number = re.sub("[ -]", "", text) if _GROUPED.fullmatch(text) else text
    if "^" in text:
        with suppress(ValueError):
            number = str(CX.parse(text))
        found = view.patients([number])
        linked = [number]
    else:
        found = [one for each in {text, number} for one in view.patients_by_id_number(each)]
        linked = [cx for cx in (_nhs_number(number),) if cx]
    others = patient_links.linked(view.connection, linked)
    found += view.patients(one for by_domain in others.values() for one in by_domain.values())
    return list({one.number: one for one in found}.values())


def _nhs_number(number: str) -> str:
    return str(CX(number, shown.NHS_NUMBER)) if re.fullmatch("[0-9]{10}", number) else ""


# --- objects of the registry ---------------------------------------------------------------------


def _criterion(text: str, *uuids: str) -> Criterion:
    """Return the criterion of what has a text as its uniqueId, or as one of its UUIDs."""
    uuid = text.lower().removeprefix(_UUID_URN)
    names = uuids if _UUID.fullmatch(uuid) else ()
    criteria: list[Criterion] = [equal(name, [_UUID_URN + uuid]) for name in names]
    return any_of([*criteria, equal("unique_id", [text.removeprefix("urn:oid:")])])


def _documents(visit: Visit, text: str) -> list[SearchHit]:
    with visit.passing(ITI_67.name) as access:
        asked = f"DocumentReference?{urlencode({'identifier': text})}"
        access.details = QueryDetails("DocumentReference", lambda: asked)
        criteria = [_criterion(text, "entry_uuid", "logical_id")]
        if "^" in text:
            criteria.append(equal("reference_id_list", [text]))
        with visit.domain.registry.view(access.visible) as view:
            # one by one: there is an index for each, and none for both
            each = [view.find(DocumentEntry, [one], page=Page(0, _MOST)) for one in criteria]
        found = list({one.number: one for some in each for one in some}.values())[:_MOST]
        patients = distinct(one.found.patient_id for one in found)
        access.details = QueryDetails(
            "DocumentReference", lambda: asked, lambda: patients, results=len(found)
        )
    return [
        SearchHit(
            "Document",
            one.content.title or shown.code(one.content.type_code),
            f"/documents/{one.found.entry_uuid.removeprefix(_UUID_URN)}",
            shown.code(one.content.class_code),
        )
        for one in found
    ]


def _lists(visit: Visit, text: str) -> list[SearchHit]:
    with visit.passing(ITI_66.name) as access:
        asked = f"List?{urlencode({'identifier': text})}"
        access.details = QueryDetails("List", lambda: asked)
        with visit.domain.registry.view(access.visible) as view:
            sets = view.find(SubmissionSet, [_criterion(text, "entry_uuid")])[:_MOST]
            folders = view.find(Folder, [_criterion(text, "entry_uuid", "logical_id")])[:_MOST]
        found = [*(one.found for one in sets), *(one.found for one in folders)]
        patients = distinct(one.patient_id for one in found)
        access.details = QueryDetails("List", lambda: asked, lambda: patients, results=len(found))
    return [
        *(
            _list("Submission set", "submission-sets", one.found.entry_uuid, one.content.title)
            for one in sets
        ),
        *(_list("Folder", "folders", one.found.entry_uuid, one.content.title) for one in folders),
    ]


def _list(kind: str, place: str, entry_uuid: str, title: str | None) -> SearchHit:
    uuid = entry_uuid.removeprefix(_UUID_URN)
    return SearchHit(kind, title or uuid, f"/{place}/{uuid}")


def _messages(visit: Visit, text: str) -> list[SearchHit]:
    """Return the messages that have a text as control id, or name a report or an order by it."""
    if not visit.has(*messages.READERS):
        return []
    with visit.domain.database.read() as connection:
        found = [
            one
            for selection in (MessageSelection(name=text), MessageSelection(number=text))
            for one in operations.find(connection, selection, _MOST)
        ]
    return [
        SearchHit(f"Message {one.what}", one.control_id or one.id, f"/messages/{one.id}", one.state)
        for one in {one.id: one for one in found}.values()
    ]
