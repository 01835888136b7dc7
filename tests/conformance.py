"""The table of conformance: what the server answers and enforces, and the tests that show it.

A pytest plugin. A test says what it shows by ``@pytest.mark.shows("rule required", "ITI-42")``, and
``pytest --conformance=docs/conformance.md`` writes the table from the tests that passed; of files
that were not run it keeps what the table had. The rows
are those of the tables of the code (transactions, stored queries, rules, error codes), and those of
:data:`BEHAVIOUR` for what has no table.
"""

import ast
import re
import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pytest
from lxml import etree

from tests.broker_requirements import REQUIREMENTS
from tests.sources import parsed
from xds import errors
from xds.metadata.catalogue import CATALOGUE
from xds.metadata.criteria import Operator
from xds.metadata.rules.submission_rules import SUBMISSION_RULES, Rule
from xds.mhd.updates.rows import UPDATES
from xds.registry.queries.parameters import Parameter
from xds.registry.queries.steps import StoredQuery
from xds.registry.queries.stored_queries import STORED_QUERIES

PACKAGE: Final = Path(errors.__file__).parent
MOST_TESTS: Final = 6
"""How many cases of one test are named in a row; the rest are counted."""

BEHAVIOUR: Final[Mapping[str, tuple[str, str]]] = {
    "atomic": ("A submission is registered as a whole or not at all", "ITI TF-2 3.42.4.1.3"),
    "all errors": ("All errors of a request are reported together", "ITI TF-3 4.2.4"),
    "symbolic ids": ("Symbolic ids become UUIDs, the same everywhere", "ITI TF-2 3.42.4.1.3"),
    "given UUIDs": ("UUIDs that the submitter chose stay", "ITI TF-2 3.42.4.1.3"),
    "status": ("Everything new is Approved, whatever was sent", "ITI TF-2 3.42.4.1.3"),
    "first version": ("logicalID is the entryUUID, the version 1", "ITI TF-3 4.1.5"),
    "types on return": ("objectType of parts is returned always", "ITI TF-3 4.2.1.1"),
    "home": ("homeCommunityId is kept, and set where none came", "ITI TF-3 4.2.3.2.12"),
    "extra metadata": ("Extra metadata are kept and returned", "ITI TF-3 4.2.3.1.6"),
    "reason of a relationship": (
        "The documentation of a relationship is kept",
        "ITI TF-3 4.2.2.2",
    ),
    "replacement": ("RPLC and XFRM_RPLC deprecate their target", "ITI TF-2 3.42.4.1.3.3"),
    "cascade": (
        "Addenda and transformations of what is replaced go with it, to any depth",
        "ITI TF-2 3.42.4.1.3.3",
    ),
    "other relationships": (
        "XFRM, APND, signs and IsSnapshotOf change no status",
        "ITI TF-3 4.2.2.2",
    ),
    "folder inheritance": (
        "A replacement joins the Approved Folders of its predecessor",
        "ITI TF-2 3.42.4.1.3.3",
    ),
    "lastUpdateTime": ("A Folder that gains a document is of now", "ITI TF-2 3.42.4.1.3.3"),
    "later folder update": (
        "A registered document joins a registered Folder",
        "ITI TF-3 4.2.2.1",
    ),
    "reference": (
        "A registered document is shared anew, also by another patient's SubmissionSet",
        "ITI TF-3 4.2.2.1.1",
    ),
    "SubmissionSet": ("A SubmissionSet never changes", "ITI TF-3 4.1.4"),
    "events": ("Event rows tell of what a commit did", ""),
    "race of SubmissionSets": (
        "Of two SubmissionSets with one uniqueId that race, one is registered",
        "ITI TF-2 3.42.4.1.3",
    ),
    "race of replacements": (
        "Of two replacements of one document that race, one is registered",
        "ITI TF-2 3.42.4.1.3.3",
    ),
    "race of documents": (
        "Of two documents with one uniqueId that race, one is registered",
        "ITI TF-2 3.42.4.1.3",
    ),
    "race of UUIDs": (
        "Of two objects with one UUID that race, one is registered",
        "ITI TF-2 3.42.4.1.3",
    ),
    "versions": ("An update makes a further version", "ITI TF-2 3.57.4.1.3"),
    "propagation": (
        "Memberships and relationships of the version before are made again",
        "ITI TF-2 3.57.4.1.3",
    ),
    "status changes": (
        "The status of a document, a Folder or an Association changes without a version",
        "ITI TF-2 3.57.4.1.3",
    ),
    "new Associations": ("Registered objects are joined", "ITI TF-2 3.57.4.1.3"),
    "option of updates": (
        "A server whose options exclude updates and removals is as one without them",
        "ITI TF-2 3.18.4.1.2.3",
    ),
    "MetadataLevel": (
        "Level 1 shows latest versions, what is online and Approved Associations; level 2 all",
        "ITI TF-2 3.18.4.1.2.3",
    ),
    "removal": ("What is removed is gone as a whole or not at all", "ITI TF-2 3.62.4.1.3"),
    "removal of documents": (
        "A document is removed when no DocumentEntry names it",
        "ITI TF-2 3.86.4.1.3",
    ),
    "legal hold": ("What is on legal hold is not removed", ""),
    "race of updates": (
        "Of two updates of one version that race, one makes the next",
        "ITI TF-2 3.57.4.1.3",
    ),
    "race of an update": (
        "Of an update and a replacement of one document that race, one is done",
        "ITI TF-2 3.57.4.1.3",
    ),
    "race of updates by FHIR": (
        "Of two updates of one version that race one is done, whichever way they come",
        "FHIR R4 3.1.0.5",
    ),
    "race of a removal by FHIR": (
        "What is removed while it is read or updated is whole or gone",
        "FHIR R4 3.1.0.7",
    ),
    "race of a removal": (
        "Of a removal and an Association to what is removed that race, one is done",
        "ITI TF-2 3.62.4.1.3",
    ),
    "FHIR versions": (
        "What FHIR updates is a version for SOAP clients, and the other way round",
        "ITI TF-2 3.57.4.1.3",
    ),
    "FHIR SubmissionSet": (
        "A List of a SubmissionSet is not updated",
        "ITI TF-2 3.57.4.1.3",
    ),
    "FHIR unmodifiable": (
        "What may not change is refused by the codes of ITI-57 and ITI-92",
        "ITI TF-2 3.92.4.1.3",
    ),
    "FHIR submission with updates": (
        "PATCH entries of a submission are an update in its commit",
        "MHD 2:3.65.4.1.2.4",
    ),
    "FHIR entered-in-error": (
        "What was entered in error is Deprecated, and found by that status alone",
        "FHIR R4 DocumentReference.status",
    ),
    "FHIR If-Match": ("An update of another version is refused by 412", "FHIR R4 3.1.0.5"),
    "quotes": ("A quote within a text is doubled", "ITI TF-2 3.18.4.1.2.3.5"),
    "codes": ("A code matches with its scheme", "ITI TF-2 3.18.4.1.2.3.5"),
    "OR": ("One value of a list is enough", "ITI TF-2 3.18.4.1.2.3.5"),
    "several Values": ("Several Values of a Slot are one list", "ITI TF-2 3.18.4.1.2.3.5"),
    "AND": (
        "Repeated Slots must all be met; no other Slot may be repeated",
        "ITI TF-2 3.18.4.1.2.3.5",
    ),
    "white space": (
        "White space round values is no part of them; a list of one needs no parentheses",
        "ITI TF-2 3.18.4.1.2.3.5",
    ),
    "LIKE": ("% and _ in patterns; there is no escape", "ITI TF-2 3.18.4.1.2.3.5"),
    "exact": ("Texts compare exactly, in NFC and by case", "ITI TF-3 App. F"),
    "bounds": ("From is included, To is not", "ITI TF-2 3.18.4.1.2.3.7"),
    "mixed precision": ("Times compare by their first instant", "ITI TF-2 3.18.4.1.2.3.7"),
    "absent times": ("Bounds do not concern what has no such time", "ITI TF-2 3.18.4.1.2.3.7.1"),
    "default Stable": (
        "Stable documents are found, On-Demand ones on demand; contents are whole without a type",
        "ITI TF-2 3.18.4.1.2.3.6.2",
    ),
    "on-demand retrieval": (
        "What is made on demand has its own uniqueId for each different content, and the same one "
        "where nothing has changed",
        "ITI TF-2 3.43.4.2.2",
    ),
    "on-demand persistence": (
        "What was retrieved is registered as a snapshot of its On-Demand entry",
        "ITI TF-1 10.2.10",
    ),
    "patient summary": (
        "A patient's summary is made of what its reader may see, each statement with its document",
        "IPS 2.0, OperationDefinition/summary",
    ),
    "unknown status": (
        "An unknown status is ignored; none left is none given",
        "ITI TF-2 3.18.4.1.2.3.6.1",
    ),
    "unknown parameter": ("An unknown parameter is passed over with a warning", "ebRS 6.3.2.1"),
    "alternatives": ("One of the ids, and only one, is given", "ITI TF-2 3.18.4.1.2.3.7"),
    "single patient": (
        "Metadata in one answer are of one patient",
        "ITI TF-2 3.18.4.1.2.3.8",
    ),
    "filtered associations": (
        "An Association to what a filter removed is removed",
        "ITI TF-2 3.18.4.1.2.3.7",
    ),
    "no result": ("Nothing found is a success", "ITI TF-2 3.18.4.1.3"),
    "LeafClass": ("Leaves are complete", "ITI TF-2 3.18.4.1.2.6"),
    "ObjectRef": ("References are ids", "ITI TF-2 3.18.4.1.2.6"),
    "returnType": ("Another returnType is refused", "ITI TF-2 3.18.4.1.2.6"),
    "home of a query": ("The home of a query may be named", "ITI TF-2 3.18.4.1.2.3.9"),
    "order": ("Results come kind by kind in the order of registration", ""),
    "pages": ("startIndex and maxResults are honoured", "ebRS 6.2.1"),
    "R4 Subscription": (
        "Criteria may be a search; it is told by a signal, or by an update of the resource",
        "FHIR R4 Subscription",
    ),
    "secrets of a subscription": ("Headers and keys of a subscription are not read back", ""),
    "$resend": ("Notifications are sent again with the same numbers and ids", "R4 backport"),
    "notifications in order": (
        "A subscriber is told at least once, in order, with one id, by numbers without holes",
        "",
    ),
    "notifications and policy": (
        "What may be seen is asked of the policy when an event is matched and when it is sent",
        "",
    ),
    "notifications after a merge": ("A subscription follows its patient into a merge", ""),
    "notification targets": ("Nothing is sent but to targets that the options allow", ""),
    "dead targets": ("A target that fails is shown, told later, and stops no other", ""),
    "signed notifications": ("What is sent can be signed by a key of the subscription", ""),
}
"""What has no table in the code: a sentence and where it is said."""

UNSHOWN: Final[Mapping[str, str]] = {
    "error XDSRepositoryOutOfResources": "it takes a full disk",
    **{f"broker {one.key}": one.reason for one in REQUIREMENTS if one.reason},
}
"""Rows that no test shows, and why."""

# --- rows ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the key by which tests name it, and what stands before its tests."""

    key: str
    cells: tuple[str, ...]
    error: str = ""
    """The error that it is of."""

    @property
    def due(self) -> bool:
        """Whether there must be a test; not for what the server does not do."""
        return not self.error or self.error in _issued()


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the document."""

    title: str
    head: tuple[str, ...]
    rows: tuple[Row, ...]


_VOLUMES: Final = {"ITI": "ITI TF-2 3.", "CARD": "CARD TF-2 4.", "LAB": "PaLM TF-2a 3."}


def _tf2(transaction: str) -> str:
    domain, _, number = transaction.partition("-")
    return f"{_VOLUMES[domain]}{number}"


def _transactions() -> Iterator[Row]:
    for row in CATALOGUE:
        for messages in row.soap:
            element = etree.QName(messages.element).localname
            key = row.name if len(row.soap) == 1 else f"{row.name} {element}"
            title = f"{row.title}: {messages.title}" if messages.title else row.title
            yield Row(key, (row.name, title, f"`{element}`", row.actor, _tf2(row.name)))
    for row in CATALOGUE:
        for event in row.hl7v2:
            message = f"`{event.code}^{event.trigger}`"
            cells = (row.name, event.title, message, row.actor, _tf2(row.name))
            yield Row(f"{row.name} {event.trigger}", cells)


def _sent() -> Iterator[Row]:
    """Yield the rows of what this server sends by itself."""
    notify = ("ITI-53", "Document Metadata Notify", "`Notify`", "notification, as its sender")
    yield Row("ITI-53", (*notify, _tf2("ITI-53")))


def _queries() -> Iterator[Row]:
    for query in STORED_QUERIES.values():
        cells = (query.name, query.transaction, f"`{query.query_id}`", query.section)
        yield Row(f"query {query.name}", cells)


def _parameters(query: StoredQuery) -> Iterator[Row]:
    for parameter in query.parameters:
        cells = (f"`{parameter.name}`", *_parameter_cells(query, parameter), query.section)
        yield Row(f"parameter {query.name} {parameter.name}", cells)


_COMPARED: Final = {
    Operator.EQUAL: "equal",
    Operator.LIKE: "like",
    Operator.FROM: "from",
    Operator.BEFORE: "to",
    None: "taken by the query's own step",
}


def _parameter_cells(query: StoredQuery, parameter: Parameter) -> tuple[str, str, str]:
    alternatives = query.alternatives.names if query.alternatives is not None else ()
    needed = "required" if parameter.required else "optional"
    if parameter.name in alternatives:
        needed = "one of these"
    number = "several" if parameter.multiple else "one"
    return (
        needed,
        f"{number}, Slot repeatable" if parameter.conjunctive else number,
        (f"{parameter.kind.name}, {_COMPARED[parameter.operator]}"),
    )


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").partition("\n")[0].strip().rstrip(".")


def _rule_row(rows: Sequence[Rule]) -> Row:
    """Return the row of a rule, which has another error in some transactions."""
    name = rows[0].name
    said = re.sub(r" \(ITI TF[^)]*\)$", "", _first_line(rows[0].check))
    codes = ", ".join(rule.error.code for rule in rows)
    transactions = ", ".join(sorted({one for rule in rows for one in rule.transactions}))
    sections = ", ".join(dict.fromkeys(rule.section for rule in rows))
    return Row(f"rule {name}", (f"`{name}`", said, codes, transactions, sections))


def _rules() -> Iterator[Row]:
    code = errors.XDSRegistryMetadataError.code
    cells = ("schema", "The message is valid against the schema", code, "ITI-42, ITI-61")
    yield Row("rule schema", (*cells, "ITI TF-3 4.2.1"))
    by_name: dict[str, list[Rule]] = {}
    for rule in SUBMISSION_RULES:
        by_name.setdefault(rule.name, []).append(rule)
    yield from map(_rule_row, by_name.values())


def _kinds(base: type[errors.RegistryError]) -> Iterator[type[errors.RegistryError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _of_broker() -> Iterator[Row]:
    for one in REQUIREMENTS:
        yield Row(f"broker {one.key}", (one.key, one.text, one.places))


def _updates() -> Iterator[Row]:
    there: set[str] = set()
    for row in UPDATES:
        cells = (f"`{row.method} {row.path or '/'}`", row.summary.rstrip("."), row.name)
        key = f"FHIR {row.method} {row.path or '/'}"
        if key in there:  # the body tells which it is
            key += f" {row.name}"
        there.add(key)
        yield Row(key, cells)


@cache
def _issued() -> frozenset[str]:
    """Return the codes of errors that the code outside :mod:`xds.errors` uses."""
    codes = {kind.code for kind in _kinds(errors.RegistryError)}
    mentioned = re.compile("|".join(codes))
    issued: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if path != Path(errors.__file__) and mentioned.search(path.read_text()):
            issued.update(node.id for node in ast.walk(parsed(path)) if isinstance(node, ast.Name))
    return frozenset(issued & codes)


def _errors() -> Iterator[Row]:
    for kind in _kinds(errors.RegistryError):
        if kind is errors.RegistryWarning:
            continue
        meaning, _, where = _first_line(kind).partition(" (")
        transactions = ", ".join(re.findall(r"\b\d+\b", where))
        cells = (f"`{kind.code}`", meaning.rstrip("."), transactions, "ITI TF-3 4.2.4")
        yield Row(f"error {kind.code}", cells, error=kind.code)


@cache
def tables() -> tuple[Table, ...]:
    """Return every table of the document."""
    return (
        Table(
            "Transactions",
            ("Transaction", "Title", "Message", "Actor", "Section"),
            (*_transactions(), *_sent()),
        ),
        Table("Stored queries", ("Query", "Transaction", "Id", "Section"), tuple(_queries())),
        *(
            Table(
                f"Parameters of {query.name}",
                ("Parameter", "Needed", "Values", "Compared", "Section"),
                tuple(_parameters(query)),
            )
            for query in STORED_QUERIES.values()
        ),
        Table(
            "Rules of a submission",
            ("Rule", "What it says", "Error", "Transactions", "Section"),
            tuple(_rules()),
        ),
        Table(
            "Resource Notification Broker",
            ("Name", "What DSUBm demands", "File and line of its source"),
            tuple(_of_broker()),
        ),
        Table("Updates by FHIR", ("Request", "What it does", "Transaction"), tuple(_updates())),
        Table(
            "Behaviour",
            ("Name", "What happens", "Section"),
            tuple(Row(f"behaviour {name}", (name, *cells)) for name, cells in BEHAVIOUR.items()),
        ),
        Table(
            "Error codes",
            ("Code", "Meaning", "May be issued in ITI-", "Section"),
            tuple(_errors()),
        ),
    )


# --- the document --------------------------------------------------------------------------------

_HEAD: Final = """\
# Conformance

What this server answers and enforces, with the section of the Technical Framework (ITI TF revision
19.0); the tests that show it are in tables of their own, at the end. Made by a test run,
`make conformance`, and not by hand: a test is named here because it passed.
"""
_TESTS_HEAD: Final = """
# Tests

Paths are those below `tests/`; after a colon are the cases of the test.
"""
_WIDEST_CELL: Final = 60
"""Characters after which a cell goes on in a new line."""
_TEST: Final = re.compile(
    r"(?P<path>[\w/]+\.py)<br>`(?P<function>\w+)`.*?(?=<br>[\w/]+\.py<br>`|$)"
)
"""What a cell says of one test."""


Kept = Mapping[str, Mapping[str, str]]
"""What a document says of tests: a text for each ``file::function``, by the key of a row."""


def document(shown: Mapping[str, Iterable[str]], kept: Kept = MappingProxyType({})) -> str:
    """Write the document; ``shown`` are the ids of the tests by the key of a row.

    ``kept`` is what stays of a document of before.
    """
    rows, tests = [_HEAD], [_TESTS_HEAD]
    for table in tables():
        rows.append(f"\n## {table.title}\n\n")
        rows.extend(_head(*table.head))
        tests.append(f"\n## Tests of: {table.title}\n\n")
        tests.extend(_head("What", "Shown by"))
        for row in table.rows:
            rows.append(_line(map(_wrapped, row.cells)))
            told = _tests(row, shown.get(row.key, ()), kept.get(row.key, {}))
            tests.append(_line((row.key, told)))
    return "".join((*rows, *tests))


def _head(*names: str) -> Iterator[str]:
    yield _line(names)
    yield _line(["---"] * len(names))


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _wrapped(text: str) -> str:
    """Break a text where its cell would make the table wider than a window."""
    lines = textwrap.wrap(text, _WIDEST_CELL, break_long_words=False, break_on_hyphens=False)
    return "<br>".join(lines)


def told_of(document: str, run: Collection[str]) -> Kept:
    """Return what a document says of tests in files that are not among those which were run."""
    kept: dict[str, dict[str, str]] = {}
    for line in document.partition("\n# Tests\n")[2].splitlines():
        if line.startswith("| "):
            key, _, cell = line.removeprefix("| ").removesuffix(" |").partition(" | ")
            for one in _TEST.finditer(cell.replace("\\|", "|")):
                if f"tests/{one['path']}" not in run:
                    name = f"tests/{one['path']}::{one['function']}"
                    kept.setdefault(key.replace("\\|", "|"), {})[name] = one[0]
    return kept


def _tests(row: Row, node_ids: Iterable[str], kept: Mapping[str, str]) -> str:
    by_function: dict[str, list[str]] = {}
    for node_id in sorted(node_ids):
        function, _, case = node_id.partition("[")
        by_function.setdefault(function, []).append(case.removesuffix("]"))
    told = {**kept, **{name: _function(name, cases) for name, cases in by_function.items()}}
    if not told and row.key in UNSHOWN:
        return f"no test: {UNSHOWN[row.key]}"
    if not told:
        return "no test" if row.due else "not issued by this server"
    return "<br>".join(told[name] for name in sorted(told))


def _function(name: str, cases: list[str]) -> str:
    path, _, function = name.rpartition("::")
    said = f"{path.removeprefix('tests/')}<br>`{function}`"
    named = [case for case in cases if case]
    if not named:
        return said
    shared = {case.partition(": ")[0] for case in named}
    if len(shared) == 1 and all(": " in case for case in named):
        named = [case.partition(": ")[2] for case in named]
    more = len(named) - MOST_TESTS
    more_said = f"; and {more} more" if more > 0 else ""
    return f"{said}: {_wrapped('; '.join(named[:MOST_TESTS]) + more_said)}"


# --- the plugin ----------------------------------------------------------------------------------


@dataclass(eq=False)
class Conformance:
    """What the tests of a run show."""

    path: Path | None
    collected: set[str] = field(default_factory=set)
    """The keys that the collected tests name."""
    shown: dict[str, set[str]] = field(default_factory=dict)
    """The ids of the tests that passed, by key."""
    files: set[str] = field(default_factory=set)
    """Those that tests were run of."""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note what each test shows; a row that is not there is an error."""
        keys = {row.key for table in tables() for row in table.rows}
        for item in items:
            for key in dict.fromkeys(
                key for mark in item.iter_markers("shows") for key in mark.args
            ):
                if key not in keys:
                    raise pytest.UsageError(f"{item.nodeid} shows {key}, of which there is no row")
                item.user_properties.append(("shows", key))
                self.collected.add(key)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test that passed."""
        self.files.add(report.nodeid.partition("::")[0])
        if report.when == "call" and report.passed:
            for name, key in report.user_properties:
                if name == "shows":
                    self.shown.setdefault(str(key), set()).add(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: Any, exitstatus: int) -> None:
        """Write the document, unless a test failed or a row is without a test."""
        if self.path is None:
            return
        if why := self._incomplete(exitstatus):
            terminalreporter.write_line(f"{self.path} is not written: {why}")
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(document(self.shown, self._kept()), encoding="utf-8")
        terminalreporter.write_line(f"{self.path} is written")

    def _kept(self) -> Kept:
        """Return what the document says of files that were not run, and that are still there."""
        if self.path is None or not self.path.exists():
            return {}
        told = told_of(self.path.read_text(encoding="utf-8"), self.files)
        return {
            key: there
            for key, tests in told.items()
            if (there := {name: said for name, said in tests.items() if _is_there(name)})
        }

    def _incomplete(self, exitstatus: int) -> str | None:
        if exitstatus != pytest.ExitCode.OK:
            return "tests failed"
        due = {row.key for table in tables() for row in table.rows if row.due}
        if missing := sorted(due - self.shown.keys() - self._kept().keys() - UNSHOWN.keys()):
            return f"no test shows {', '.join(missing)}"
        return None


def _is_there(name: str) -> bool:
    path, _, function = name.partition("::")
    file = PACKAGE.parent / path
    return file.is_file() and f"def {function}(" in file.read_text(encoding="utf-8")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that asks for the document."""
    parser.addoption(
        "--conformance",
        metavar="FILE",
        type=Path,
        help="write the table of conformance from the tests that passed",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin to note what tests show."""
    plugin = Conformance(config.getoption("--conformance"))
    config.pluginmanager.register(plugin, "conformance of this run")
