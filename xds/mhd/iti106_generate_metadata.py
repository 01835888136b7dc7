"""ITI-106 Generate Metadata: a structured document, which itself says its metadata (2:3.106)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha1
from typing import Final

from lxml import etree

from xds import base64_blocks
from xds.base64_blocks import BadBase64
from xds.content import cda, defaults, fhir_document
from xds.content.document_metadata import DocumentMetadata, completed, missing
from xds.content.reading.cda.document import clinical_document
from xds.content.reading.errors import ContentUnreadable
from xds.content.reading.reader import parse_xml
from xds.fhir.datatypes.identifiers import resource_id, unique_identifier
from xds.fhir.exchange import Answer, Call
from xds.fhir.facade import Facade
from xds.fhir.http.negotiation import MediaType
from xds.fhir.r4 import json, structure, xml
from xds.fhir.r4.issues import IssueCollector
from xds.fhir.r4.outcome import Issue, Refused, operation_outcome
from xds.fhir.r4.resource import Resource
from xds.fhir.vocabulary import FHIR_JSON, FHIR_XML
from xds.metadata import vocabulary as v
from xds.metadata.criteria import ANYTHING, Comparison, Operator
from xds.metadata.objects import DocumentEntry
from xds.mhd.provide.publishing import DocumentContent
from xds.mhd.provide.single_document import register_document
from xds.mhd.provide.subjects import Subjects, known_to, stated_subjects, subjects_of
from xds.registry.queries.views import RegistryView
from xds.security.details import PatientDetails

_RESOURCE: Final = "Parameters.parameter[0].resource"
_DATA: Final = f"{_RESOURCE}.data"
_OTHER_BYTES: Final = "XDSNonIdenticalHash"


@dataclass(frozen=True, slots=True)
class _Received:
    """The document of a request."""

    data: bytes
    """Its bytes, as they are to be kept."""
    content: etree._Element | Resource
    """A ClinicalDocument or a FHIR document."""
    media_type: str
    is_inline: bool
    """Whether it is a Bundle within the request, so that a FHIRPath reaches into it."""

    def located(self, issue: Issue) -> Issue:
        """Say where in the request something is that was found in the document."""
        if self.is_inline:
            places = (_RESOURCE + place.removeprefix("Bundle") for place in issue.expression)
            return replace(issue, expression=tuple(places))
        return _within(issue)


def _within(issue: Issue) -> Issue:
    """Say the place in words where it lies within the bytes of a Binary."""
    place = ", ".join(issue.expression)
    told = place and not issue.diagnostics.startswith(place)
    diagnostics = f"{place}: {issue.diagnostics}" if told else issue.diagnostics
    return replace(issue, expression=(_DATA,), diagnostics=diagnostics)


def generate(facade: Facade, call: Call) -> Answer:
    """Store and register the document, unless it is registered, and answer what it is called."""
    received = _received(call)
    with facade.domain.registry.view(call.access.visible) as view:
        metadata = _metadata_of(facade, call, view, received)
        entry = _entry(facade, received, metadata)
        held = _registered(view, entry, received)
    if held is not None:
        return _answer(facade, held, {}, ())
    content = DocumentContent(
        chunks=lambda: iter((received.data,)), path=_RESOURCE, stated=metadata.stated
    )
    told = IssueCollector()
    try:
        entry = register_document(facade, call.access, entry, content, told, path=_RESOURCE)
    except Refused as refused:
        raise _explained(facade, refused, received) from None
    location = f"{call.base}/DocumentReference/{resource_id(entry.id)}"
    return _answer(facade, entry, {"Location": location}, told.warnings)


def _explained(facade: Facade, refused: Refused, received: _Received) -> Refused:
    """Say why a further version of a FHIR document is refused by IHE's rule of uniqueIds."""
    codes = {issue.error_code for issue in refused.issues}
    by_composition = facade.config.fhir_document_unique_id == "composition"
    if not (by_composition and isinstance(received.content, dict) and _OTHER_BYTES in codes):
        return refused
    told = Issue(
        code="informational",
        severity="information",
        diagnostics="Composition.identifier is the uniqueId here, by the rule of IHE, and that of "
        "a document with other bytes: a further version needs an identifier of its own, or the "
        "option fhir_document_unique_id has to be bundle",
    )
    return Refused(refused.status, [*refused.issues, told], refused.headers)


def describe(facade: Facade, call: Call) -> None:
    """Say whose document is brought, as the document tells."""
    with facade.domain.registry.view(ANYTHING) as view:
        metadata = _metadata_of(facade, call, view, _received(call), stated_subjects)
    call.access.details = PatientDetails((metadata.values.get("patient_id"),))


def _answer(
    facade: Facade, entry: DocumentEntry, headers: Mapping[str, str], told: Sequence[Issue]
) -> Answer:
    value = {
        "reference": f"DocumentReference/{resource_id(entry.id)}",
        "type": "DocumentReference",
        "identifier": unique_identifier(entry.unique_id or "", facade.domain.systems),
    }
    parameter: Resource = {"name": "DocumentReference", "valueReference": value}
    parameters = [parameter]
    if told:
        parameters.append({"name": "outcome", "resource": operation_outcome(told)})
    resource = {"resourceType": "Parameters", "parameter": parameters}
    return Answer(resource=resource, headers=headers)


# The request


def _received(call: Call) -> _Received:
    resource = _document(call.resource)
    if resource.get("resourceType") == "Bundle":
        if found := fhir_document.problems(resource, _RESOURCE):
            raise Refused(400, found)
        data = fhir_document.document_bytes(resource, call.media_type)
        return _Received(data, resource, call.media_type, is_inline=True)
    return _of_binary(resource)


def _document(parameters: Resource) -> Resource:
    """Return what the one parameter holds (GenerateMetadata.Parameters.In, which is closed)."""
    given = parameters.get("parameter") or []
    problems = IssueCollector()
    for i, parameter in enumerate(given):
        _check(parameter, i, problems)
    if not given:
        problems.error("required", "the parameter document is required", "Parameters.parameter")
    problems.raise_if_any()
    resource: Resource = given[0]["resource"]
    return resource


def _check(parameter: Resource, i: int, problems: IssueCollector) -> None:
    path = f"Parameters.parameter[{i}]"
    if parameter.get("name") != "document":
        problems.error("not-supported", "the only parameter is document", f"{path}.name")
        return
    if i > 0:
        problems.error("invalid", "there is one document a request", path)
    for name in parameter:
        if name == "part" or name.startswith("value"):
            where = f"{path}.{'part' if name == 'part' else 'value'}"
            problems.error(
                "invalid", "the document is a resource, and has nothing beside it", where
            )
    kind = (parameter.get("resource") or {}).get("resourceType")
    if kind not in ("Binary", "Bundle"):
        code = "value" if kind else "required"
        problems.error(code, "the document is a Binary or a Bundle", f"{path}.resource")


_JSON: Final = frozenset({"application/json", "text/json", FHIR_JSON, "application/json+fhir"})


def _of_binary(binary: Resource) -> _Received:
    if not binary.get("data"):
        raise Refused.because(400, "required", "the Binary has no data", _DATA)
    try:
        data = b"".join(base64_blocks.decode_text(binary["data"]))
    except BadBase64:
        raise Refused.because(400, "value", "this is not base64", _DATA) from None
    content_type = MediaType.parse(binary.get("contentType") or "")
    try:
        if content_type.name in _JSON:
            return _of_bundle(data, json.read(data), FHIR_JSON)
        if content_type.name.endswith("xml") or content_type.name == "application/xml+fhir":
            return _of_xml(data, content_type.parameters.get("charset"))
    except Refused as refused:
        issues = [_within(issue) for issue in refused.issues]
        raise Refused(refused.status, issues) from None
    raise Refused.because(
        400,
        "not-supported",
        "metadata is generated of CDA documents and FHIR documents only, in XML or JSON",
        f"{_RESOURCE}.contentType",
    )


def _of_xml(data: bytes, charset: str | None) -> _Received:
    try:
        root = parse_xml(data, charset or "")
    except ContentUnreadable as reason:
        raise Refused.because(400, "structure", str(reason)) from None
    document = clinical_document(root)
    if document is not None:
        return _Received(data, document, cda.MIME_TYPE, is_inline=False)
    if root.tag == f"{{{xml.NS_FHIR}}}Bundle":
        bundle, _ = xml.read(data)
        return _of_bundle(data, bundle, FHIR_XML)
    raise Refused.because(
        400,
        "not-supported",
        "this is neither a CDA document (ClinicalDocument of urn:hl7-org:v3) nor a FHIR document",
        "/" + etree.QName(root).localname,
    )


def _of_bundle(data: bytes, bundle: Resource, media_type: str) -> _Received:
    issues = structure.problems(bundle, expected="Bundle")
    found = [issue for issue in issues if issue.severity != "warning"]
    if found := found or fhir_document.problems(bundle):
        raise Refused(400, found)
    return _Received(data, bundle, media_type, is_inline=False)


# Its metadata


def _metadata_of(
    facade: Facade,
    call: Call,
    view: RegistryView,
    received: _Received,
    subjects: Callable[..., Subjects] = subjects_of,
) -> DocumentMetadata:
    if isinstance(received.content, dict):
        return fhir_document.describe(
            fhir_document.Document(
                bundle=received.content,
                media_type=received.media_type,
                base=call.base,
                systems=facade.domain.systems,
                subjects=lambda found: (
                    subjects(
                        facade.config, facade.domain.systems, found, view, IssueCollector()
                    ).patient_id
                ),
                prefers_bundle=facade.config.fhir_document_unique_id == "bundle",
            )
        )
    known = defaults.read(facade.config.generate_defaults)
    authority = facade.config.assigning_authority
    return cda.describe(received.content, known, authority, known_to(view))


def _entry(facade: Facade, received: _Received, metadata: DocumentMetadata) -> DocumentEntry:
    """Return the metadata; Refused with everything that is wrong or missing.

    What lacks something is limitedMetadata, where the deployment takes that.
    """
    values = completed(metadata, defaults.read(facade.config.generate_defaults))
    is_minimal = facade.config.minimal_metadata == "accept"
    lacking = tuple(missing(metadata, values))
    refusing = tuple(missing(metadata, values, is_minimal=is_minimal))
    errors = [one for one in metadata.issues if one.severity == "error"]
    if errors or refusing:
        issues = (*metadata.issues, *refusing)
        raise Refused(400, [received.located(issue) for issue in issues])
    return DocumentEntry.create(**values, limited_metadata=bool(lacking))


def _registered(
    view: RegistryView, entry: DocumentEntry, received: _Received
) -> DocumentEntry | None:
    """Return the entry of the same document, whoever brought it: the same uniqueId and bytes.

    Of two requests at once with the same document both may register it, as XDS allows.
    """
    hash_ = sha1(received.data, usedforsecurity=False).hexdigest()
    wanted = Comparison("hash", Operator.EQUAL, (hash_,))
    same = Comparison("unique_id", Operator.EQUAL, (entry.unique_id or "",))
    found = [one.thing for one in view.find(DocumentEntry, (same, wanted))]
    approved = [one for one in found if one.availability_status == v.APPROVED]
    return next(iter(approved or found), None)
