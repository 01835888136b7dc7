"""The header of a CDA that is made of registered documents: what metadata and settings say of it.

A person of metadata is an XCN, an organisation an XON, the patient a CX and sourcePatientInfo.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from xds import PRODUCT
from xds.content.forms.marks import SOFTWARE
from xds.content.forms.settings import MakingOrganisation
from xds.metadata import hl7_escapes
from xds.metadata.datatypes import CX, XCN, XON, SourcePatientInfo
from xds.metadata.objects import Code, DocumentEntry
from xds.rendering.cda_elements import Element, code, element, identifier, instance, time

NORMAL: Final = Code("N", "2.16.840.1.113883.5.25", "normal")
_GENDERS: Final = {
    "M": Code("M", "2.16.840.1.113883.5.1", "Male"),
    "F": Code("F", "2.16.840.1.113883.5.1", "Female"),
    "O": Code("UN", "2.16.840.1.113883.5.1", "Undifferentiated"),
}
_NAME, _BIRTH, _SEX, _ADDRESS = 5, 7, 8, 11
_ADDRESS_PARTS: Final = ("streetAddressLine", "", "city", "state", "postalCode", "country")
"""The elements of the first components of an XAD."""


def beginning(
    templates: Sequence[Element], unique_id: str, type_code: Code | None, title: str, made: str
) -> Iterator[Element]:
    """Yield the first elements of a document, as far as effectiveTime."""
    yield element("typeId", root="2.16.840.1.113883.1.3", extension="POCD_HD000040")
    yield from templates
    yield identifier("id", unique_id)
    yield code("code", type_code)
    yield element("title", title)
    yield time("effectiveTime", made)


def classified(entry: DocumentEntry) -> Iterator[Element]:
    """Yield confidentialityCode and languageCode of a document."""
    level = entry.confidentiality_code[0] if entry.confidentiality_code else NORMAL
    yield code("confidentialityCode", level)
    yield element("languageCode", code=entry.language_code or "en")


def record_target(entry: DocumentEntry, country: str = "") -> Element:
    """Return the patient of a document; ``country`` stands where the address names none."""
    fields = _fields(entry.source_patient_info)
    family, given, further, suffix, prefix = _components(fields.get(_NAME, ""), 5)
    name = (
        ("prefix", prefix),
        ("given", given),
        ("given", further),
        ("family", family),
        ("suffix", suffix),
    )
    return element(
        "recordTarget",
        element(
            "patientRole",
            *_numbers(entry),
            _address(fields.get(_ADDRESS, ""), country),
            element("telecom", nullFlavor="UNK"),
            element(
                "patient",
                element("name", *(element(tag, text) for tag, text in name if text))
                if family or given
                else element("name", nullFlavor="UNK"),
                code("administrativeGenderCode", _GENDERS.get(fields.get(_SEX, "")))
                if fields.get(_SEX, "") in _GENDERS
                else element("administrativeGenderCode", nullFlavor="UNK"),
                time("birthTime", fields.get(_BIRTH, "")[:8]),
            ),
        ),
    )


def _fields(values: Sequence[str]) -> Mapping[int, str]:
    found: dict[int, str] = {}
    for value in values:
        try:
            read = SourcePatientInfo.parse(value)
        except ValueError:
            continue
        found.setdefault(read.field, read.repetitions[0])
    return found


def _components(text: str, count: int) -> Sequence[str]:
    parts = [hl7_escapes.unescape(one).partition("&")[0] for one in text.split("^")]
    return [*parts, *[""] * count][:count]


def _numbers(entry: DocumentEntry) -> Iterator[Element]:
    """Yield the patient's ids: that of the source, and that of the affinity domain."""
    for text in dict.fromkeys(filter(None, (entry.source_patient_id, entry.patient_id))):
        try:
            found = CX.parse(text)
        except ValueError:
            continue
        yield instance("id", found.assigning_authority, found.id_number)


def _address(text: str, country: str) -> Element:
    parts = [*_components(text, len(_ADDRESS_PARTS))]
    parts[-1] = parts[-1] or country
    said = [(tag, part) for tag, part in zip(_ADDRESS_PARTS, parts, strict=True) if tag and part]
    if not said:
        return element("addr", nullFlavor="UNK")
    return element("addr", *(element(tag, part) for tag, part in said))


def authors(
    entry: DocumentEntry, templates: Sequence[Element] = (), *, when: str
) -> Iterator[Element]:
    """Yield the authors of the original; where nobody is named, one who is not known."""
    for one in entry.author:
        institution = next(iter(one.institution), "")
        for person in one.person or ("",):
            yield element(
                "author",
                *templates,
                time("time", when),
                element(
                    "assignedAuthor",
                    *_person(person),
                    _organisation(institution) if institution else None,
                ),
            )
    if not entry.author:
        yield element(
            "author", *templates, time("time", when), element("assignedAuthor", *_person(""))
        )


def _person(xcn: str) -> Iterator[Element]:
    try:
        found = XCN.parse(xcn)
    except ValueError:
        found = XCN(family_name=xcn or "unknown")
    yield instance("id", found.assigning_authority, found.id_number)
    yield element("addr", nullFlavor="UNK")
    yield element("telecom", nullFlavor="UNK")
    parts = (
        ("prefix", found.prefix),
        ("given", found.given_name),
        ("family", found.family_name),
        ("suffix", found.suffix),
    )
    if xcn:
        said = [element(tag, text) for tag, text in parts if text]
        yield element("assignedPerson", element("name", *said))


def _organisation(xon: str) -> Element:
    try:
        found = XON.parse(xon)
    except ValueError:
        found = XON(organization_name=xon)
    root, extension = found.assigning_authority, found.organization_identifier
    if not root:
        root, extension = extension, ""
    return element(
        "representedOrganization",
        instance("id", root, extension),
        element("name", found.organization_name),
    )


def making_organisation(name: str, organisation: MakingOrganisation) -> Element:
    """Return who keeps what is made here."""
    parts = (
        ("streetAddressLine", organisation.street),
        ("city", organisation.city),
        ("postalCode", organisation.postal_code),
        ("country", organisation.country),
    )
    said = [element(tag, text) for tag, text in parts if text]
    return element(
        name,
        identifier("id", organisation.id),
        element("name", organisation.name or PRODUCT),
        element("telecom", nullFlavor="UNK"),
        element("addr", *said) if said else element("addr", nullFlavor="UNK"),
    )


def custodian(organisation: MakingOrganisation) -> Element:
    """Return the custodian."""
    made = making_organisation("representedCustodianOrganization", organisation)
    return element("custodian", element("assignedCustodian", made))


def device(
    organisation: MakingOrganisation,
    *,
    templates: Sequence[Element] = (),
    kind: Code | None = None,
    model: str = "",
    made: str,
) -> Element:
    """Return this program as an author."""
    return element(
        "author",
        *templates,
        time("time", made),
        element(
            "assignedAuthor",
            identifier("id", organisation.id),
            element("addr", nullFlavor="UNK"),
            element("telecom", nullFlavor="UNK"),
            element(
                "assignedAuthoringDevice",
                code("code", kind) if kind else None,
                element("manufacturerModelName", model) if model else None,
                element("softwareName", SOFTWARE),
            ),
            making_organisation("representedOrganization", organisation),
        ),
    )


def converted_from(unique_id: str, told: str) -> Element:
    """Return the relation to the original, with a sentence about it."""
    parent = element("parentDocument", identifier("id", unique_id), element("text", told))
    return element("relatedDocument", parent, typeCode="XFRM")


def service(entry: DocumentEntry, made: str) -> Element:
    """Return what a document tells of, by its time: from when to when, else when it was made."""
    start = entry.service_start_time or entry.creation_time or made
    stop = entry.service_stop_time or start
    period = element("effectiveTime", time("low", start), time("high", stop))
    return element("documentationOf", element("serviceEvent", period))
