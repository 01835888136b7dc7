"""What the values of a search parameter mean as criteria (MHD 2:3.66.4.1.2, 2:3.67.4.1.2).

One function for each way in which a parameter is compared; :mod:`xds.mhd.search.parameters` names
them in its tables. Codes compare in any case, as R4 asks of a server that does not know better.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from xds.fhir.datatypes.identifiers import package_unique_id, unique_id_of
from xds.fhir.r4.outcome import Issue
from xds.fhir.search.parameters import (
    DomainNames,
    Kind,
    SearchArgument,
    SearchContext,
    comparing,
)
from xds.fhir.search.values import Span, Token, number_span, reference_id, unescape
from xds.fhir.vocabulary import (
    CURRENT,
    ENTERED_IN_ERROR,
    OID_URN,
    RETIRED,
    SUPERSEDED,
    URI_SYSTEM,
    UUID_URN,
)
from xds.metadata import hl7_escapes
from xds.metadata import vocabulary as v
from xds.metadata.criteria import (
    ANYTHING,
    NOTHING,
    And,
    Comparison,
    Criterion,
    Not,
    Operator,
    Or,
    any_of,
    before,
    equal,
    folded,
    given,
    negated,
    since,
)
from xds.metadata.datatypes import CX
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet
from xds.metadata.searched import TEXTS, Searched
from xds.mhd.mapping.common import ENTERED_IN_ERROR_MARK
from xds.mhd.vocabulary import FOLDER, LIST_TYPES, SUBMISSION_SET
from xds.registry.queries.views import RegistryView


def _tokens(asked: SearchArgument) -> list[Token]:
    return [Token.parse(value) for value in asked.values]


def _like(attribute: str, patterns: Iterable[str]) -> Criterion:
    listed = tuple(dict.fromkeys(patterns))
    return Comparison(attribute, Operator.LIKE_ANY_CASE, listed) if listed else NOTHING


def _literal(text: str) -> str:
    """Escape what is wild in a pattern."""
    return re.sub(r"([\\%_])", r"\\\1", text)


# --- codes ---------------------------------------------------------------------------------------


@comparing(*TEXTS)
def codes(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare codes with an attribute that holds them as ``code^^codingScheme``."""
    patterns = [pattern for token in _tokens(asked) for pattern in _code(token, where)]
    criterion = _like(attribute, patterns)
    if attribute not in _WITH_FURTHER:
        return criterion
    name = _literal(where.kind.attributes()[attribute].tf_name)
    further = _like("further_codes", (f"{name}|{pattern}" for pattern in patterns))
    return any_of([criterion, further])


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
        for scheme in where.names.systems.schemes(token.system):
            yield f"{code}^^{_literal(scheme)}"


_DEPRECATED: Final = Comparison("availability_status", Operator.EQUAL, (v.DEPRECATED,))
_MARKED: Final = Comparison("further_codes", Operator.EQUAL, (ENTERED_IN_ERROR_MARK,))
IN_ERROR: Final = And(_DEPRECATED, _MARKED)
"""That an object was entered in error (:func:`xds.mhd.mapping.common.is_in_error`)."""
_SUPERSEDED: Final = And(_DEPRECATED, Not(_MARKED))
_STATUSES: Final[Mapping[str, Criterion]] = {
    CURRENT: Comparison("availability_status", Operator.EQUAL, (v.APPROVED,)),
    SUPERSEDED: _SUPERSEDED,
    RETIRED: _SUPERSEDED,
    ENTERED_IN_ERROR: IN_ERROR,
}
"""``retired`` is R4's word for what MHD's List table calls ``superseded``."""


@comparing(*TEXTS)
def statuses(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare the status; its system does not matter, MHD wants none (2:3.67.4.1.2.1)."""
    wanted = {token.value.lower() for token in _tokens(asked)}
    if wanted - _STATUSES.keys():
        raise ValueError(f"not one of {', '.join(_STATUSES)}")
    return any_of(_STATUSES[one] for one in sorted(wanted))


_LIST_CODES: Final[dict[Kind, str]] = {SubmissionSet: SUBMISSION_SET, Folder: FOLDER}


@comparing()
def list_codes(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare the code of a List, which says whether it is a SubmissionSet or a Folder."""
    own = _LIST_CODES[where.kind]
    named = any(
        token.system in (None, LIST_TYPES) and token.value.lower() in ("", own)
        for token in _tokens(asked)
    )
    return ANYTHING if named else NOTHING


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
def logical_ids(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare the id of the resource (:func:`id_attribute`)."""
    return equal(attribute, (UUID_URN + unescape(value) for value in asked.values))


@comparing(*TEXTS)
def identifiers(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare uniqueId and entryUUID, with their system or without (ITI TF-2 Z.9.1)."""
    tokens = identifying(asked)
    bearers = where.view.bearers(where.kind, [further_identifier(token) for token in tokens])
    criteria = [own_identifiers(tokens, where), *_uuids(bearers, where)]
    extensions = [t.value for t in tokens if t.system is None and "^" not in t.value]
    if extensions and where.kind is DocumentEntry and where.has_patient:
        # without a patient this would look at every document there is
        criteria.append(_like("unique_id", (f"%^{_literal(text)}" for text in extensions)))
    return any_of(criteria)


def own_identifiers(tokens: Sequence[Token], where: SearchContext) -> Criterion:
    """Compare uniqueId, entryUUID and logicalID, whether or not there is such an object yet."""
    unique_ids = [text for token in tokens for text in _unique_ids(token, where)]
    uuids = [token.value.lower() for token in tokens if _is_uuid(token)]
    return any_of([equal("unique_id", unique_ids), *_uuids(uuids, where)])


def _uuids(uuids: Sequence[str], where: SearchContext) -> Iterator[Criterion]:
    yield equal("entry_uuid", uuids)
    if (name := id_attribute(where.kind)) != "entry_uuid":
        yield equal(name, uuids)


def further_identifier(token: Token) -> str:
    """Return a token as identifiers beside the object's own are looked up."""
    return f"{'*' if token.system is None else token.system}|{token.value}"


def _is_uuid(token: Token) -> bool:
    return token.system in (None, URI_SYSTEM) and token.value.lower().startswith(UUID_URN)


def _unique_ids(token: Token, where: SearchContext) -> Iterator[str]:
    """Yield every uniqueId that this identifier may stand for."""
    element = {"value": token.value, **({"system": token.system} if token.system else {})}
    read = unique_id_of if where.kind is DocumentEntry else package_unique_id
    with suppress(ValueError):
        yield read(element, where.names.systems)
    if token.system is None:
        yield token.value


@comparing(*TEXTS)
def source_ids(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare the sourceId; only its value matters (2:3.66.4.1.2.1)."""
    return equal(attribute, (token.value.removeprefix(OID_URN) for token in identifying(asked)))


@comparing(*TEXTS)
def references(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare referenceIdList by the identifier of what is referred to (2:3.67.4.1.2.1)."""
    patterns = [text for token in identifying(asked) for text in _reference(token, where)]
    return _like(attribute, patterns)


@comparing(*TEXTS)
def encounters(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare those of referenceIdList that are encounters."""
    tokens = identifying(asked)
    patterns = [
        f"{text}^{v.REFERENCE_ENCOUNTER_ID}" for token in tokens for text in _holder(token, where)
    ]
    return _like(attribute, patterns)


def _reference(token: Token, where: SearchContext) -> Iterator[str]:
    for text in _holder(token, where):
        yield f"{text}^%"


def _holder(token: Token, where: SearchContext) -> Iterator[str]:
    """Yield patterns for the components 1 to 4 of a CXi."""
    number = _literal(hl7_escapes.escape(token.value))
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
    systems = where.names.systems
    oid = systems.authority(system)
    if oid is None:
        yield _literal(hl7_escapes.escape(system))
        return
    yield f"%&{oid}&ISO"
    if namespace := systems.namespace(oid):
        yield _literal(hl7_escapes.escape(namespace))


def _communities(asked: SearchArgument, where: SearchContext) -> tuple[str | None, set[str]]:
    """Return the community that there is, and those to search."""
    home = where.names.home_community_id
    return home, {f"{OID_URN}{unescape(value).removeprefix(OID_URN)}" for value in asked.values}


@comparing()
def communities(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare the communities to search with the only one that there is (MHD Target Communities).

    A warning tells of others (:func:`of_communities`); where all are, nothing is found.
    """
    home, wanted = _communities(asked, where)
    return ANYTHING if home in wanted else NOTHING


def of_communities(asked: SearchArgument, where: SearchContext) -> Issue | None:
    """Warn of communities that are not served here."""
    home, wanted = _communities(asked, where)
    if wanted == {home}:
        return None
    return Issue(
        code="not-supported",
        severity="warning",
        diagnostics=(
            f"{'not all' if home in wanted else 'none'} of the communities asked for are served"
            f" here{f', only {home}' if home else ''}"
        ),
        expression=(f"http.{asked.name}",),
    )


# --- patients ------------------------------------------------------------------------------------


@comparing(Searched.REFERENCE)
def patients(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare the patient, named by a reference to the Patient resource."""
    numbers = [
        number
        for value in asked.values
        if (number := patient_number(reference_id(value, "Patient", where.base))) is not None
    ]
    known = where.view.patients_by_number(numbers)
    return equal(attribute, (patient.patient_id for patient in known))


def patient_number(identifier: str | None) -> int | None:
    """Return the number of the patient whose resource has this id, if it can be one."""
    if identifier is None or not re.fullmatch(r"[1-9][0-9]{0,17}", identifier):
        return None
    return int(identifier)


@comparing(Searched.REFERENCE)
def patient_identifiers(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare the patient, named by an identifier."""
    found = [
        patient_id
        for token in identifying(asked)
        for patient_id in patient_ids(token, where.names, where.view)
    ]
    return equal(attribute, found)


def patient_ids(token: Token, names: DomainNames, view: RegistryView) -> Sequence[str]:
    """Return the patient ids (CX) that an identifier may stand for."""
    if token.system is None and names.assigning_authority is None:
        return [known.patient_id for known in view.patients_by_id_number(token.value)]
    oid = (
        names.assigning_authority if token.system is None else names.systems.authority(token.system)
    )
    if not oid:
        return ()
    try:
        return (str(CX(token.value, oid)),)
    except ValueError:
        return ()


# --- what is compared in memory ---------------------------------------------------------


@comparing()
def plain_codes(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare a code that has no codingScheme: a media type without parameters, a language."""
    codes = [_literal(token.value) for token in _tokens(asked)]
    return _like(attribute, (f"{code}{rest}" for code in codes for rest in ("", ";%", " ;%")))


_STRINGS: Final = {"": Operator.STARTS, "contains": Operator.CONTAINS, "exact": Operator.EQUAL}
"""How a string is compared, by the modifier (FHIR R4 search, string)."""


@comparing()
def texts(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare the beginning of a text."""
    values = tuple(unescape(value).strip() for value in asked.values)
    return Comparison(attribute, _STRINGS[asked.modifier], values)


# --- dates and numbers ---------------------------------------------------------------------------


@comparing(Searched.TIME)
def dates(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare a time; one of less precision counts as its first second, as in ITI-18."""
    spans = [Span.of_date(value) for value in asked.values]
    return any_of(_within(attribute, span) for span in spans)


@comparing(Searched.NUMBER)
def numbers(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare a whole number; what has none is not found."""
    return any_of(_within(attribute, number_span(value)) for value in asked.values)


def _within(attribute: str, span: Span) -> Criterion:
    match span.prefix:
        case "ne":
            return Or(before(attribute, span.first), since(attribute, span.end))
        case "gt" | "sa":
            return since(attribute, span.end)
        case "ge":
            return since(attribute, span.first)
        case "lt" | "eb":
            return before(attribute, span.first)
        case "le":
            return before(attribute, span.end)
    return And(since(attribute, span.first), before(attribute, span.end))


_START: Final = "service_start_time"
_STOP: Final = "service_stop_time"


@comparing(Searched.TIME)
def periods(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare the time of service, which overlaps with the span asked for (2:3.67.4.1.2.1).

    Where one end is not known it is open; where both are not, there is no period to compare.
    """
    spans = [Span.of_date(value) for value in asked.values]
    return any_of(_period(span) for span in spans)


def _period(span: Span) -> Criterion:
    is_given = Or(given(_START), given(_STOP))
    match span.prefix:
        case "ne":
            return And(is_given, Not(_overlap(span)))
        case "gt":
            return And(is_given, _ends_from(span.end))
        case "ge":
            return And(is_given, _ends_from(span.first))
        case "lt":
            return And(is_given, _begins_before(span.first))
        case "le":
            return And(is_given, _begins_before(span.end))
        case "sa":
            return since(_START, span.end)
        case "eb":
            return before(_STOP, span.first)
    return And(is_given, _overlap(span))


def _overlap(span: Span) -> Criterion:
    return And(_begins_before(span.end), _ends_from(span.first))


def _begins_before(time: str) -> Criterion:
    return Or(before(_START, time), negated(given(_START)))


def _ends_from(time: str) -> Criterion:
    return Or(since(_STOP, time), negated(given(_STOP)))


# --- names ---------------------------------------------------------------------------------------


@comparing(*TEXTS)
def family_names(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare the family names of authors."""
    return _names(asked, attribute, "author_family", components=1)


@comparing(*TEXTS)
def given_names(asked: SearchArgument, attribute: str, where: SearchContext) -> Criterion:
    """Compare the given names of authors, the first and further ones."""
    return _names(asked, attribute, "author_given", components=2)


def _names(asked: SearchArgument, attribute: str, part: str, *, components: int) -> Criterion:
    """Let the database find candidates, of whom the right component is compared in memory."""
    values = tuple(unescape(value).strip() for value in asked.values)
    candidates = _like(attribute, (_rough(value, components) for value in values))
    return And(candidates, Comparison(part, _STRINGS[asked.modifier], values))


# letters that no living name writes with an accent, so that a database finds them as they are
_BARE: Final = frozenset("bfjmpqvx0123456789")


def _rough(text: str, components: int) -> str:
    """Return a pattern that every person of that name fits, and some others."""
    wild = "".join(c if c in _BARE else "%" for c in folded(text))
    return re.sub("%+", "%", "%^" * components + f"%{wild}%")
