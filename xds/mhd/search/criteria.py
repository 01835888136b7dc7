"""What the values of a search parameter demand of the registry (MHD 2:3.66.4.1.2, 2:3.67.4.1.2).

One function for each way in which a parameter is compared; :mod:`xds.mhd.search.parameters` names
them in its tables. Codes compare in any case, as R4 asks of a server that does not know better.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from xds.fhir.datatypes.identifiers import package_unique_id, unique_id_of
from xds.fhir.exchange import Facade
from xds.fhir.r4.outcome import Issue
from xds.fhir.search.parameters import (
    EVERYTHING,
    NOTHING,
    ArgumentCriterion,
    Kind,
    SearchArgument,
    SearchContext,
    comparing,
)
from xds.fhir.search.values import Span, Token, number_span, reference_id, unescape
from xds.fhir.vocabulary import (
    CURRENT,
    ENTERED_IN_ERROR,
    FOLDER,
    LIST_TYPES,
    OID_URN,
    RETIRED,
    SUBMISSION_SET,
    SUPERSEDED,
    URI_SYSTEM,
    UUID_URN,
)
from xds.metadata import datatypes
from xds.metadata import vocabulary as v
from xds.metadata.criteria import And, Comparison, Criterion, Not, Operator, Or
from xds.metadata.datatypes import CX
from xds.metadata.objects import DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.metadata.searched import TEXTS, Searched
from xds.registry.views import RegistryView


def _tokens(asked: SearchArgument) -> list[Token]:
    return [Token.parse(value) for value in asked.values]


def _equal(attribute: str, values: Iterable[str]) -> Criterion:
    """Demand one of the values; nothing at all where there is none."""
    listed = tuple(dict.fromkeys(values))
    return Comparison(attribute, Operator.EQUAL, listed) if listed else NOTHING


# A database counts each alternative of an OR as one step down; in groups it stays shallow.
_GROUP: Final = 50


def _like(attribute: str, patterns: Iterable[str]) -> Criterion:
    listed = tuple(dict.fromkeys(patterns))
    groups = [listed[i : i + _GROUP] for i in range(0, len(listed), _GROUP)]
    conditions = [Comparison(attribute, Operator.LIKE_ANY_CASE, group) for group in groups]
    return conditions[0] if len(conditions) == 1 else Or(*conditions)


def _literal(text: str) -> str:
    """Escape what is wild in a pattern."""
    return re.sub(r"([\\%_])", r"\\\1", text)


# --- codes ---------------------------------------------------------------------------------------


@comparing(*TEXTS)
def codes(asked: SearchArgument, attribute: str, where: SearchContext) -> ArgumentCriterion:
    """Compare codes with an attribute that holds them as ``code^^codingScheme``."""
    patterns = [pattern for token in _tokens(asked) for pattern in _code(token, where)]
    criterion = _like(attribute, patterns)
    if attribute not in _WITH_FURTHER:
        return ArgumentCriterion(criterion)
    name = _literal(where.kind.attributes()[attribute].tf_name)
    further = _like("further_codes", (f"{name}|{pattern}" for pattern in patterns))
    return ArgumentCriterion(Or(criterion, further))


_WITH_FURTHER: Final = frozenset(
    {
        "class_code",
        "type_code",
        "event_code_list",
        "healthcare_facility_type_code",
        "practice_setting_code",
        "content_type_code",
        "code_list",
    }
)
"""Attributes beside whose codes a FHIR client may have given further codings."""


def _code(token: Token, where: SearchContext) -> Iterator[str]:
    code = _literal(token.value) or "%"
    if token.system is None:
        yield f"{code}^^%"
    elif not token.system:
        yield f"{code}^^"
    else:
        for scheme in where.facade.domain.systems.schemes(token.system):
            yield f"{code}^^{_literal(scheme)}"


_STATUSES: Final = {
    CURRENT: (v.APPROVED,),
    SUPERSEDED: (v.DEPRECATED,),
    RETIRED: (v.DEPRECATED,),
    ENTERED_IN_ERROR: (),
}
"""``retired`` is R4's word for what MHD's List table calls ``superseded``."""


@comparing(*TEXTS)
def statuses(asked: SearchArgument, attribute: str, where: SearchContext) -> ArgumentCriterion:
    """Compare the status; its system does not matter, MHD wants none (2:3.67.4.1.2.1)."""
    found: list[str] = []
    for token in _tokens(asked):
        if token.value.lower() not in _STATUSES:
            raise ValueError(f"not one of {', '.join(_STATUSES)}")
        found.extend(_STATUSES[token.value.lower()])
    return ArgumentCriterion(_equal(attribute, found))


_LIST_CODES: Final[dict[Kind, str]] = {SubmissionSet: SUBMISSION_SET, Folder: FOLDER}


@comparing()
def list_codes(asked: SearchArgument, attribute: str, where: SearchContext) -> ArgumentCriterion:
    """Compare the code of a List, which says whether it is a SubmissionSet or a Folder."""
    own = _LIST_CODES[where.kind]
    named = any(
        token.system in (None, LIST_TYPES) and token.value.lower() in ("", own)
        for token in _tokens(asked)
    )
    return ArgumentCriterion(EVERYTHING if named else NOTHING)


# --- identifiers ---------------------------------------------------------------------------------


def identifying(asked: SearchArgument) -> list[Token]:
    """Read tokens that stand for identifiers; ValueError for one without a value."""
    tokens = _tokens(asked)
    if not all(token.value for token in tokens):
        raise ValueError("an identifier is searched by its value, not by its system alone")
    return tokens


def id_attribute(kind: Kind) -> str:
    """Return the attribute that is the id of a resource: what it keeps in all its versions.

    It is the logicalID, which is the entryUUID of the first version (ITI TF-3 4.1.5); a
    SubmissionSet has one version.
    """
    return "entry_uuid" if kind is SubmissionSet else "logical_id"


@comparing(Searched.REFERENCE)
def logical_ids(asked: SearchArgument, attribute: str, where: SearchContext) -> ArgumentCriterion:
    """Compare the id of the resource (:func:`id_attribute`)."""
    return ArgumentCriterion(
        _equal(attribute, (UUID_URN + unescape(value) for value in asked.values))
    )


@comparing(*TEXTS)
def identifiers(asked: SearchArgument, attribute: str, where: SearchContext) -> ArgumentCriterion:
    """Compare uniqueId and entryUUID, with their system or without (ITI TF-2 Z.9.1)."""
    tokens = identifying(asked)
    unique_ids = [text for token in tokens for text in _unique_ids(token, where)]
    criteria = [_equal("unique_id", unique_ids)]
    uuids = [token.value.lower() for token in tokens if _is_uuid(token)]
    uuids += where.view.bearers(where.kind, [_further(token) for token in tokens])
    if uuids:
        criteria += [_equal(name, uuids) for name in {"entry_uuid", id_attribute(where.kind)}]
    extensions = [t.value for t in tokens if t.system is None and "^" not in t.value]
    if extensions and where.kind is DocumentEntry and where.has_patient:
        # without a patient this would look at every document there is
        criteria.append(_like("unique_id", (f"%^{_literal(text)}" for text in extensions)))
    return ArgumentCriterion(criteria[0] if len(criteria) == 1 else Or(*criteria))


def _further(token: Token) -> str:
    """Return a token as identifiers beside the object's own are looked up."""
    return f"{'*' if token.system is None else token.system}|{token.value}"


def _is_uuid(token: Token) -> bool:
    return token.system in (None, URI_SYSTEM) and token.value.lower().startswith(UUID_URN)


def _unique_ids(token: Token, where: SearchContext) -> Iterator[str]:
    """Yield every uniqueId that this identifier may stand for."""
    element = {"value": token.value, **({"system": token.system} if token.system else {})}
    read = unique_id_of if where.kind is DocumentEntry else package_unique_id
    with suppress(ValueError):
        yield read(element, where.facade.domain.systems)
    if token.system is None:
        yield token.value


@comparing(*TEXTS)
def source_ids(asked: SearchArgument, attribute: str, where: SearchContext) -> ArgumentCriterion:
    """Compare the sourceId; only its value matters (2:3.66.4.1.2.1)."""
    return ArgumentCriterion(
        _equal(attribute, (token.value.removeprefix(OID_URN) for token in identifying(asked)))
    )


@comparing(*TEXTS)
def references(asked: SearchArgument, attribute: str, where: SearchContext) -> ArgumentCriterion:
    """Compare referenceIdList by the identifier of what is referred to (2:3.67.4.1.2.1)."""
    patterns = [text for token in identifying(asked) for text in _reference(token, where)]
    return ArgumentCriterion(_like(attribute, patterns))


@comparing(*TEXTS)
def encounters(asked: SearchArgument, attribute: str, where: SearchContext) -> ArgumentCriterion:
    """Compare those of referenceIdList that are encounters."""
    tokens = identifying(asked)
    patterns = [
        f"{text}^{v.REFERENCE_ENCOUNTER_ID}" for token in tokens for text in _holder(token, where)
    ]
    return ArgumentCriterion(_like(attribute, patterns))


def _reference(token: Token, where: SearchContext) -> Iterator[str]:
    for text in _holder(token, where):
        yield f"{text}^%"


def _holder(token: Token, where: SearchContext) -> Iterator[str]:
    """Yield patterns for the components 1 to 4 of a CXi."""
    number = _literal(datatypes.escape(token.value))
    if token.system is None:
        yield f"{number}^^^%"
    elif token.system in ("", URI_SYSTEM):
        yield f"{number}^^^"
    else:
        for authority in _authorities(token.system, where):
            yield f"{number}^^^{authority}"
    if token.system in (None, URI_SYSTEM) and token.value.startswith(OID_URN):
        yield f"{number.removeprefix(OID_URN)}^^^"


def _authorities(system: str, where: SearchContext) -> Iterator[str]:
    """Yield patterns for the assigning authority of a CXi, which may have a namespace."""
    systems = where.facade.domain.systems
    oid = systems.authority(system)
    if oid is None:
        yield _literal(datatypes.escape(system))
        return
    yield f"%&{oid}&ISO"
    if namespace := systems.namespace(oid):
        yield _literal(datatypes.escape(namespace))


@comparing()
def communities(asked: SearchArgument, attribute: str, where: SearchContext) -> ArgumentCriterion:
    """Compare the communities to search with the only one that there is (MHD Target Communities).

    A warning tells of others; where all are, nothing is found.
    """
    home = where.facade.domain.registry.home_community_id
    wanted = {f"{OID_URN}{unescape(value).removeprefix(OID_URN)}" for value in asked.values}
    if wanted == {home}:
        return ArgumentCriterion(EVERYTHING)
    warning = Issue(
        code="not-supported",
        severity="warning",
        diagnostics=(
            f"{'not all' if home in wanted else 'none'} of the communities asked for are served"
            f" here{f', only {home}' if home else ''}"
        ),
        expression=(f"http.{asked.name}",),
    )
    return ArgumentCriterion(EVERYTHING if home in wanted else NOTHING, warning=warning)


# --- patients ------------------------------------------------------------------------------------


@comparing(Searched.REFERENCE)
def patients(asked: SearchArgument, attribute: str, where: SearchContext) -> ArgumentCriterion:
    """Compare the patient, named by a reference to the Patient resource."""
    numbers = [
        number
        for value in asked.values
        if (number := patient_number(reference_id(value, "Patient", where.base))) is not None
    ]
    known = where.view.patients_by_number(numbers)
    return ArgumentCriterion(_equal(attribute, (patient.patient_id for patient in known)))


def patient_number(identifier: str | None) -> int | None:
    """Return the number of the patient whose resource has this id, if it can be one."""
    if identifier is None or not re.fullmatch(r"[1-9][0-9]{0,17}", identifier):
        return None
    return int(identifier)


@comparing(Searched.REFERENCE)
def patient_identifiers(
    asked: SearchArgument, attribute: str, where: SearchContext
) -> ArgumentCriterion:
    """Compare the patient, named by an identifier."""
    found = [
        patient_id
        for token in identifying(asked)
        for patient_id in patient_ids(token, where.facade, where.view)
    ]
    return ArgumentCriterion(_equal(attribute, found))


def patient_ids(token: Token, facade: Facade, view: RegistryView) -> Sequence[str]:
    """Return the patient ids (CX) that an identifier may stand for."""
    if token.system is None and facade.config.assigning_authority is None:
        return [known.patient_id for known in view.patients_by_id_number(token.value)]
    oid = (
        facade.config.assigning_authority
        if token.system is None
        else facade.domain.systems.authority(token.system)
    )
    if not oid:
        return ()
    try:
        return (str(CX(token.value, oid)),)
    except ValueError:
        return ()


# --- what the registry has no column of ---------------------------------------------------------


@comparing()
def plain_codes(asked: SearchArgument, attribute: str, where: SearchContext) -> ArgumentCriterion:
    """Compare a code that has no codingScheme: a media type without parameters, a language."""
    wanted = {token.value.lower() for token in _tokens(asked)}
    return _looked_at(attribute, lambda text: text.partition(";")[0].strip().lower() in wanted)


@comparing()
def texts(asked: SearchArgument, attribute: str, where: SearchContext) -> ArgumentCriterion:
    """Compare the beginning of a text."""
    wanted = [unescape(value).strip() for value in asked.values]
    matches = _MATCHES[asked.modifier]
    return _looked_at(attribute, lambda text: any(matches(text, one) for one in wanted))


def _looked_at(attribute: str, fits: Callable[[str], bool]) -> ArgumentCriterion:
    return ArgumentCriterion(EVERYTHING, lambda thing: fits(getattr(thing, attribute) or ""))


# --- dates and numbers ---------------------------------------------------------------------------


def _from(attribute: str, time: str) -> Comparison:
    return Comparison(attribute, Operator.FROM, (time,))


def _before(attribute: str, time: str) -> Comparison:
    return Comparison(attribute, Operator.BEFORE, (time,))


@comparing(Searched.TIME)
def dates(asked: SearchArgument, attribute: str, where: SearchContext) -> ArgumentCriterion:
    """Compare a time; one of less precision counts as its first second, as in ITI-18."""
    spans = [Span.of_date(value) for value in asked.values]
    return ArgumentCriterion(_any(_within(attribute, span) for span in spans))


@comparing(Searched.NUMBER)
def numbers(asked: SearchArgument, attribute: str, where: SearchContext) -> ArgumentCriterion:
    """Compare a whole number; what has none is not found."""
    return ArgumentCriterion(_any(_within(attribute, number_span(value)) for value in asked.values))


def _any(criteria: Iterable[Criterion]) -> Criterion:
    listed = list(criteria)
    return listed[0] if len(listed) == 1 else Or(*listed)


def _within(attribute: str, span: Span) -> Criterion:
    match span.prefix:
        case "ne":
            return Or(_before(attribute, span.first), _from(attribute, span.end))
        case "gt" | "sa":
            return _from(attribute, span.end)
        case "ge":
            return _from(attribute, span.first)
        case "lt" | "eb":
            return _before(attribute, span.first)
        case "le":
            return _before(attribute, span.end)
    return And(_from(attribute, span.first), _before(attribute, span.end))


_START: Final = "service_start_time"
_STOP: Final = "service_stop_time"


@comparing(Searched.TIME)
def periods(asked: SearchArgument, attribute: str, where: SearchContext) -> ArgumentCriterion:
    """Compare the time of service, which overlaps with the span asked for (2:3.67.4.1.2.1).

    Where one end is not known it is open; where both are not, there is no period to compare.
    """
    spans = [Span.of_date(value) for value in asked.values]
    return ArgumentCriterion(_any(_period(span) for span in spans))


def _period(span: Span) -> Criterion:
    given = Or(_given(_START), _given(_STOP))
    match span.prefix:
        case "ne":
            return And(given, Not(_overlap(span)))
        case "gt":
            return And(given, _ends_from(span.end))
        case "ge":
            return And(given, _ends_from(span.first))
        case "lt":
            return And(given, _begins_before(span.first))
        case "le":
            return And(given, _begins_before(span.end))
        case "sa":
            return _from(_START, span.end)
        case "eb":
            return _before(_STOP, span.first)
    return And(given, _overlap(span))


def _given(attribute: str) -> Comparison:
    return Comparison(attribute, Operator.GIVEN)


def _overlap(span: Span) -> Criterion:
    return And(_begins_before(span.end), _ends_from(span.first))


def _begins_before(time: str) -> Criterion:
    return Or(_before(_START, time), Not(_given(_START)))


def _ends_from(time: str) -> Criterion:
    return Or(_from(_STOP, time), Not(_given(_STOP)))


# --- names ---------------------------------------------------------------------------------------


@comparing(*TEXTS)
def family_names(asked: SearchArgument, attribute: str, where: SearchContext) -> ArgumentCriterion:
    """Compare the family names of authors."""
    return _names(asked, attribute, components=1, names=_family)


@comparing(*TEXTS)
def given_names(asked: SearchArgument, attribute: str, where: SearchContext) -> ArgumentCriterion:
    """Compare the given names of authors, the first and further ones."""
    return _names(asked, attribute, components=2, names=_given_names)


def _family(person: Sequence[str]) -> list[str]:
    return [person[1].partition("&")[0]]


def _given_names(person: Sequence[str]) -> list[str]:
    return [person[2], person[3], *person[3].split()]


def _names(
    asked: SearchArgument,
    attribute: str,
    *,
    components: int,
    names: Callable[[Sequence[str]], list[str]],
) -> ArgumentCriterion:
    """Let the registry find candidates, and look at the right component of each."""
    texts = [unescape(value).strip() for value in asked.values]
    matches = _MATCHES[asked.modifier]

    def check(thing: MetadataObject) -> bool:
        found = [datatypes.unescape(name) for one in _persons(thing) for name in names(one) if name]
        return any(matches(name, text) for text in texts for name in found)

    return ArgumentCriterion(_like(attribute, (_rough(text, components) for text in texts)), check)


def _persons(thing: MetadataObject) -> Iterator[Sequence[str]]:
    assert isinstance(thing, DocumentEntry | SubmissionSet), "a Folder has no author"
    for author in thing.author:
        for person in author.person:
            parts = person.split("^")
            yield parts + [""] * (4 - len(parts))


def _folded(text: str) -> str:
    """Return a text without case and accents (FHIR R4 search, string)."""
    apart = unicodedata.normalize("NFD", text.casefold())
    return "".join(c for c in apart if not unicodedata.combining(c))


_MATCHES: Final[dict[str, Callable[[str, str], bool]]] = {
    "": lambda name, text: _folded(name).startswith(_folded(text)),
    "contains": lambda name, text: _folded(text) in _folded(name),
    "exact": lambda name, text: name == text,
}

# letters that no living name writes with an accent, so that a database finds them as they are
_BARE: Final = frozenset("bfjmpqvx0123456789")


def _rough(text: str, components: int) -> str:
    """Return a pattern that every person of that name fits, and some others."""
    wild = "".join(c if c in _BARE else "%" for c in _folded(text))
    return re.sub("%+", "%", "%^" * components + f"%{wild}%")
