"""Stored queries: the form of one, the message that it becomes, and what was answered."""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Final, Never

from xds.client.answers import ObjectRef, QueryResponse
from xds.client.consumer import query_request
from xds.client.parameters import AllOf, QueryValue, slots
from xds.console.views import shown
from xds.console.views.workbench.asked import (
    FIELDS,
    AnsweredError,
    AnsweredObject,
    AskedParameter,
    AskingCommand,
    WorkbenchAnswer,
    base,
    results,
    shown_raw,
)
from xds.console.visits import Visit
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_18
from xds.metadata.ebrim import RegistryObject
from xds.metadata.objects import Association, DocumentEntry, Folder, SubmissionSet
from xds.parsing import parse
from xds.registry.queries.parameters import AVAILABILITY, CODE, ENTRY_TYPE, PATTERN, TIME, Parameter
from xds.registry.queries.steps import StoredQuery
from xds.registry.queries.stored_queries import STORED_QUERIES
from xds.transactions import iti18_registry_stored_query as iti18
from xds.transactions import iti51_multi_patient_stored_query as iti51
from xds.transactions.messages import Request
from xds.transactions.transaction import Transaction
from xds.wire.envelope import CLOSE, opening

QUERIES: Final[Mapping[str, StoredQuery]] = {one.name: one for one in STORED_QUERIES.values()}
RETURN_TYPES: Final = (v.LEAF_CLASS, v.OBJECT_REF)
_TRANSACTIONS: Final[Mapping[str, Transaction]] = {
    one.name: one for one in (iti18.TRANSACTION, iti51.TRANSACTION)
}
_UUID_URN: Final = "urn:uuid:"
_EXAMPLES: Final = {
    CODE: "11488-4^^2.16.840.1.113883.6.1",
    PATTERN: "%Smith%, with % for any characters and _ for one",
    TIME: "20261125 or 20261125093000, UTC",
    AVAILABILITY: v.ONLINE,
    ENTRY_TYPE: v.STABLE_DOCUMENT_ENTRY,
}
_OF_ATTRIBUTES: Final = {
    "patient_id": "P1^^^&2.999.1.1&ISO",
    "unique_id": "2.999.7.1",
    "entry_uuid": "urn:uuid:… or …",
    "availability_status": v.APPROVED,
}
_PLACES: Final = {
    DocumentEntry: "/documents/",
    SubmissionSet: "/submission-sets/",
    Folder: "/folders/",
}
_OF_FIND: Final = {
    "$XDSDocumentEntryPatientId": "--patient",
    "$XDSDocumentEntryClassCode": "--class-code",
    "$XDSDocumentEntryTypeCode": "--type-code",
    "$XDSDocumentEntryFormatCode": "--format-code",
    "$XDSDocumentEntryAuthorPerson": "--author",
    "$XDSDocumentEntryCreationTimeFrom": "--from",
    "$XDSDocumentEntryCreationTimeTo": "--to",
}
"""The options of `xds find` by the parameters of FindDocuments."""
_START: Final = re.compile(r"\d{1,9}", re.ASCII)


class _NoDocuments:
    """There are none beside a query."""

    def take(self, href: str) -> Never:
        """Have nothing."""
        raise LookupError(href)

    def stage(self, base64: str) -> Never:
        """Have nothing."""
        raise LookupError


# --- the form ------------------------------------------------------------------------------------


def parameters(query: StoredQuery, given: Mapping[str, str]) -> list[AskedParameter]:
    """Return the parameters of a query, those that are needed first."""
    return [
        AskedParameter(
            field=field,
            name=one.name,
            hint="; ".join(_hints(query, one)),
            comes_first=_is_needed(query, one),
            is_many=one.multiple or one.conjunctive,
            value=given.get(field, ""),
            usual=v.APPROVED if one.required and one.attribute == "availability_status" else "",
        )
        for field, one in zip(FIELDS, _ordered(query), strict=False)
    ]


def _ordered(query: StoredQuery) -> list[Parameter]:
    return sorted(query.parameters, key=lambda one: not _is_needed(query, one))


def _is_needed(query: StoredQuery, one: Parameter) -> bool:
    return one.required or bool(query.alternatives and one.name in query.alternatives.names)


def _hints(query: StoredQuery, one: Parameter) -> Iterator[str]:
    if one.required:
        yield "required"
    elif query.alternatives and one.name in query.alternatives.names:
        yield "one of these is required" if query.alternatives.exclusive else "one at least"
    yield one.kind.name
    example = _OF_ATTRIBUTES.get(one.attribute) or _EXAMPLES.get(one.kind)
    if one.kind.known:
        yield " or ".join(sorted(one.kind.known))
    elif example:
        yield f"such as {example}"
    if one.multiple:
        yield "one on each line, of which one is enough"
    if one.conjunctive:
        yield "an empty line between two lists asks for both"
    if one.default:
        yield f"{', '.join(text for group in one.default for text in group)} where nothing is given"


def _values(query: StoredQuery, given: Mapping[str, str]) -> dict[str, QueryValue]:
    """Return the parameters that are given, as a client writes them."""
    found: dict[str, QueryValue] = {}
    for field, one in zip(FIELDS, _ordered(query), strict=False):
        texts = [
            [line.strip() for line in group.split("\n") if line.strip()]
            for group in re.split(r"\n[ \t]*\n", given.get(field, "").strip())
        ]
        groups = [group for group in texts if group]
        if not groups:
            continue
        if not one.conjunctive or len(groups) == 1:
            lines = [line for group in groups for line in group]
            is_list = one.multiple or one.conjunctive or len(lines) > 1
            found[one.name] = lines if is_list else _item(one, lines[0])
        else:
            found[one.name] = AllOf(tuple(groups))
    return found


def _item(one: Parameter, text: str) -> str | int:
    """Return a single value; what is not quoted is a number, whose zeros times keep."""
    is_number = not one.kind.quoted and one.kind is not TIME and text.isascii() and text.isdecimal()
    return int(text) if is_number else text


# --- asking --------------------------------------------------------------------------------------


def message(visit: Visit, query: StoredQuery) -> str:
    """Return the request; ValueError where a value has what no XML can carry."""
    given = visit.given
    start = int(given["start"]) if _START.fullmatch(given["start"]) else 0
    return_type = given["return"] if given["return"] in RETURN_TYPES else v.LEAF_CLASS
    page = (start, results(given))
    return query_request(query.query_id, slots(_values(query, given)), return_type, page=page)


def ask(visit: Visit, query: StoredQuery, text: str) -> WorkbenchAnswer:
    """Ask a stored query as the person who has logged in, recorded as any."""
    transaction = _TRANSACTIONS[query.transaction]
    body = parse(text.encode())
    request = Request(body, _NoDocuments(), visit.access(transaction.name))
    response = transaction.answer(visit.domain, request)
    middle = b"".join(response.between or ())
    raw = middle.join(response.pieces) if len(response.pieces) > 1 else response.pieces[0]
    root = parse(raw)
    answer = QueryResponse.read(root)
    total = root.get("totalResultCount", "")
    start = int(body.get("startIndex", "0"))
    objects = [*map(_reference, answer.object_refs), *map(_object, answer.objects)]
    end = start + len(objects)
    whole, is_cut = shown_raw(raw.decode("utf-8", "replace").replace("><", ">\n<"))
    return WorkbenchAnswer(
        status=answer.response.status.rpartition(":")[2],
        is_success=answer.response.is_success,
        errors=[
            AnsweredError(one.code, one.code_context, one.severity.rpartition(":")[2], one.location)
            for one in answer.response.errors
        ],
        objects=objects,
        total=total,
        raw=whole,
        is_cut=is_cut,
        following=str(end) if total.isdecimal() and objects and int(total) > end else "",
    )


def _reference(one: ObjectRef) -> AnsweredObject:
    return AnsweredObject("ObjectRef", one.entry_uuid, "", one.entry_uuid)


def _object(one: RegistryObject) -> AnsweredObject:
    identifier = one.id.removeprefix(_UUID_URN)
    place = next((path + identifier for kind, path in _PLACES.items() if isinstance(one, kind)), "")
    match one:
        case DocumentEntry():
            name = one.title or shown.code(one.type_code)
            detail = f"{shown.code(one.class_code)}, {shown.status(one.availability_status)}"
        case SubmissionSet() | Folder():
            name, detail = one.title or identifier, shown.status(one.availability_status)
        case Association():
            name = one.association_type.rpartition(":")[2]
            detail = f"{one.source} to {one.target}"
        case _:
            name = detail = ""
    return AnsweredObject(type(one).__name__, name, detail, one.id, place)


# --- the same by programs ------------------------------------------------------------------------


def commands(visit: Visit, query: StoredQuery, text: str) -> list[AskingCommand]:
    """Return how programs ask the same."""
    transaction = _TRANSACTIONS[query.transaction]
    url = f"{base(visit.console.config)}/{transaction.actor}"
    envelope = opening(f"<wsa:Action>{transaction.request_action}</wsa:Action>").decode()
    content_type = (
        f'Content-Type: application/soap+xml; charset=UTF-8; action="{transaction.request_action}"'
    )
    whole = f"{envelope}{text}{CLOSE.decode()}"
    found = [
        AskingCommand(
            "By curl",
            f"curl -H {shlex.quote(content_type)} --data-binary @- {shlex.quote(url)} <<'END'\n"
            f"{whole}\nEND",
        )
    ]
    values = _values(query, visit.given)
    if query.transaction == ITI_18.name:
        found.append(AskingCommand("By the client for Python", _python(query, values, url)))
    if command := _find(visit, query, values):
        found.append(AskingCommand("By xds find", command))
    return found


def _python(query: StoredQuery, values: Mapping[str, QueryValue], url: str) -> str:
    lines = "".join(f"\n        {name!r}: {value!r}," for name, value in values.items())
    return (
        "from xds.client import AllOf, DocumentConsumer\n\n"
        f"with DocumentConsumer({url!r}) as consumer:\n"
        f"    found = consumer.stored_query({query.query_id!r}, {{{lines}\n    }})"
    )


def _find(visit: Visit, query: StoredQuery, values: Mapping[str, QueryValue]) -> str:
    """Return `xds find` where its options say all that is asked; else nothing."""
    status = values.get("$XDSDocumentEntryStatus")
    asked = {name: one for name, one in values.items() if name != "$XDSDocumentEntryStatus"}
    if query.query_id != v.FIND_DOCUMENTS or not asked.keys() <= _OF_FIND.keys():
        return ""
    names = {str([v.APPROVED]): "approved", str([v.DEPRECATED]): "deprecated"}
    parts = [
        "xds",
        "find",
        "--url",
        base(visit.console.config),
        "--status",
        names.get(str(status), "any"),
    ]
    for name, value in asked.items():
        for one in [value] if isinstance(value, str) else value:  # type: ignore[union-attr]
            parts += [_OF_FIND[name], str(one)]
    return shlex.join(parts)
