"""Documents and reports of a message (FHIR R4 DocumentReference, DiagnosticReport, Binary)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

from xds.fhir_messages.bundle import MessageBundle, PlacedResource, number_of, type_of
from xds.fhir_messages.observations import rendered_content
from xds.fhir_messages.orders import placer_authority
from xds.fhir_messages.people import organisations, people
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
from xds.metadata.datatypes import is_oid
from xds.metadata.objects import Code
from xds.metadata.systems import OID_URN

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
        unique_ids = _oids(resource.get("masterIdentifier"))
        number = self._number(placed, ("FILL",))
        if number is None and unique_ids:
            number = self._numbered({"value": unique_ids[0]})
        report = self._report_of(resource, number)
        status = _docstatus(resource, report.resource if report else {})
        has_content = self.envelope.trigger not in _CONTENT_FOLLOWS
        documents = self._documents(placed) if has_content and status != "cancelled" else ()
        if has_content and status != "cancelled" and not documents:
            return None
        action, parent = self._action(placed, status)
        context = resource.get("context") or {}
        period = context.get("period") or {}
        common = self._common(report, resource)
        when = self._written(placed)
        path = f"{placed.path}.context.period"
        authors = people(self.message, self.flavour, resource.get("author", ()))
        return MessageReport(
            **{
                **common,
                "type_code": self._code(resource.get("type")) or common["type_code"],
                "title": self._title(resource) or common["title"],
                "authors": authors or common["authors"],
                "authenticator": self._authenticator(resource, status) or common["authenticator"],
                "encounter_numbers": self._encounters(context.get("encounter", ())),
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
            filler_numbers=_unique(
                [
                    None if number and number.value in unique_ids else number,
                    *self._related(resource, "FILL"),
                    self._number(report, ("FILL",)) if report else None,
                ]
            ),
            unique_ids=unique_ids,
            location=placed.path,
        )

    def _written(self, placed: PlacedResource) -> str:
        """Return when a document was made: the first that says it."""
        contents = placed.resource.get("content", ())
        made = [(one.get("attachment") or {}).get("creation") for one in contents[:1]]
        said = next((one for one in (*made, placed.resource.get("date")) if one), None)
        return self.message.time(said, f"{placed.path}.date")

    def _title(self, resource: Mapping[str, Any]) -> str:
        """Return what stands in the place of TXA-25, else in an MDM in that of TXA-2."""
        kind = self.message.code(resource.get("type"))
        named = kind.display_name if kind and self.envelope.code == "MDM" else ""
        return self.flavour.title_of(resource.get("description") or named)

    def _authenticator(
        self, resource: Mapping[str, Any], status: ReportStatus
    ) -> MessagePerson | None:
        signed = resource.get("authenticator")
        if not signed or status not in ("final", "corrected"):
            return None
        return next(iter(people(self.message, self.flavour, [signed])), None)

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
                    title=self.flavour.title_of(attachment.get("title", "")),
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
                return action, self._numbered(identifier)
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
        documents = self._presented(placed) or self._rendered(placed, common["service_start"])
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

    def _rendered(self, placed: PlacedResource, collected: str) -> tuple[MessageDocument, ...]:
        if self.flavour.render == "none":
            return ()
        content = rendered_content(self.message, placed, collected)
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
        return next(filter(None, map(self._numbered, chosen)), None)

    def _numbered(self, identifier: Mapping[str, Any]) -> EntityNumber | None:
        """Return a number of the laboratory, or of another that it names."""
        return number_of(identifier, self.flavour, self.flavour.issuer(self.envelope))

    def _encounters(self, references: Iterable[Mapping[str, Any]]) -> tuple[EntityNumber, ...]:
        found = []
        for one in references:
            said = self.message.resource(one)
            listed = said.get("identifier") or [one.get("identifier") or {}]
            found.append(self._numbered(listed[0]))
        return _unique(found)

    def _related(
        self, resource: Mapping[str, Any], kind: str, issuer: str | None = None
    ) -> Iterator[EntityNumber | None]:
        issuer = self.flavour.issuer(self.envelope) if issuer is None else issuer
        for one in (resource.get("context") or {}).get("related", ()):
            identifier = one.get("identifier") or {}
            if type_of(identifier) == kind:
                yield number_of(identifier, self.flavour, issuer)

    def _placers(
        self, resource: Mapping[str, Any], report: PlacedResource | None
    ) -> tuple[EntityNumber, ...]:
        requests = self._requests(report)
        placing = [placer_authority(self.message, one, self.flavour) for one in requests]
        first = next(iter(placing), self.flavour.placer_authority)
        found = list(self._related(resource, "PLAC", first))
        for request, issuer in zip(requests, placing, strict=True):
            for one in request.resource.get("identifier", ()):
                if type_of(one) in ("PLAC", ""):
                    found.append(number_of(one, self.flavour, issuer))
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
        context = reference.get("context") or {}
        tests = list(self._tests(report))
        labels = [one.code for one in map(self._code, reference.get("securityLabel", ())) if one]
        interpreters = said.get("resultsInterpreter", ())
        authors = people(self.message, flavour, interpreters, "interpreter")
        signs = flavour.interpreter_signs and said.get("status") == "final" and authors
        return {
            "type_code": self._type(said),
            "class_code": self._class(reference),
            "practice_setting": self._code(context.get("practiceSetting"))
            or flavour.practice_setting,
            "facility_type": self._code(context.get("facilityType")) or flavour.facility_type,
            "confidentiality": flavour.strictest(labels, [one.code for one in tests]),
            "language": _language(reference) or flavour.language,
            "event_codes": tests,
            "title": self._name(said, tests),
            "reported": self.message.time(said.get("issued"), f"{path}.issued"),
            **self._service_times(said, path),
            "authors": authors,
            "authenticator": authors[0] if signs else None,
            "laboratory": self._laboratory(said, reference),
            "encounter_numbers": self._encounters(filter(None, [said.get("encounter")])),
        }

    def _code(self, concept: Mapping[str, Any] | None) -> Code | None:
        found = self.message.code(concept)
        return self.flavour.translated(found) if found else None

    def _is_type(self, code: Code | None) -> bool:
        known = ((one.code, one.coding_scheme) for one in self.flavour.known_types)
        return code is not None and (code.code, code.coding_scheme) in known

    def _type(self, said: Mapping[str, Any]) -> Code | None:
        """Return the type of a report: its code where that is one, else as HL7 v2 has it."""
        flavour, code = self.flavour, self._code(said.get("code"))
        if self._is_type(code):
            return code
        departments = map(self.message.code, said.get("category", ()))
        by_department = (flavour.department_types.get(one.code) for one in departments if one)
        return (
            flavour.type_code
            or (flavour.test_types.get(code.code) if code else None)
            or next(filter(None, by_department), None)
            or flavour.default_type_code
        )

    def _class(self, reference: Mapping[str, Any]) -> Code | None:
        """Return the class: DocumentReference.category stands for TXA-24, where that is read."""
        listed = reference.get("category", ()) if self.flavour.class_fields else ()
        return next(filter(None, map(self._code, listed)), None) or self.flavour.class_code

    def _name(self, said: Mapping[str, Any], tests: Sequence[Code]) -> str:
        """Return the title of a report: the name of its code, as OBR-4 has it, or of its test."""
        concept = said.get("code") or {}
        names = [one.get("display") or "" for one in concept.get("coding", ())]
        names.append(concept.get("text") or "")
        of_tests = [one.display_name for one in tests]
        listed = (*of_tests, *names) if self._is_type(self._code(concept)) else (*names, *of_tests)
        return self.flavour.title_of(next(filter(None, listed), ""))

    def _service_times(self, said: Mapping[str, Any], path: str) -> dict[str, str]:
        """Return when what is reported was done: as said, else when a specimen was taken."""
        period = said.get("effectivePeriod") or {}
        effective = said.get("effectiveDateTime")
        specimen = self.message.resource(next(iter(said.get("specimen", ())), None))
        taken = specimen.get("collection") or {}
        over = taken.get("collectedPeriod") or {}
        starts = (
            *(effective, period.get("start"), taken.get("collectedDateTime"), over.get("start")),
            specimen.get("receivedTime"),
        )
        ends = (period.get("end"), over.get("end"), effective)
        return {
            "service_start": self.message.time(next(filter(None, starts), None), path),
            "service_stop": self.message.time(next(filter(None, ends), None), path),
        }

    def _tests(self, report: PlacedResource | None) -> Iterator[Code]:
        """Yield the tests that were asked for; where nothing says them, that of the report."""
        requested = (self._code(one.resource.get("code")) for one in self._requests(report))
        found = [code for code in requested if code is not None]
        own = self._code((report.resource if report else {}).get("code"))
        if not found and own is not None and not self._is_type(own):
            found = [own]
        yield from dict.fromkeys(found)

    def _laboratory(
        self, said: Mapping[str, Any], reference: Mapping[str, Any]
    ) -> MessageOrganisation | None:
        """Return who issues a report: performer, custodian, the flavour's, or the sender."""
        flavour = self.flavour
        listed = [*said.get("performer", ()), reference.get("custodian")]
        named = next(organisations(self.message, flavour, listed), None)
        code = flavour.laboratory or self.envelope.sending_facility
        return named or flavour.organisation("", code)


def _docstatus(reference: Mapping[str, Any], report: Mapping[str, Any]) -> ReportStatus:
    if reference.get("status") == "entered-in-error":
        return "cancelled"
    written = reference.get("docStatus") or report.get("status") or ""
    return _STATUSES.get(written, "final")


def _oids(identifier: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the OID that an Identifier is, as TXA-12 of HL7 v2 has it; nothing if it is none."""
    value = ((identifier or {}).get("value") or "").removeprefix(OID_URN)
    return (value,) if is_oid(value) else ()


def _language(reference: Mapping[str, Any]) -> str:
    listed = ((one.get("attachment") or {}).get("language") for one in reference.get("content", ()))
    return next(filter(None, listed), "")


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
