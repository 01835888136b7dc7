"""Each transaction of the catalogue has all that it needs, and nothing is answered beside it.

A row that is new is told of by a sentence for each place that has to say something of it yet.
"""

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

from lxml import etree

from tests.sources import parsed
from xds import schema_validation
from xds.app import INTERACTIONS
from xds.audit import vocabulary as av
from xds.fhir.interactions import OPEN
from xds.hl7v2.feed import EVENTS
from xds.messaging.filing import DOCUMENT_EVENTS
from xds.metadata.catalogue import CATALOGUE, SoapMessages, TransactionKind, TransactionRow
from xds.metadata.rules.submission_rules import SUBMISSION_RULES
from xds.registry.queries.stored_queries import STORED_QUERIES
from xds.security import policy
from xds.transactions.table import TRANSACTIONS

ROOT: Final = Path(__file__).resolve().parents[1]
_XS: Final = "{http://www.w3.org/2001/XMLSchema}"
_WSAM: Final = "{http://www.w3.org/2007/05/addressing/metadata}"
_SUBMITTING: Final = (TransactionKind.SUBMIT, TransactionKind.UPDATE)
_PREFIX: Final = "(?:ITI|CARD|LAB)"
_NAME: Final = re.compile(rf"{_PREFIX}-\d+(, {_PREFIX}-\d+)*")
_MESSAGES: Final = {
    **{key: one.transaction for key, one in EVENTS.items()},
    **{key: one.name for key, one in DOCUMENT_EVENTS.items()},
}
_BY_FHIR: Final = {
    name: [row.path for row in INTERACTIONS if name in row.name.split(", ")]
    for one in INTERACTIONS
    if one.code not in OPEN
    for name in one.name.split(", ")
}


def undecided() -> list[str]:
    """Return a sentence for each place where a transaction of the catalogue lacks something."""
    return [f"{row.name}: {what}" for row in CATALOGUE for what in _lacking(row)]


def _lacking(row: TransactionRow) -> Iterator[str]:
    if not (row.soap or row.hl7v2) and row.fhir is None:
        yield "catalogue.py binds it to nothing: no SOAP messages, no FHIR path, no trigger event"
    if row.name not in av.EVENTS:
        yield "catalogue.py gives it no audit event, and it would not be recorded"
    if row.name not in policy.TRANSACTIONS:
        kind = row.kind.value
        yield f"security/policy.py decides nothing of the kind {kind}: no rule can name it"
    for messages in row.soap:
        yield from _lacking_by_soap(row, messages)
    if row.soap and row.actor == "registry":
        yield from _lacking_in_registry(row)
    if row.fhir is not None:
        yield from _lacking_by_fhir(row, row.fhir)
    for one in row.hl7v2:
        if _MESSAGES.get((one.code, one.trigger)) != row.name:
            yield f"hl7v2/feed.py has no handler of {one.code}^{one.trigger} in EVENTS"
    yield from _lacking_in_docs(row)


def _lacking_by_soap(row: TransactionRow, messages: SoapMessages) -> Iterator[str]:
    if not any((one.catalogued, one.messages) == (row, messages) for one in TRANSACTIONS):
        yield f"transactions/table.py has no handler of {messages.action} in TRANSACTIONS"
    if messages.element not in _declared():
        yield f"no schema declares {messages.element}"
    title = f"{row.title}: {messages.title}" if messages.title else row.title
    wanted = (
        f"{row.name} {title}",
        messages.action,
        messages.response_action,
        messages.element,
    )
    if wanted not in _operations(row.actor):
        yield f"wsdl/{row.actor}.wsdl has no operation of {', '.join(wanted)}"
    if messages.action not in _bound(row.actor):
        yield f"wsdl/{row.actor}.wsdl has no binding of {messages.action}"


def _lacking_in_registry(row: TransactionRow) -> Iterator[str]:
    if row.kind in _SUBMITTING and not any(
        row.name in rule.transactions for rule in SUBMISSION_RULES
    ):
        yield "metadata/rules has no rule for it: whatever is submitted would be registered"
    if row.kind is TransactionKind.QUERY and not any(
        query.transaction == row.name for query in STORED_QUERIES.values()
    ):
        yield "registry/queries/stored_queries.py has no stored query of it"


def _lacking_by_fhir(row: TransactionRow, path: str) -> Iterator[str]:
    if not any(one.startswith(path) for one in _BY_FHIR.get(row.name, ())):
        yield f"no FHIR service has an interaction at {path or 'the base'}"


def _lacking_in_docs(row: TransactionRow) -> Iterator[str]:
    if not re.search(rf"\b{row.name}\b", (ROOT / "README.md").read_text()):
        yield "README.md does not name it"
    lines = (ROOT / "docs" / "policy.md").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("| `transactions` "))
    if row.name.removeprefix("ITI-") not in re.findall(
        r"(?:[A-Z]+-)?\d+|[a-z]+-[a-z]+", line.replace("ITI-", "")
    ):
        yield "docs/policy.md does not name it among the transactions of a rule"


# --- the contract --------------------------------------------------------------------------------


@cache
def _declared() -> frozenset[str]:
    """Return each element that a schema declares, ``{namespace}name``."""
    schemas = [etree.parse(str(path)).getroot() for path in (ROOT / "schemas").glob("*.xsd")]
    return frozenset(
        f"{{{schema.get('targetNamespace')}}}{element.get('name')}"
        for schema in schemas
        for element in schema.iterchildren(f"{_XS}element")
    )


@cache
def _operations(actor: str) -> frozenset[tuple[str, ...]]:
    """Return documentation, both actions and the request's element of each operation."""
    tree = _wsdl(actor)
    elements = _elements(tree)
    return frozenset(
        (
            operation.findtext("{*}documentation"),
            operation.find("{*}input").get(f"{_WSAM}Action"),
            _action(operation.find("{*}output")),
            elements[_message(operation)],
        )
        for operation in tree.iterfind("{*}portType/{*}operation")
    )


def _elements(tree: etree._Element) -> dict[str, str]:
    """Return the body element of each message by the message's name."""
    return {
        message.get("name"): _resolved(message.find("{*}part"))
        for message in tree.iterfind("{*}message")
    }


def _message(operation: etree._Element) -> str:
    """Return the name of the message that is the request of an operation."""
    name: str = operation.find("{*}input").get("message").partition(":")[2]
    return name


def _action(output: etree._Element | None) -> str:
    """Return the action of an answer; empty where there is none."""
    return "" if output is None else output.get(f"{_WSAM}Action")


def _resolved(part: etree._Element) -> str:
    prefix, _, name = part.get("element").partition(":")
    return f"{{{part.nsmap[prefix]}}}{name}"


def _bound(actor: str) -> frozenset[str]:
    path = "{*}binding/{*}operation/{*}operation"
    return frozenset(one.get("soapAction") for one in _wsdl(actor).iterfind(path))


@cache
def _wsdl(actor: str) -> etree._Element:
    if actor not in schema_validation.ACTORS:
        return etree.Element("none")
    return etree.fromstring(schema_validation.wsdl(actor, f"http://example.org/{actor}"))


# --- what is there -------------------------------------------------------------------------------


def test_every_transaction_is_decided_everywhere() -> None:
    lacking = undecided()
    assert not lacking, "\n".join(lacking)


def test_nothing_is_answered_that_is_not_in_the_catalogue() -> None:
    assert all(row.catalogued in CATALOGUE for row in TRANSACTIONS)
    assert all(row.messages in row.catalogued.soap for row in TRANSACTIONS)
    assert _BY_FHIR.keys() == {row.name for row in CATALOGUE if row.fhir is not None}
    assert not EVENTS.keys() & DOCUMENT_EVENTS.keys()
    assert {(name, *key) for key, name in _MESSAGES.items()} == {
        (row.name, one.code, one.trigger) for row in CATALOGUE for one in row.hl7v2
    }
    for actor in schema_validation.ACTORS:
        actions = {one.action for row in CATALOGUE if row.actor == actor for one in row.soap}
        assert {action for _, action, *_ in _operations(actor)} == actions == _bound(actor)


def test_no_two_operations_of_a_port_type_have_the_same_body() -> None:
    """WS-I Basic Profile, R2710: the other has a port type, a binding and a port of its own."""
    for actor in schema_validation.ACTORS:
        tree = _wsdl(actor)
        elements = _elements(tree)
        for port_type in tree.iterfind("{*}portType"):
            _assert_distinct(elements[_message(one)] for one in port_type.iterfind("{*}operation"))


def test_no_two_rows_have_the_same_name_or_message() -> None:
    _assert_distinct(row.name for row in CATALOGUE)
    _assert_distinct(messages.action for row in CATALOGUE for messages in row.soap)
    _assert_distinct(f"{one.code}^{one.trigger}" for row in CATALOGUE for one in row.hl7v2)
    numbers = [
        (p != "ITI", p, int(n) if n.isdecimal() else 0)
        for p, _, n in (one.name.partition("-") for one in CATALOGUE)
    ]
    assert numbers == sorted(numbers)


def _assert_distinct(names: Iterable[str]) -> None:
    assert [name for name, times in Counter(names).items() if times > 1] == []


def test_a_name_is_written_in_the_catalogue_alone() -> None:
    names = {row.name for row in CATALOGUE}
    paths = (ROOT / "xds").rglob("*.py")
    written = [
        f"{path.relative_to(ROOT)}:{node.lineno} has {node.value}"
        for path in paths
        if path.name != "catalogue.py" and re.search(rf"[\"']{_PREFIX}-\d", path.read_text())
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if _NAME.fullmatch(node.value) and names.intersection(node.value.split(", "))
    ]
    assert written == []


# --- a row that is new ---------------------------------------------------------------------------

_WITH_STUBS: Final = """
import json
from xds.metadata import catalogue as c
stub, kinds = c.TransactionRow, c.TransactionKind
soap = c.SoapMessages("urn:example:Remove", "urn:example:Removed", "{urn:example}Remove")
query = c.SoapMessages("urn:example:Ask", "urn:example:Asked", c.ITI_18.soap[0].element)
audit = c.AuditedAs(c.AuditEventID.QUERY, "E")
c.CATALOGUE = (
    *c.CATALOGUE,
    stub(name="ITI-901", title="A", kind=kinds.REMOVE, actor="registry", soap=(soap,)),
    stub(name="ITI-902", title="B", kind=kinds.QUERY, actor="registry", soap=(query,), audit=audit),
    stub(name="ITI-903", title="C", kind=kinds.QUERY, actor="registry", fhir="/Basic"),
    stub(
        name="ITI-904",
        title="D",
        kind=kinds.FEED,
        actor="registry",
        hl7v2=(c.TriggerEvent("A60", "d"),),
    ),
    stub(name="ITI-905", title="E", kind=kinds.SUBMIT, actor="registry", audit=audit),
)
from tests.conformance import tables
from tests.test_catalogue import undecided
from xds.audit import vocabulary as av
from xds.security import policy, requirements
derived = {
    "policy": policy.TRANSACTIONS,
    "users": sorted(requirements.WITH_USERS),
    "audit": list(av.EVENTS),
    "conformance": [row.key for row in tables()[0].rows],
}
print(json.dumps({"undecided": undecided(), "derived": derived}))
"""


def test_a_new_row_alone_is_told_everything_that_it_lacks() -> None:
    """The whole program is imported with rows more in the catalogue, and nothing else."""
    command = [sys.executable, "-c", _WITH_STUBS]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    documents = [
        "README.md does not name it",
        "docs/policy.md does not name it among the transactions of a rule",
    ]
    no_event = "catalogue.py gives it no audit event, and it would not be recorded"
    asked = "urn:example:Ask, urn:example:Asked, {urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0}"
    of_stubs = [one for one in told["undecided"] if one.startswith("ITI-90")]
    assert of_stubs == [
        *_told(
            "ITI-901",
            no_event,
            "transactions/table.py has no handler of urn:example:Remove in TRANSACTIONS",
            "no schema declares {urn:example}Remove",
            "wsdl/registry.wsdl has no operation of "
            "ITI-901 A, urn:example:Remove, urn:example:Removed, {urn:example}Remove",
            "wsdl/registry.wsdl has no binding of urn:example:Remove",
            *documents,
        ),
        *_told(
            "ITI-902",
            "transactions/table.py has no handler of urn:example:Ask in TRANSACTIONS",
            f"wsdl/registry.wsdl has no operation of ITI-902 B, {asked}AdhocQueryRequest",
            "wsdl/registry.wsdl has no binding of urn:example:Ask",
            "registry/queries/stored_queries.py has no stored query of it",
            *documents,
        ),
        *_told(
            "ITI-903",
            no_event,
            "no FHIR service has an interaction at /Basic",
            *documents,
        ),
        *_told(
            "ITI-904", no_event, "hl7v2/feed.py has no handler of ADT^A60 in EVENTS", *documents
        ),
        *_told(
            "ITI-905",
            "catalogue.py binds it to nothing: no SOAP messages, no FHIR path, no trigger event",
            *documents,
        ),
    ]
    names = {f"ITI-90{number}" for number in range(1, 6)}
    derived = {place: names.intersection(found) for place, found in told["derived"].items()}
    assert derived == {
        "policy": names,
        "users": {"ITI-901", "ITI-902", "ITI-903"},
        "audit": {"ITI-902", "ITI-905"},
        "conformance": {"ITI-901", "ITI-902"},
    }
    assert "ITI-904 A60" in told["derived"]["conformance"]


def _told(name: str, *lacking: str) -> list[str]:
    return [f"{name}: {what}" for what in lacking]
