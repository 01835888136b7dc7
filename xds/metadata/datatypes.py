"""The data types of metadata attributes: parse, render, check (ITI TF-3 4.2.3.1.7).

A structured type is a frozen class with ``parse`` and ``str()``, checked whenever one is made;
a type that is a mere pattern has a ``check_...`` function. Both raise ValueError with a reason
that never quotes the value, which may name a patient. :data:`DATA_TYPES` holds them by name.

How strict: what the Technical Framework requires of a type is required. In persons,
organisations and telecommunication, components it does not mention pass and are not kept, as
HL7 asks of a receiver: a stray component does not make an author unreadable, and the text
itself stays in the metadata as sent. Empty is absent, trailing delimiters mean nothing.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, Self

from xds.metadata import vocabulary as v
from xds.metadata.hl7_escapes import ESCAPES, escape, unescape

# [0-9] and not \d throughout: \d takes the digits of every script
_OID: Final = r"[0-2](?:\.(?:0|[1-9][0-9]*))+"
is_oid: Final = re.compile(_OID).fullmatch
"""Whether a text has the shape of an OID, of any length (a match, or None)."""

_CX_PATTERN: Final = re.compile(rf"([^^\x00-\x1f]+)\^\^\^&({_OID})&ISO")
_AUTHORITY_PATTERN: Final = re.compile(rf"([^&]*)&({_OID})&ISO&*")


def _components(text: str, count: int) -> list[str]:
    parts = text.split("^")
    return parts + [""] * (count - len(parts))


def _render(*components: str) -> str:
    return "^".join(components).rstrip("^")


def _universal(oid: str) -> str:
    return f"&{oid}&ISO" if oid else ""


# Plain patterns


def _pattern(regex: str, reason: str) -> Callable[[str], None]:
    fullmatch = re.compile(regex).fullmatch

    def check(text: str) -> None:
        if fullmatch(text) is None:
            raise ValueError(reason)

    return check


check_oid: Final = _pattern(rf"(?=.{{3,64}}\Z){_OID}", "not an OID of at most 64 characters")
check_oid_urn: Final = _pattern(
    rf"urn:oid:(?=.{{3,64}}\Z){_OID}", "not urn:oid: and an OID of at most 64 characters"
)
"""homeCommunityId."""

check_unique_oid: Final = _pattern(
    rf"(?=.{{3,256}}\Z){_OID}", "not an OID of at most 256 characters"
)
"""The uniqueId of a SubmissionSet or Folder: no text limits it to 64, and real ones are longer."""

check_uuid: Final = _pattern(
    r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "not urn:uuid: and a UUID in lower case",
)
check_urn: Final = _pattern(
    r"(?i:urn):[A-Za-z0-9][A-Za-z0-9-]{0,31}:[A-Za-z0-9()+,\-.:=@;$_!*'%/?#&~]+", "not a URN"
)
"""The form of the name of a slot for extra metadata."""

check_identifier: Final = _pattern(
    r"(?s)(?=.{1,256}\Z)\s*\S.*", "not an identifier of 1 to 256 characters"
)
"""The uniqueId of a DocumentEntry: any text that ebRIM has room for, nobody looks inside."""

check_sha1: Final = _pattern(r"[0-9a-fA-F]{40}", "not a SHA-1 of 40 hexadecimal digits")
check_size: Final = _pattern(r"[0-9]{1,18}", "not a number of bytes")
"""18 digits are enough, and fit what databases call a bigint."""

check_mime_type: Final = _pattern(
    r"(?a)[\w!#$&^.+-]+/[\w!#$&^.+-]+"
    r"(?: *; *[\w!#$&^.+-]+=(?:[!#-:<-~]+|\"[ !#-~]*\"))*",
    "not a MIME type",
)
check_language: Final = _pattern(
    r"(?ia)(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})"  # language, extended language
    r"(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"  # script, region
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"  # variants
    r"(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*"  # extensions
    r"(?:-x(?:-[a-z0-9]{1,8})+)?|x(?:-[a-z0-9]{1,8})+"  # private use
    r"|en-gb-oed|sgn-(?:be-fr|be-nl|ch-de)"  # irregular, from before the grammar
    r"|i-(?:ami|bnn|default|enochian|hak|klingon|lux|mingo|navajo|pwn|tao|tay|tsu)",
    "not a language tag of RFC 5646",
)
"""Well-formed (RFC 5646 2.1); whether its subtags are registered is not looked up."""

check_document_availability: Final = _pattern(
    f"{re.escape(v.ONLINE)}|{re.escape(v.OFFLINE)}",
    "neither the URN for Online nor that for Offline",
)
check_submission_set_status: Final = _pattern(
    f"{v.ORIGINAL}|{v.REFERENCE}", "neither Original nor Reference"
)

_DTM_PATTERN: Final = re.compile(
    r"(?!0000)[0-9]{4}(?:(?:0[1-9]|1[0-2])(?:(?:0[1-9]|[12][0-9]|3[01])"
    r"(?:(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:[0-5][0-9])?)?)?)?)?"
)


def check_dtm(text: str) -> None:
    """Check a DTM, ``YYYY[MM[DD[hh[mm[ss]]]]]`` in UTC, and that its day exists.

    There is no year 0000, which FHIR could not say either.
    """
    if not _DTM_PATTERN.fullmatch(text):
        raise ValueError("not a DTM: YYYY[MM[DD[hh[mm[ss]]]]], UTC, without zone or fraction")
    if text[6:8] > "28" and int(text[6:8]) > monthrange(int(text[:4]), int(text[4:6]))[1]:
        raise ValueError("not a DTM: the month has no such day")


def earliest(dtm: str) -> str:
    """Return the first instant of a DTM in 14 digits, the form in which times compare.

    How times of different precision compare is not defined by the TF; from ``2026`` to
    ``2027`` is here what one would expect, the year 2026.
    """
    return dtm + "00000101000000"[len(dtm) :]


def is_after(one: str, other: str) -> bool:
    """Return whether a DTM is after another, as far as both are precise."""
    shared = min(len(one), len(other))
    return one[:shared] > other[:shared]


def end_of(start: str | None, stop: str | None) -> str | None:
    """Return when something ended; None where that is not said, or would be before it began.

    An entry may not have such an end (ITI TF-3 4.2.3.2.20), and a source that gives both in a
    document or a message is not refused for it: the beginning is what people look for.
    """
    return None if start and stop and is_after(start, stop) else stop


def now() -> str:
    """Return the present as a DTM to the second."""
    return datetime.now(UTC).strftime("%Y%m%d%H%M%S")


# Identifiers


@dataclass(frozen=True, slots=True)
class HD:
    """An assigning authority: a namespace, an OID (``&OID&ISO``) or both names of the same."""

    namespace_id: str = ""
    universal_id: str = ""

    def __post_init__(self) -> None:
        if not (self.namespace_id or self.universal_id):
            raise ValueError("an assigning authority is neither a namespace nor an OID")
        if self.universal_id and not is_oid(self.universal_id):
            raise ValueError("the universal id of an assigning authority is not an OID")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``namespace``, ``&OID&ISO`` or ``namespace&OID&ISO``."""
        namespace_id, _, universal = text.rstrip("&").partition("&")
        oid, _, universal_type = universal.partition("&")
        if universal and universal_type != "ISO":
            raise ValueError("an assigning authority is not &OID&ISO")
        return cls(unescape(namespace_id), oid)

    def __str__(self) -> str:
        return escape(self.namespace_id) + _universal(self.universal_id)


def _identifier_and_oid(text: str) -> tuple[str, str]:
    match = _CX_PATTERN.fullmatch(text)
    if match is None:
        raise ValueError("not of the form ID^^^&OID&ISO")
    return unescape(match[1]), match[2]


check_cx: Final = _pattern(_CX_PATTERN.pattern, "not a CX of the form ID^^^&OID&ISO")
"""A CX, without reading it."""


@dataclass(frozen=True, slots=True)
class CX:
    """A patient identifier, ``ID^^^&OID&ISO`` and nothing else."""

    id_number: str
    assigning_authority: str

    def __post_init__(self) -> None:
        check_cx(str(self))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a CX; a separator in the id that should have been escaped is part of the id."""
        return cls(*_identifier_and_oid(text))

    def __str__(self) -> str:
        return f"{self.id_number.translate(ESCAPES)}^^^{_universal(self.assigning_authority)}"


check_coded_string: Final = _pattern(
    _CX_PATTERN.pattern, "not a coded string of the form Code^^^&OID&ISO"
)


@dataclass(frozen=True, slots=True)
class CodedString:
    """A code with its code system, ``Code^^^&OID&ISO``: a role or specialty that is coded."""

    code: str
    code_system: str

    def __post_init__(self) -> None:
        check_coded_string(str(self))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a coded string."""
        return cls(*_identifier_and_oid(text))

    def __str__(self) -> str:
        return f"{escape(self.code)}^^^{_universal(self.code_system)}"


_ID_AND_TYPE_ONLY: Final = frozenset(
    {v.REFERENCE_WORKFLOW_INSTANCE_ID, v.REFERENCE_STUDY_INSTANCE_UID}
)


@dataclass(frozen=True, slots=True)
class CXi:
    """A value of referenceIdList, ``ID^^^authority^type code``.

    IHE's own type codes allow nothing further, and two of them no authority either. What a
    local type code puts after it (Austria: the homeCommunityId) is kept in ``further``.
    """

    id_number: str
    type_code: str
    assigning_authority: HD | None = None
    further: str = ""

    def __post_init__(self) -> None:
        if not self.id_number or not self.type_code:
            raise ValueError("not a CXi: components 1 (id) and 5 (type code) are required")
        if self.further and self.type_code.startswith("urn:ihe:"):
            raise ValueError("not a CXi: nothing may follow component 5")
        if self.assigning_authority and self.type_code in _ID_AND_TYPE_ONLY:
            raise ValueError("not a CXi: this type code allows no assigning authority")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a CXi."""
        number, check_digit, scheme, authority, type_code, *further = _components(text, 5)
        if check_digit or scheme:
            raise ValueError("not a CXi: components 2 and 3 must be empty")
        return cls(
            unescape(number),
            unescape(type_code),
            HD.parse(authority) if authority.strip("&") else None,
            _render(*further),
        )

    def __str__(self) -> str:
        authority = str(self.assigning_authority or "")
        number, type_code = escape(self.id_number), escape(self.type_code)
        return _render(number, "", "", authority, type_code, self.further)


# Persons, organisations, telecommunication


@dataclass(frozen=True, slots=True)
class XCN:
    """A person, ``id^family^given^further^suffix^prefix^degree^^&OID&ISO``.

    The authority is required of an id that is not globally unique by itself. Only its sender
    can tell, so an id without authority passes; an authority of another form does not.
    """

    id_number: str = ""
    family_name: str = ""
    given_name: str = ""
    further_given_names: str = ""
    suffix: str = ""
    prefix: str = ""
    degree: str = ""
    source_table: str = ""
    assigning_authority: str = ""

    def __post_init__(self) -> None:
        if not (self.id_number + self.family_name).strip():
            raise ValueError("not an XCN: component 1 (id) or 2 (family name) is required")
        if self.assigning_authority and not is_oid(self.assigning_authority):
            raise ValueError("not an XCN: component 9 (assigning authority) is not &OID&ISO")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an XCN. Of a family name in subcomponents the first one is the whole name."""
        number, family, *others, authority = _components(text, 9)[:9]
        match = _AUTHORITY_PATTERN.fullmatch(authority)
        if authority.strip("&") and (match is None or match[1]):
            raise ValueError("not an XCN: component 9 (assigning authority) is not &OID&ISO")
        surname, oid = family.partition("&")[0], match[2] if match else ""
        return cls(*map(unescape, (number, surname, *others, oid)))

    def __str__(self) -> str:
        name = (self.id_number, self.family_name, self.given_name, self.further_given_names)
        titles = (self.suffix, self.prefix, self.degree, self.source_table)
        parts = [one.translate(ESCAPES) for one in (*name, *titles)]
        return _render(*parts, _universal(self.assigning_authority))


@dataclass(frozen=True, slots=True, kw_only=True)
class XON:
    """An organisation, ``name^^^^^&OID&ISO^^^^id``; an id that is an OID needs no authority."""

    organization_name: str
    organization_identifier: str = ""
    assigning_authority: str = ""

    def __post_init__(self) -> None:
        if not self.organization_name.strip():
            raise ValueError("not an XON: component 1 (name) is required")
        if self.assigning_authority and not is_oid(self.assigning_authority):
            raise ValueError("not an XON: component 6 (assigning authority) is not &OID&ISO")
        identifier = self.organization_identifier
        if identifier and not self.assigning_authority and not is_oid(identifier):
            raise ValueError("not an XON: an id that is no OID requires &OID&ISO in component 6")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an XON. Component 6 matters only where it names an OID."""
        components = _components(text, 10)
        authority = _AUTHORITY_PATTERN.fullmatch(components[5])
        return cls(
            organization_name=unescape(components[0]),
            organization_identifier=unescape(components[9]),
            assigning_authority=authority[2] if authority else "",
        )

    def __str__(self) -> str:
        name, identifier = escape(self.organization_name), escape(self.organization_identifier)
        authority = _universal(self.assigning_authority)
        return _render(name, "", "", "", "", authority, "", "", "", identifier)


@dataclass(frozen=True, slots=True)
class XTN:
    """A telephone, ``^use^equipment^^country^area^number``, or e-mail, ``^NET^Internet^address``.

    What the components say (the code for a telephone, digits in a number) is not looked at.
    """

    use_code: str = ""
    equipment_type: str = ""
    address: str = ""
    country_code: str = ""
    area_code: str = ""
    number: str = ""
    extension: str = ""

    def __post_init__(self) -> None:
        if not self.equipment_type:
            raise ValueError("not an XTN: component 3 (equipment type) is required")
        if self.is_internet and not self.address:
            raise ValueError("not an XTN: component 4 (address) is required with Internet")
        if not self.is_internet and not self.number:
            raise ValueError("not an XTN: component 7 (number) is required of a telephone")

    @property
    def is_internet(self) -> bool:
        """Whether this is an e-mail address and not a telephone."""
        return self.equipment_type.lower() == "internet"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an XTN."""
        return cls(*map(unescape, _components(text, 8)[1:8]))

    def __str__(self) -> str:
        how = (self.use_code, self.equipment_type, self.address)
        where = (self.country_code, self.area_code, self.number, self.extension)
        return _render("", *map(escape, (*how, *where)))


@dataclass(frozen=True, slots=True, kw_only=True)
class IntendedRecipient:
    """To whom a SubmissionSet is addressed, ``XON|XCN|XTN`` (ITI TF-3 4.2.3.3.7)."""

    organization: XON | None = None
    person: XCN | None = None
    telecommunication: XTN | None = None

    def __post_init__(self) -> None:
        if not (self.organization or self.person or self.telecommunication):
            raise ValueError("not an intendedRecipient: all of its parts are absent")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an intendedRecipient, any of whose parts may be absent."""
        organization, person, telecom, *more = [*text.split("|"), "", ""]
        if any(more):
            raise ValueError("not an intendedRecipient of the form XON|XCN|XTN")
        return cls(
            organization=XON.parse(organization) if organization.strip("^") else None,
            person=XCN.parse(person) if person.strip("^") else None,
            telecommunication=XTN.parse(telecom) if telecom.strip("^") else None,
        )

    def __str__(self) -> str:
        parts = (self.organization, self.person, self.telecommunication)
        return "|".join(str(part or "") for part in parts).rstrip("|")


_PID_FIELD_PATTERN: Final = re.compile(r"PID-([1-9][0-9]?)\|(.*)", re.DOTALL)
_LAST_PID_FIELD: Final = 40
_SINGLE_PID_FIELDS: Final = frozenset({7, 8})


@dataclass(frozen=True, slots=True)
class SourcePatientInfo:
    """One value of sourcePatientInfo, ``PID-n|value~value`` (ITI TF-3 4.2.3.2.23).

    The repetitions are HL7 as it was sent: each field has its own data type.
    """

    field: int
    repetitions: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= self.field <= _LAST_PID_FIELD:
            raise ValueError("not a sourcePatientInfo: there is no such field in the segment PID")
        if self.field in _SINGLE_PID_FIELDS and len(self.repetitions) > 1:
            raise ValueError("not a sourcePatientInfo: PID-7 and PID-8 do not repeat")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one value."""
        match = _PID_FIELD_PATTERN.fullmatch(text)
        if match is None:
            raise ValueError("not a sourcePatientInfo of the form PID-n|value")
        return cls(int(match[1]), tuple(match[2].split("~")))

    def __str__(self) -> str:
        return f"PID-{self.field}|{'~'.join(self.repetitions)}"


def check_source_patient_info(values: Iterable[str]) -> None:
    """Check all values of the slot, of which PID-7 and PID-8 may each be but one."""
    fields = [SourcePatientInfo.parse(value).field for value in values]
    if any(fields.count(field) > 1 for field in _SINGLE_PID_FIELDS):
        raise ValueError("PID-7 and PID-8 may be there only once")


DATA_TYPES: Final[Mapping[str, Callable[[str], object]]] = MappingProxyType(
    {
        "CX": check_cx,
        "CXi": CXi.parse,
        "CodedString": check_coded_string,
        "DTM": check_dtm,
        "DocumentAvailability": check_document_availability,
        "HD": HD.parse,
        "Identifier": check_identifier,
        "IntendedRecipient": IntendedRecipient.parse,
        "Language": check_language,
        "MimeType": check_mime_type,
        "OID": check_oid,
        "OIDURN": check_oid_urn,
        "SHA1": check_sha1,
        "Size": check_size,
        "SourcePatientInfo": SourcePatientInfo.parse,
        "SubmissionSetStatus": check_submission_set_status,
        "URN": check_urn,
        "UniqueOID": check_unique_oid,
        "UUID": check_uuid,
        "XCN": XCN.parse,
        "XON": XON.parse,
        "XTN": XTN.parse,
    }
)
"""Every data type by name: called with one value, it raises ValueError if the value is wrong."""
