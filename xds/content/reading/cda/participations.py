"""All that the header of a CDA says of people, organisations and events (CDA R2 4.2.2 and 4.2.3).

The first lines of a page have what every reader needs; here is the rest, in the order of the
document: who entered and who informed, contacts, addresses, the encounter and its place. Whatever
has text is there, also what no schema knows.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from xds.content import cda_values as hl7
from xds.content.cda_values import NS, Element
from xds.content.reading.cda.parties import shown, shown_address
from xds.content.reading.cda.source import CdaSource
from xds.content.reading.model import ContentFact, ContentParticipation

_PARTS: Final[Mapping[str, str]] = {
    "recordTarget": "Patient",
    "author": "Author",
    "dataEnterer": "Entered by",
    "informant": "Informant",
    "custodian": "Custodian",
    "informationRecipient": "Recipient",
    "legalAuthenticator": "Legally authenticated by",
    "authenticator": "Authenticated by",
    "participant": "Participant",
    "inFulfillmentOf": "Order",
    "documentationOf": "Service",
    "relatedDocument": "Related document",
    "authorization": "Consent",
    "componentOf": "Encounter",
}
"""Children of the ClinicalDocument, and what each is to a reader."""
_WITHIN: Final[Mapping[str, str]] = {
    "guardian": "Guardian",
    "providerOrganization": "Care provider",
    "performer": "Performer",
    "encounterParticipant": "Participant of the encounter",
    "responsibleParty": "Responsible for the encounter",
    "location": "Place of the encounter",
}
"""What has a part within one of these."""
_ROLES: Final[Mapping[str, str]] = {
    "AGNT": "Agent",
    "CAREGIVER": "Caregiver",
    "COVPTY": "Covered person",
    "ECON": "Emergency contact",
    "GUAR": "Guarantor",
    "GUARD": "Guardian",
    "NOK": "Next of kin",
    "PAYOR": "Payer",
    "POLHOLD": "Policy holder",
    "PRS": "Personal relationship",
}
"""RoleClass of a participant, where it says more than that it takes part."""
_NAMES: Final[Mapping[str, str]] = {
    "administrativeGenderCode": "Sex",
    "birthTime": "Born",
    "code": "Role",
    "dischargeDispositionCode": "Discharge",
    "ethnicGroupCode": "Ethnicity",
    "functionCode": "Function",
    "manufacturerModelName": "Device",
    "religiousAffiliationCode": "Religion",
    "softwareName": "Software",
}
"""What facts are called whose element does not say it well."""
_KINDS: Final = frozenset({"Order", "Service", "Consent", "Encounter", "Related document"})
"""Where a code is a kind of event or document, not a role."""
_ORGANISATIONS: Final = ("Organization", "Facility")
_LEFT_OUT: Final = frozenset({"realmCode", "typeId", "templateId", "signatureCode"})
_IDS: Final = frozenset({"id", "setId"})
_FIRST: Final[Mapping[str, int]] = {"Name": 0, "Organisation": 1, "Role": 2, "Kind": 3}
"""What a reader looks for first."""
_BOUNDS: Final[Mapping[str, str]] = {"low": "From", "high": "Until"}


def participations(source: CdaSource) -> Iterator[ContentParticipation]:
    """Yield who and what has a part in a document, in its order."""
    for element in source.root.iterchildren(f"{{{NS}}}*"):
        part = _PARTS.get(_name(element))
        if part is not None:
            yield from _part(source, element, part)


def _part(source: CdaSource, element: Element, part: str) -> Iterator[ContentParticipation]:
    within: list[tuple[Element, str]] = []
    found = _facts(source, element, part, within)
    facts = tuple(sorted(found, key=lambda one: _FIRST.get(one.name, len(_FIRST))))
    if facts:
        yield ContentParticipation(part=_titled(element) or part, facts=facts)
    for one, name in within:
        yield from _part(source, one, name)


def _titled(element: Element) -> str:
    return next(
        (_ROLES[one] for child in element if (one := child.get("classCode") or "") in _ROLES), ""
    )


def _facts(
    source: CdaSource, element: Element, part: str, within: list[tuple[Element, str]]
) -> Iterator[ContentFact]:
    """Yield the facts of an element; what has a part of its own is put aside."""
    for child in element.iterchildren("{*}*"):
        name = _name(child)
        if name in _LEFT_OUT:
            continue
        if name in _WITHIN:
            within.append((child, _WITHIN[name]))
        elif found := [*_fact(source, child, name, part)]:
            yield from (one for one in found if one.text or one.time)
        else:
            yield from _facts(source, child, part, within)


def _fact(source: CdaSource, element: Element, name: str, part: str) -> Iterator[ContentFact]:
    """Yield what one element says; nothing where its children say it."""
    if name == "name":
        yield ContentFact(name=_of_name(element), text=shown(element))
    elif name == "addr":
        yield ContentFact(name=_of_address(element), text=shown_address(element))
    elif name == "telecom":
        yield ContentFact(name="Contact", text=_reached(element))
    elif name in _IDS:
        said = " of ".join(filter(None, (element.get("extension"), element.get("root"))))
        yield ContentFact(name="Identifier", text=said)
    elif _is_time(element, name):
        yield from _times(source, element, name)
    elif _is_coded(element):
        called = "Kind" if name == "code" and part in _KINDS else _called(name)
        yield ContentFact(name=called, text=source.words(element))
    elif not len(element) or (element.text or "").strip():
        said = hl7.text(element) or (element.get("value") or "").strip()
        yield ContentFact(name=_called(name), text=said)


def _of_name(element: Element) -> str:
    parent = element.getparent()
    holder = _name(parent) if parent is not None else ""
    if holder.endswith(_ORGANISATIONS) or holder == "scopingEntity":
        return "Organisation"
    return "Place" if holder in ("place", "location") else "Name"


def _of_address(element: Element) -> str:
    """Return what an address is: nobody is reached where they were born."""
    is_of_birth = any(_name(one) == "birthplace" for one in element.iterancestors())
    return "Place of birth" if is_of_birth else "Address"


def _reached(element: Element) -> str:
    value = (element.get("value") or "").strip()
    scheme, colon, rest = value.partition(":")
    return rest if colon and scheme.lower() in ("tel", "mailto") else value


def _is_time(element: Element, name: str) -> bool:
    return name.lower().endswith("time") and not (element.text or "").strip()


def _times(source: CdaSource, element: Element, name: str) -> Iterator[ContentFact]:
    if (value := (element.get("value") or "").strip()) or not len(element):
        called = "Time" if name == "effectiveTime" else _called(name)
        yield ContentFact(name=called, text=value, time=source.time(element))
        return
    for bound, called in _BOUNDS.items():
        for one in element.iterchildren(f"{{{NS}}}{bound}"):
            text = (one.get("value") or "").strip()
            yield ContentFact(name=called, text=text, time=source.time(one))


def _is_coded(element: Element) -> bool:
    return (
        element.get("code") is not None
        or element.get("displayName") is not None
        or element.find(f"{{{NS}}}originalText") is not None
    )


def _called(name: str) -> str:
    """Return the name of a fact in words, such as Marital status for ``maritalStatusCode``."""
    if name in _NAMES:
        return _NAMES[name]
    stem = name.removesuffix("Code") or name
    words = "".join(f" {one.lower()}" if one.isupper() else one for one in stem).strip()
    return words[:1].upper() + words[1:]


def _name(element: Element) -> str:
    """Return a name without its namespace; what is looked at are many elements, in each page."""
    return str(element.tag).rpartition("}")[2]
