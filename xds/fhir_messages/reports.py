"""Documents and reports of a message (FHIR R4 DocumentReference, DiagnosticReport, Binary)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

from xds.fhir_messages.bundle import MessageBundle, PlacedResource, number_of, type_of
from xds.fhir_messages.observations import rendered_content
from xds.messaging.flavours.flavour import Flavour
from xds.messaging.model import (
    EntityNumber,
    MessageDocument,
    MessageEnvelope,
    MessageOrganisation,
    MessagePerson,
    MessageReport,
    ReportAction,
    ReportStatus,
)
from xds.messaging.verdicts import FIELD, SEGMENT
from xds.metadata.objects import Code

_STATUSES: Final[Mapping[str, ReportStatus]] = {
    "registered": "incomplete",
    "partial": "preliminary",
    "preliminary": "preliminary",
    "final": "final",
    "amended": "corrected",
    "corrected": "corrected",
    "appended": "corrected",
    "cancelled": "cancelled",
    "entered-in-error": "cancelled",
}
_ACTIONS: Final[Mapping[str, ReportAction]] = {
    "T01": "announce",
    "T03": "status",
    "T05": "announce",
    "T06": "append",
    "T07": "edited",
    "T09": "replaced",
    "T10": "replace",
    "T11": "cancel",
}
_CONTENT_FOLLOWS: Final = frozenset({"T01", "T03", "T05", "T07", "T09", "T11"})
"""Events that bring no content."""
_RELATES: Final[Mapping[str, ReportAction]] = {"replaces": "replace", "appends": "append"}


@dataclass(frozen=True, slots=True)
class ReportReader:
    """Reads the documents of one message."""

    message: MessageBundle
    envelope: MessageEnvelope
    flavour: Flavour

    def reports(self) -> Sequence[MessageReport]:
        """Return the documents; errors are collected in the message."""
        references = self.message.of_type("DocumentReference")
        if references:
            found = [self._of_reference(one) for one in references]
            return list(_with_slots(one for one in found if one is not None))
        if self.envelope.trigger != "R01":
            where, reason = "Bundle.entry", "there is no DocumentReference: nothing to file"
            self.message.fail(SEGMENT, where, reason)
            return ()
        return [one for one in map(self._of_report, self._main_reports()) if one is not None]

    # --- DocumentReference

    def _of_reference(self, placed: PlacedResource) -> MessageReport | None:
        resource = placed.resource
        number = self._number(placed, ("FILL",))
        report = self._report_of(resource, number)
        status = _docstatus(resource, report.resource if report else {})
        has_content = self.envelope.trigger not in _CONTENT_FOLLOWS
        documents = self._documents(placed) if has_content and status != "cancelled" else ()
        if has_content and status != "cancelled" and not documents:
            return None
        action, parent = self._action(placed, status)
        period = (resource.get("context") or {}).get("period") or {}
        common = self._common(report, resource)
        when = self.message.time(resource.get("date"), f"{placed.path}.date")
        path = f"{placed.path}.context.period"
        return MessageReport(
            **{
                **common,
                "type_code": self.message.code(resource.get("type")) or common["type_code"],
                "title": resource.get("description") or common["title"],
                "service_start": self.message.time(period.get("start"), path)
                or common["service_start"],
                "service_stop": self.message.time(period.get("end"), path)
                or common["service_stop"],
            },
            action=action,
            number=number,
            status=status,
            is_available=resource.get("status") != "superseded",
            documents=documents,
            parent=parent,
            version_time=when or common["reported"] or self.envelope.sent,
            created=when or common["reported"] or self.envelope.sent,
            placer_numbers=self._placers(resource, report),
            filler_numbers=_unique([number, *self._related(resource, "FILL")]),
            location=placed.path,
        )

    def _documents(self, placed: PlacedResource) -> tuple[MessageDocument, ...]:
        found = []
        for place, one in enumerate(placed.resource.get("content", ())):
            path = f"{placed.path}.content[{place}].attachment"
            attachment = one.get("attachment") or {}
            content = self.message.content(attachment, path)
            if content is None:
                self._pointer(attachment, path)
                continue
            found.append(
                MessageDocument(
                    content=content,
                    slot=str(place + 1) if place else "",
                    title=attachment.get("title", ""),
                    location=path,
                )
            )
        return tuple(found)

    def _pointer(self, attachment: Mapping[str, Any], path: str) -> None:
        """Tell of a document that is elsewhere: it is not fetched."""
        if not attachment.get("url"):
            self.message.fail(FIELD, f"{path}.data", "there is neither data nor url")
        elif self.flavour.pointers == "refuse":
            self.message.fail(FIELD, f"{path}.url", "a document that is elsewhere is not taken")
        else:
            self.message.warn(FIELD, f"{path}.url", "the document is elsewhere: it is not fetched")

    def _action(
        self, placed: PlacedResource, status: ReportStatus
    ) -> tuple[ReportAction, EntityNumber | None]:
        if status == "cancelled":
            return "cancel", None
        for place, one in enumerate(placed.resource.get("relatesTo", ())):
            action = _RELATES.get(one.get("code", ""))
            identifier = (one.get("target") or {}).get("identifier")
            if action and identifier:
                return action, number_of(identifier, self.flavour)
            if action:
                path = f"{placed.path}.relatesTo[{place}].target.identifier"
                self.message.warn(FIELD, path, "the target is named by its identifier")
        action = _ACTIONS.get(self.envelope.trigger, "file")
        if action in ("replace", "append"):
            path = f"{placed.path}.relatesTo"
            self.message.warn(FIELD, path, "there is no parent: it is taken as an original")
            return "file", None
        return action, None

    # --- DiagnosticReport

    def _main_reports(self) -> Sequence[PlacedResource]:
        """Return the reports that stand alone: those in the focus of the message, else all."""
        reports = self.message.of_type("DiagnosticReport")
        if not reports:
            self.message.fail(SEGMENT, "Bundle.entry", "there is no DiagnosticReport")
        return reports

    def _of_report(self, placed: PlacedResource) -> MessageReport | None:
        resource = placed.resource
        status = _STATUSES.get(resource.get("status", ""), "final")
        number = self._number(placed, ("FILL",))
        common = self._common(placed, {})
        documents = self._presented(placed) or self._rendered(placed)
        is_cancelled = status == "cancelled"
        if not documents and not is_cancelled:
            return None
        return MessageReport(
            **common,
            action="cancel" if is_cancelled else "file",
            number=number,
            status=status,
            documents=() if is_cancelled else documents,
            version_time=common["reported"] or self.envelope.sent,
            created=common["reported"] or self.envelope.sent,
            placer_numbers=self._placers({}, placed),
            filler_numbers=_unique([number]),
            location=placed.path,
        )

    def _presented(self, placed: PlacedResource) -> tuple[MessageDocument, ...]:
        found = []
        for place, attachment in enumerate(placed.resource.get("presentedForm", ())):
            path = f"{placed.path}.presentedForm[{place}]"
            content = self.message.content(attachment, path)
            if content is None:
                self._pointer(attachment, path)
                continue
            slot = str(place + 1) if place else ""
            found.append(MessageDocument(content=content, slot=slot, location=path))
        return tuple(found)

    def _rendered(self, placed: PlacedResource) -> tuple[MessageDocument, ...]:
        if self.flavour.render == "none":
            return ()
        content = rendered_content(self.message, placed)
        if content is None:
            return ()
        return (MessageDocument(content=content, location=placed.path),)

    # --- what both have

    def _report_of(
        self, resource: Mapping[str, Any], number: EntityNumber | None
    ) -> PlacedResource | None:
        """Return the DiagnosticReport of a document: related, of its number, or the only one."""
        for one in (resource.get("context") or {}).get("related", ()):
            found = self.message.referred(one)
            if found and found.resource["resourceType"] == "DiagnosticReport":
                return found
        reports = self.message.of_type("DiagnosticReport")
        for one in reports:
            if number and self._number(one, ("FILL",)) == number:
                return one
        return reports[0] if len(reports) == 1 else None

    def _number(self, placed: PlacedResource, types: Sequence[str]) -> EntityNumber | None:
        """Return the number of a resource: of a type, else the first."""
        identifiers = placed.resource.get("identifier", ())
        chosen = [one for one in identifiers if type_of(one) in types] or identifiers
        found = (number_of(one, self.flavour) for one in chosen)
        return next(filter(None, found), None)

    def _related(self, resource: Mapping[str, Any], kind: str) -> Iterator[EntityNumber | None]:
        for one in (resource.get("context") or {}).get("related", ()):
            identifier = one.get("identifier") or {}
            if type_of(identifier) == kind:
                yield number_of(identifier, self.flavour)

    def _placers(
        self, resource: Mapping[str, Any], report: PlacedResource | None
    ) -> tuple[EntityNumber, ...]:
        found = list(self._related(resource, "PLAC"))
        for request in self._requests(report):
            for one in request.resource.get("identifier", ()):
                if type_of(one) in ("PLAC", ""):
                    found.append(number_of(one, self.flavour))
        return _unique(found)

    def _requests(self, report: PlacedResource | None) -> Sequence[PlacedResource]:
        listed = (report.resource if report else {}).get("basedOn", ())
        named = [one for one in map(self.message.referred, listed) if one is not None]
        return named or self.message.of_type("ServiceRequest")

    def _common(
        self, report: PlacedResource | None, reference: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return what a report has of itself, of its request, of the sender and of the flavour."""
        said, flavour = report.resource if report else {}, self.flavour
        path = report.path if report else "Bundle"
        period = said.get("effectivePeriod") or {}
        start = said.get("effectiveDateTime") or period.get("start")
        tests = list(self._tests(report))
        title = next((one.display_name for one in tests if one.display_name), "")
        laboratory = self._laboratory(said, reference)
        return {
            "type_code": flavour.type_code or self.message.code(said.get("code")),
            "class_code": flavour.class_code,
            "practice_setting": flavour.practice_setting,
            "facility_type": flavour.facility_type,
            "confidentiality": flavour.confidentiality,
            "language": flavour.language,
            "event_codes": tests,
            "title": title,
            "reported": self.message.time(said.get("issued"), f"{path}.issued"),
            "service_start": self.message.time(start, f"{path}.effectiveDateTime"),
            "service_stop": self.message.time(period.get("end"), f"{path}.effectivePeriod.end"),
            "authors": self._authors(said),
            "laboratory": laboratory,
        }

    def _tests(self, report: PlacedResource | None) -> Iterator[Code]:
        for request in self._requests(report):
            code = self.message.code(request.resource.get("code"))
            if code is not None:
                yield code

    def _laboratory(
        self, said: Mapping[str, Any], reference: Mapping[str, Any]
    ) -> MessageOrganisation | None:
        code = self.envelope.sending_facility or self.flavour.laboratory
        custodian = (reference.get("custodian") or {}).get("identifier") or {}
        code = custodian.get("value") or self.flavour.laboratory or code
        known = self.flavour.organisations.get(code, "")
        if not code:
            return None
        oid = self.flavour.organisation_authorities.get("ODS", "") if known else ""
        return MessageOrganisation(name=known or code, code=code, oid=oid)

    def _authors(self, said: Mapping[str, Any]) -> tuple[MessagePerson, ...]:
        found = []
        for one in said.get("resultsInterpreter", ()):
            placed = self.message.referred(one)
            person = placed.resource if placed else {}
            if person.get("resourceType") == "PractitionerRole":
                inner = self.message.referred(person.get("practitioner"))
                person = inner.resource if inner else {}
            name: Mapping[str, Any] = next(iter(person.get("name", ())), {})
            family = name.get("family") or name.get("text") or one.get("display") or ""
            if family:
                given = " ".join(name.get("given", ())[:1])
                found.append(MessagePerson(family=family, given=given))
        return tuple(found)


def _docstatus(reference: Mapping[str, Any], report: Mapping[str, Any]) -> ReportStatus:
    if reference.get("status") == "entered-in-error":
        return "cancelled"
    written = reference.get("docStatus") or report.get("status") or ""
    return _STATUSES.get(written, "final")


def _unique(found: Iterable[EntityNumber | None]) -> tuple[EntityNumber, ...]:
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _with_slots(reports: Iterable[MessageReport]) -> Iterator[MessageReport]:
    """Yield reports; documents of one number that come as several resources get slots."""

    def key(one: MessageReport) -> str:
        return f"{one.number.authority}|{one.number.value}" if one.number else one.location

    listed = list(reports)
    for _, group in groupby(sorted(listed, key=key), key):
        yield from _slotted(list(group))


def _slotted(group: list[MessageReport]) -> Iterator[MessageReport]:
    for place, one in enumerate(group):
        if not place:
            yield one
            continue
        documents = [
            replace(document, slot=f"{place + 1}.{document.slot}".rstrip("."))
            for document in one.documents
        ]
        yield replace(one, documents=tuple(documents))
