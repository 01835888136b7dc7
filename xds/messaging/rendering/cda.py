"""A report as CDA R2: XD-LAB where it has rows of results, else an unstructured document.

XD-LAB is PaLM TF-3, document 1.3.6.1.4.1.19376.1.3.3, whose entries machines can read. A report of
text alone cannot claim it: it is wrapped as ITI TF-3 5.2 (XDS-SD) wraps text.
"""

import base64
from collections.abc import Iterator
from typing import Final

from lxml import etree

from xds import PRODUCT
from xds.messaging.model import MessageOrganisation, MessagePatient, MessagePerson
from xds.messaging.rendering import header, text
from xds.messaging.rendering.cda_body import structured_body
from xds.messaging.rendering.documents import (
    DocumentIdentity,
    RenderedDocument,
    ReportSource,
    rendered,
)
from xds.metadata import vocabulary as v
from xds.metadata.objects import Code
from xds.rendering.cda_elements import (
    LAB,
    ROOT,
    XSI,
    Element,
    code,
    element,
    identifier,
    instance,
    interval,
    template,
    time,
)
from xds.rendering.values import LABORATORY_REPORT, LOINC

XD_LAB: Final = Code("urn:ihe:lab:xd-lab:2008", v.IHE_FORMAT_CODES, "LAB XD-LAB")
XDS_SD: Final = Code("urn:ihe:iti:xds-sd:text:2008", v.IHE_FORMAT_CODES, "ITI XDS-SD TEXT")
_XD_LAB_TEMPLATE: Final = "1.3.6.1.4.1.19376.1.3.3"
_XDS_SD_TEMPLATE: Final = "1.3.6.1.4.1.19376.1.2.20"
_ORDERING_PROVIDER: Final = "1.3.6.1.4.1.19376.1.3.3.1.6"
_LABORATORY: Final = "1.3.6.1.4.1.19376.1.3.3.1.7"

_REPORT_CODE: Final = Code(LABORATORY_REPORT[0], LOINC, LABORATORY_REPORT[1])
_NORMAL: Final = Code("N", "2.16.840.1.113883.5.25", "normal")
_GENDERS: Final = {
    "M": Code("M", "2.16.840.1.113883.5.1", "Male"),
    "F": Code("F", "2.16.840.1.113883.5.1", "Female"),
    "O": Code("UN", "2.16.840.1.113883.5.1", "Undifferentiated"),
}


def render(source: ReportSource) -> RenderedDocument:
    """Return a report as CDA R2."""
    made = element(ROOT, *_header(source), element("component", _body(source)))
    etree.cleanup_namespaces(made, top_nsmap={"xsi": XSI, "lab": LAB})
    content = etree.tostring(made, xml_declaration=True, encoding="UTF-8")
    format_code = XDS_SD if source.content.is_text else XD_LAB
    return rendered("text/xml", format_code, content)


def _body(source: ReportSource) -> Element:
    if not source.content.is_text:
        return structured_body(source)
    content = b"".join(text.render(source).chunks())
    encoded = base64.b64encode(content).decode()
    return element(
        "nonXMLBody",
        element("text", encoded, mediaType="text/plain;charset=UTF-8", representation="B64"),
    )


def _header(source: ReportSource) -> Iterator[Element]:
    report, identity = source.report, source.identity
    made = report.reported or source.envelope.sent
    yield element("typeId", root="2.16.840.1.113883.1.3", extension="POCD_HD000040")
    is_text = source.content.is_text
    yield from template(_XDS_SD_TEMPLATE if is_text else _XD_LAB_TEMPLATE)
    yield identifier("id", identity.unique_id)
    is_loinc = report.type_code is not None and report.type_code.coding_scheme == LOINC
    yield code("code", report.type_code if is_loinc else _REPORT_CODE)
    yield element("title", header.title(source))
    yield time("effectiveTime", made)
    yield code("confidentialityCode", report.confidentiality or _NORMAL)
    yield element("languageCode", code=report.language or "en-GB")
    yield identifier("setId", identity.set_id or identity.unique_id)
    yield element("versionNumber", value=str(identity.version))
    yield _record_target(source.patient)
    yield from _people(source, made)
    yield from _acts(source)


def _record_target(patient: MessagePatient) -> Element:
    postcode = element("postalCode", patient.postcode) if patient.postcode else None
    return element(
        "recordTarget",
        element(
            "patientRole",
            *(instance("id", one.domain, one.value) for one in patient.identifiers),
            element("addr", postcode, nullFlavor=None if patient.postcode else "UNK"),
            element("telecom", nullFlavor="UNK"),
            element(
                "patient",
                element("name", element("given", patient.given), element("family", patient.family)),
                code("administrativeGenderCode", _GENDERS.get(patient.sex)),
                time("birthTime", patient.birth_date),
            ),
        ),
    )


def _laboratory(source: ReportSource) -> MessageOrganisation:
    sender = source.envelope.sending_facility or source.envelope.sending_application
    return source.report.laboratory or MessageOrganisation(name=sender or "unknown")


def _people(source: ReportSource, made: str) -> Iterator[Element]:
    report, laboratory = source.report, _laboratory(source)
    for author in report.authors:
        yield element(
            "author",
            time("time", made),
            element(
                "assignedAuthor",
                instance("id", author.oid, author.id),
                element("addr", nullFlavor="UNK"),
                element("telecom", nullFlavor="UNK"),
                _person("assignedPerson", author),
                _organisation("representedOrganization", laboratory),
            ),
        )
    yield element(
        "author",
        time("time", made),
        element(
            "assignedAuthor",
            element("id", nullFlavor="NI"),
            element("addr", nullFlavor="UNK"),
            element("telecom", nullFlavor="UNK"),
            element("assignedAuthoringDevice", element("softwareName", PRODUCT)),
            _organisation("representedOrganization", laboratory),
        ),
    )
    custodian = _organisation("representedCustodianOrganization", laboratory)
    yield element("custodian", element("assignedCustodian", custodian))
    signer = report.authenticator
    if signer is not None:
        yield element(
            "legalAuthenticator",
            time("time", signer.time or made),
            element("signatureCode", code="S"),
            element(
                "assignedEntity",
                instance("id", signer.oid, signer.id),
                element("addr", nullFlavor="UNK"),
                element("telecom", nullFlavor="UNK"),
                _person("assignedPerson", signer),
            ),
        )
    requester, asking = report.requester, report.requesting_organisation
    if requester is not None:
        yield element(
            "participant",
            *template(_ORDERING_PROVIDER),
            element("time", nullFlavor="UNK"),
            element(
                "associatedEntity",
                instance("id", requester.oid, requester.id),
                element("addr", nullFlavor="UNK"),
                element("telecom", nullFlavor="UNK"),
                _person("associatedPerson", requester),
                _organisation("scopingOrganization", asking) if asking else None,
                classCode="PROV",
            ),
            typeCode="REF",
        )


def _acts(source: ReportSource) -> Iterator[Element]:
    report = source.report
    for order in report.placer_numbers:
        yield element("inFulfillmentOf", element("order", instance("id", order.oid, order.value)))
    start = report.service_start or report.reported or source.envelope.sent
    is_final = report.status in ("final", "corrected")
    status = None
    if not source.content.is_text:
        status = etree.Element(f"{{{LAB}}}statusCode", code="completed" if is_final else "active")
    number = report.number
    yield element(
        "documentationOf",
        element(
            "serviceEvent",
            instance("id", number.oid, number.value) if number else None,
            status,
            interval("effectiveTime", start, report.service_stop),
            element(
                "performer",
                *template(_LABORATORY),
                element(
                    "assignedEntity",
                    element("id", nullFlavor="UNK"),
                    element("addr", nullFlavor="UNK"),
                    element("telecom", nullFlavor="UNK"),
                    _organisation("representedOrganization", _laboratory(source)),
                ),
                typeCode="PRF",
            ),
        ),
    )
    if source.identity.replaces:
        yield _replaced(source.identity)
    if report.encounter_numbers:
        yield element(
            "componentOf",
            element(
                "encompassingEncounter",
                *(instance("id", one.oid, one.value) for one in report.encounter_numbers),
                element("effectiveTime", nullFlavor="UNK"),
            ),
        )


def _replaced(identity: DocumentIdentity) -> Element:
    earlier = str(max(identity.version - 1, 1))
    return element(
        "relatedDocument",
        element(
            "parentDocument",
            identifier("id", identity.replaces),
            identifier("setId", identity.set_id or identity.unique_id),
            element("versionNumber", value=earlier),
        ),
        typeCode="RPLC",
    )


def _person(name: str, said: MessagePerson) -> Element:
    """Return a Person with its name."""
    parts = (("prefix", said.prefix), ("given", said.given), ("family", said.family))
    return element(name, element("name", *(element(tag, text) for tag, text in parts if text)))


def _organisation(name: str, said: MessageOrganisation) -> Element:
    """Return an Organization with its id and name."""
    return element(
        name,
        instance("id", said.oid, said.code),
        element("name", said.name or said.code),
        element("telecom", nullFlavor="UNK"),
        element("addr", nullFlavor="UNK"),
    )
