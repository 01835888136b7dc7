"""Rules of single attributes: presence, number, data type (ITI TF-3 4.2.3)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any, Final

from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.attributes import (
    AUTHOR_DATA_TYPES,
    Attribute,
    AuthorAttribute,
    ClassificationAttribute,
    TextAttribute,
    XmlAttribute,
    code_of,
    slot_of,
)
from xds.metadata.catalogue import ITI_42, ITI_61
from xds.metadata.ebrim import Classification, Slot
from xds.metadata.objects import (
    Association,
    DocumentEntry,
    Folder,
    MetadataObject,
    SubmissionSet,
)
from xds.metadata.rules.case import Case, Finding, Findings


def _objects(case: Case) -> Iterator[MetadataObject]:
    for thing in case.submission.objects:
        if isinstance(thing, MetadataObject):
            yield thing


@cache
def _chosen(kind: str, role: str, transaction: str = "") -> tuple[Any, ...]:
    """Return the attributes of a kind that a rule looks at, chosen once by its role."""
    declared = _KINDS[kind].attributes().values()
    return tuple(attribute for attribute in declared if _ROLES[role](attribute, transaction))


_KINDS: Final[Mapping[str, type[MetadataObject]]] = {
    kind.KIND: kind for kind in (DocumentEntry, SubmissionSet, Folder, Association)
}
_ROLES: Final[Mapping[str, Callable[[Attribute[Any], str], bool]]] = {
    "required": lambda attribute, transaction: transaction in attribute.required_in,
    "forbidden": lambda attribute, transaction: transaction in attribute.forbidden_in,
    "single": lambda attribute, _: (
        attribute.single and not isinstance(attribute, TextAttribute | XmlAttribute)
    ),
    "typed": lambda attribute, _: attribute.data_type is not None,
    "authors": lambda attribute, _: isinstance(attribute, AuthorAttribute),
    "codes": lambda attribute, _: (
        isinstance(attribute, ClassificationAttribute)
        and not isinstance(attribute, AuthorAttribute)
    ),
}


_REQUIRED_WITH_LIMITED_METADATA: Final = frozenset(
    {"mime_type", "object_type", "patient_id", "repository_unique_id", "hash", "size"}
    | {"unique_id", "source_id", "submission_time"}
)
"""What ITI TF-3 4.3.1 (XDR MS) requires still, and what a registry cannot do without."""


def _column(case: Case, thing: MetadataObject) -> str:
    """Return whose column of the tables of ITI TF-3 4.2.3 an object is held to.

    An update brings objects as they would be registered: Stable ones by ITI-42, On-Demand ones by
    ITI-61 (ITI TF-2 3.57.4.1.2).
    """
    if case.transaction in (ITI_42.name, ITI_61.name):
        return case.transaction
    is_on_demand = isinstance(thing, DocumentEntry) and thing.is_on_demand
    return ITI_61.name if is_on_demand else ITI_42.name


@dataclass(frozen=True, slots=True)
class _AttributePlaces:
    """Where ebRIM has the attributes of a kind that a rule looks at.

    Nearly every object is as it should be. To go through what it has, once, takes less than to ask
    each attribute, which is done where something is wrong, or may be.
    """

    slots: Mapping[str, str | None]
    """The data types by the names of Slots, and so on."""
    identifiers: Mapping[str, str | None]
    schemes: Mapping[str, str | None]
    further: Mapping[str, str | None]
    """By the names of other fields of the object."""

    def are_given(self, thing: MetadataObject) -> bool:
        """Tell whether all are there and not empty; not so, too, where something stands twice."""
        slots = {slot.name for slot in thing.slots if slot.values and slot.values[0]}
        given = {one.identificationScheme for one in thing.external_identifiers if one.value}
        schemes = {one.classificationScheme for one in thing.classifications}
        return (
            len(slots) == len(thing.slots)
            and len(given) == len(thing.external_identifiers)
            and self.slots.keys() <= slots
            and self.identifiers.keys() <= given
            and self.schemes.keys() <= schemes
            and all(
                isinstance(value := getattr(thing, name), str) and value for name in self.further
            )
        )

    def are_single(self, thing: MetadataObject) -> bool:
        """Tell whether none has several values."""
        for slot in thing.slots:
            if len(slot.values) > 1 and slot.name in self.slots:
                return False
        identifiers = [one.identificationScheme for one in thing.external_identifiers]
        codes = [one.classificationScheme for one in thing.classifications]
        codes = [scheme for scheme in codes if scheme in self.schemes]
        return len(set(identifiers)) == len(identifiers) and len(set(codes)) == len(codes)

    def are_typed(self, thing: MetadataObject) -> bool:
        """Tell whether all texts are of the data types."""
        found = [
            (kind, text)
            for slot in thing.slots
            if (kind := self.slots.get(slot.name))
            for text in slot.values
        ]
        found += [
            (kind, one.value)
            for one in thing.external_identifiers
            if (kind := self.identifiers.get(one.identificationScheme))
        ]
        found += [(kind, getattr(thing, name) or "") for name, kind in self.further.items() if kind]
        return not any(text and _violation(kind, text) for kind, text in found)


@cache
def _places(kind: str, role: str, transaction: str = "") -> _AttributePlaces:
    chosen = _chosen(kind, role, transaction)

    def named(name: str) -> Mapping[str, str | None]:
        return {getattr(one, name): one.data_type for one in chosen if hasattr(one, name)}

    further = {**named("xml"), **named("field")}
    return _AttributePlaces(
        named("slot_name"),
        {scheme: kind for scheme, kind in named("scheme").items() if scheme in v.IDENTIFIER_NAMES},
        {scheme: None for scheme in named("scheme") if scheme not in v.IDENTIFIER_NAMES},
        further,
    )


def required(case: Case) -> Findings:
    """What the table of the transaction marks R is there and not empty."""
    for thing in _objects(case):
        if _places(thing.KIND, "required", _column(case, thing)).are_given(thing):
            continue
        limited = getattr(thing, "limited_metadata", False)
        for attribute in _chosen(thing.KIND, "required", _column(case, thing)):
            if limited and attribute.name not in _REQUIRED_WITH_LIMITED_METADATA:
                continue
            if not attribute.is_given(thing):
                yield Finding(thing, f"{attribute.tf_name} is required", attribute.tf_name)


def forbidden(case: Case) -> Findings:
    """What the table of the transaction marks X is absent."""
    if case.transaction != ITI_61.name and not _has_on_demand(case):  # ITI-42 marks nothing so
        return
    for thing in _objects(case):
        for attribute in _chosen(thing.KIND, "forbidden", _column(case, thing)):
            if attribute.occurrences(thing):
                reason = f"{attribute.tf_name} must not be given of an On-Demand DocumentEntry"
                yield Finding(thing, reason, attribute.tf_name)


def _has_on_demand(case: Case) -> bool:
    stated = [entry.objectType for entry in case.submission.document_entries]
    return v.ON_DEMAND_DOCUMENT_ENTRY in stated


def cardinality(case: Case) -> Findings:
    """What may stand once stands once; a Name may have several languages."""
    for thing in _objects(case):
        if _places(thing.KIND, "single").are_single(thing):
            continue
        for attribute in _chosen(thing.KIND, "single"):
            if (times := attribute.occurrences(thing)) > 1:
                reason = f"{attribute.tf_name} may stand once, stands {times} times"
                yield Finding(thing, reason, attribute.tf_name)


def data_types(case: Case) -> Findings:
    """Values are of their data type (ITI TF-3 4.2.3.1.7).

    A mimeType that the affinity domain lists is accepted as it stands, whatever RFC 6838 says of
    it: nations have such as ``application/pdf+text/x-cda-r2+xml``.
    """
    listed = case.policy.code_sets.mime_types or ()
    for thing in _objects(case):
        if _places(thing.KIND, "typed").are_typed(thing):
            continue
        for attribute in _chosen(thing.KIND, "typed"):
            for text in attribute.texts(thing):
                if attribute.name == "mime_type" and text in listed:
                    continue
                if text and (reason := _violation(attribute.data_type or "", text)):
                    yield Finding(thing, f"{attribute.tf_name}: {reason}", attribute.tf_name)


@lru_cache(maxsize=2_048)
def _violation(data_type: str, text: str) -> str | None:
    """Say what is wrong with a value: of authors, patients and places there are few, often told."""
    try:
        datatypes.DATA_TYPES[data_type](text)
    except ValueError as reason:
        return str(reason)
    return None


def object_types(case: Case) -> Findings:
    """The objectType of a DocumentEntry is Stable or On-Demand, as the transaction demands."""
    wanted, name = _DOCUMENT_ENTRY_TYPES[case.transaction]
    for entry in case.submission.document_entries:
        if entry.objectType != wanted:
            yield Finding(entry, f"objectType must be that of {name} in {case.transaction}")


_DOCUMENT_ENTRY_TYPES: Final[Mapping[str, tuple[str, str]]] = {
    ITI_42.name: (v.STABLE_DOCUMENT_ENTRY, "a Stable DocumentEntry"),
    ITI_61.name: (v.ON_DEMAND_DOCUMENT_ENTRY, "an On-Demand DocumentEntry"),
}


def _classifications(
    thing: MetadataObject, *, authors: bool
) -> Iterator[tuple[str, Classification]]:
    """Yield them attribute by attribute, with the attribute's name, as they stand."""
    schemes = _schemes(thing.KIND, "authors" if authors else "codes")
    found = [
        (*schemes[scheme], one)
        for one in thing.classifications
        if (scheme := one.classificationScheme) in schemes
    ]
    found.sort(key=_PLACE)
    for _, name, one in found:
        yield name, one


_PLACE: Final = itemgetter(0)


@cache
def _schemes(kind: str, role: str) -> Mapping[str | None, tuple[int, str]]:
    """Return the place and the name of each attribute that has a role, by its scheme."""
    chosen = enumerate(_chosen(kind, role))
    return {attribute.scheme: (place, attribute.tf_name) for place, attribute in chosen}


def codes(case: Case) -> Findings:
    """A code has a nodeRepresentation, one codingScheme and a displayName (ITI TF-3 4.2.3.1.2)."""
    for thing in _objects(case):
        for name, code in _classifications(thing, authors=False):
            scheme = slot_of(code, "codingScheme")
            if not code.nodeRepresentation:
                yield Finding(thing, f"{name}: nodeRepresentation is required", name)
            if scheme is None or len(scheme.values) != 1 or not scheme.values[0]:
                yield Finding(thing, f"{name}: one value of codingScheme is required", name)
            if not any(string.value for string in code.name):
                yield Finding(thing, f"{name}: a displayName is required", name)


def codes_of_the_domain(case: Case) -> Findings:
    """Codes are of the affinity domain's value sets; a displayName is never compared."""
    code_sets = case.policy.code_sets
    if not code_sets.codes:
        return
    for thing in _objects(case):
        for name, classification in _classifications(thing, authors=False):
            code = code_of(classification)
            scheme = classification.classificationScheme or ""
            if code.code and code.coding_scheme and not code_sets.accepts(scheme, code):
                reason = f"{name}: {code} is not a code of the affinity domain"
                yield Finding(thing, reason, name, str(code))


def mime_types_of_the_domain(case: Case) -> Findings:
    """Documents are of a mime type that the affinity domain allows."""
    for entry in case.submission.document_entries:
        if entry.mime_type and not case.policy.code_sets.accepts_mime_type(entry.mime_type):
            reason = f"mimeType {entry.mime_type} is not one of the affinity domain"
            yield Finding(entry, reason, "mimeType")


def source_patient_infos(case: Case) -> Findings:
    """Of the fields of sourcePatientInfo PID-7 and PID-8 stand once (ITI TF-3 4.2.3.2.23)."""
    for entry in case.submission.document_entries:
        if reason := _violation_of_patient(entry.source_patient_info):
            yield Finding(entry, f"sourcePatientInfo: {reason}", "sourcePatientInfo")


@lru_cache(maxsize=512)
def _violation_of_patient(values: tuple[str, ...]) -> str | None:
    """Say what is wrong with the fields of one patient together."""
    try:
        datatypes.check_source_patient_info(
            value for value in values if _violation("SourcePatientInfo", value) is None
        )
    except ValueError as reason:
        return str(reason)
    return None


def authors(case: Case) -> Findings:
    """An author names a person, an institution or a telecommunication (ITI TF-3 4.2.3.1.4)."""
    for thing in _objects(case):
        for _, author in _classifications(thing, authors=True):
            if author.nodeRepresentation:
                yield Finding(thing, "author: nodeRepresentation must be empty", "author")
            for reason in _violations_of_author(author.slots):
                yield Finding(thing, reason, "author")


@lru_cache(maxsize=1_024)
def _violations_of_author(slots: tuple[Slot, ...]) -> Sequence[str]:
    """Say what is wrong with an author: the same few write most documents."""
    values = {slot.name: slot.values for slot in slots}
    found = []
    if not any(any(values.get(name, ())) for name in AUTHOR_DATA_TYPES):
        found.append(
            "author: authorPerson, authorInstitution or authorTelecommunication is required"
        )
    if len(values.get("authorPerson", ())) > 1:
        found.append("author: authorPerson may have one value")
    for name, data_type in AUTHOR_DATA_TYPES.items():
        for text in values.get(name, ()):
            if text and (reason := _violation(data_type, text)):
                found.append(f"{name}: {reason}")
    return found


def service_times(case: Case) -> Findings:
    """serviceStartTime is not after serviceStopTime (ITI TF-3 4.2.3.2.20)."""
    for entry in case.submission.document_entries:
        start, stop = entry.service_start_time, entry.service_stop_time
        if start and stop and datatypes.is_after(start, stop):
            reason = "serviceStartTime is after serviceStopTime"
            yield Finding(entry, reason, "serviceStartTime")


_LONGEST_VALUE: Final = 256
_LONGEST_TEXT: Final = 1024


def too_long(thing: MetadataObject) -> Iterator[tuple[str, int]]:
    """Yield the attributes whose texts are longer than ebRIM can say, and how long they may be.

    No row of SUBMISSION_RULES, since the schema holds what comes by SOAP to the same (LongName and
    FreeFormText of rim.xsd); it is for what comes in another way and goes out by SOAP.
    """
    for name, texts, most in _bounded(thing):
        if any(len(text) > most for text in texts):
            yield name, most


def _bounded(thing: MetadataObject) -> Iterator[tuple[str, Iterable[str], int]]:
    yield "title", (string.value for string in thing.name), _LONGEST_TEXT
    yield "comments", (string.value for string in thing.description), _LONGEST_TEXT
    yield "mimeType", (getattr(thing, "mimeType", None) or "",), _LONGEST_VALUE
    for slot in thing.slots:
        yield slot.name.rpartition(":")[2], slot.values, _LONGEST_VALUE
    for identifier in thing.external_identifiers:
        name = v.IDENTIFIER_NAMES.get(identifier.identificationScheme, "")
        yield name.rpartition(".")[2], (identifier.value,), _LONGEST_VALUE
    for authors in (True, False):
        for name, found in _classifications(thing, authors=authors):
            yield name, (found.nodeRepresentation or "",), _LONGEST_VALUE
            yield name, (text for slot in found.slots for text in slot.values), _LONGEST_VALUE
            yield name, (string.value for string in found.name), _LONGEST_TEXT
