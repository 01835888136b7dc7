"""The registry's transactions through the wire: messages to send, and answers read and validated.

Every answer is held against the project's own schemas and, where they are present, against the
official ones, before a test sees it.
"""

import http.client
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Final

from lxml import etree

from tests.reference import REFERENCE
from tests.serving import Server
from tests.waiting import PATIENCE
from xds import schema_validation
from xds.metadata import ebrim
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import RegistryObject, escape
from xds.metadata.objects import interpreted
from xds.metadata.submission import Submission
from xds.transactions.table import TRANSACTIONS
from xds.transactions.transaction import Transaction

ROOT: Final = Path(__file__).resolve().parents[2]
FIXTURES: Final = ROOT / "fixtures"
NAMESPACES: Final = {prefix: uri for uri, prefix in schema_validation.PREFIXES.items()}
RIM: Final = ebrim.RIM
_SOAP: Final = f"{{{v.NS_SOAP12}}}"

ACTIVE: Final = frozenset(row.name for row in TRANSACTIONS)
"""The transactions that the server answers; cases of others wait for theirs."""

_OFFICIAL: Final = {
    v.NS_RIM: "schema/ebRS/rim.xsd",
    v.NS_RS: "schema/ebRS/rs.xsd",
    v.NS_QUERY: "schema/ebRS/query.xsd",
    v.NS_SOAP12: "ws/soap-1.2-envelope.xsd",
    v.NS_WSA: "ws/ws-addr.xsd",
}


# --- the world of one test -----------------------------------------------------------------------

_NAMES: Final = re.compile(
    r"\bP(?P<patient>[0-9])(?=\^\^\^&(?:amp;)?2\.999\.1\.1&)"
    r"|\b2\.999\.(?P<kind>[234])\.(?P<oid>[0-9]+)\b"
    r"|urn:uuid:00000000-(?=0000-4000-8000-)"
)


_NUMBERS: Final = count(2**30 + secrets.randbits(30))


@dataclass(frozen=True, slots=True)
class World:
    """Names of a test's own, so that tests on one server keep out of each other's way.

    The fixtures call patients ``P1`` to ``P9``, give uniqueIds below 2.999.2 (SubmissionSets),
    2.999.3 (DocumentEntries) and 2.999.4 (Folders), and UUIDs that begin with eight zeros.
    """

    number: int

    @classmethod
    def new(cls) -> "World":
        """Make a world that no other test has."""
        return cls(next(_NUMBERS))

    def text(self, text: str) -> str:
        """Replace the names of the fixtures by this world's."""
        return _NAMES.sub(self._own, text)

    def _own(self, found: re.Match[str]) -> str:
        if found["patient"]:
            return f"P{self.number}-{found['patient']}"
        if found["kind"]:
            return f"2.999.{found['kind']}.{self.number}.{found['oid']}"
        return f"urn:uuid:{self.number:08x}-"

    def patient(self, number: int) -> str:
        """Return a patient id."""
        return self.text(f"P{number}^^^&2.999.1.1&ISO")

    def uuid(self, number: int) -> str:
        """Return an entryUUID."""
        return self.text(f"urn:uuid:00000000-0000-4000-8000-{number:012d}")

    def fixture(self, name: str) -> etree._Element:
        """Return a message of ``fixtures/`` with this world's names, ``iti42/folder``."""
        text = (FIXTURES / f"{name}.xml").read_text()
        return etree.fromstring(self.text(text).encode())


# --- answers -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    """One ``rs:RegistryError`` of an answer."""

    code: str
    context: str
    location: str
    severity: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A RegistryResponse or an AdhocQueryResponse, already found valid."""

    element: etree._Element

    @property
    def status(self) -> str:
        """The last part of the status URN: Success, Failure, PartialSuccess."""
        return str(self.element.get("status")).rpartition(":")[2]

    @property
    def problems(self) -> list[Problem]:
        """The errors and warnings, in their order."""
        return [
            Problem(e.get("errorCode"), e.get("codeContext"), e.get("location"), e.get("severity"))
            for e in self.element.iter(f"{{{v.NS_RS}}}RegistryError")
        ]

    @property
    def codes(self) -> list[str]:
        """The error codes, in their order."""
        return [problem.code for problem in self.problems]

    @property
    def elements(self) -> list[etree._Element]:
        """What a query found, in its order."""
        return list(self.element.find(f"{RIM}RegistryObjectList"))

    @property
    def ids(self) -> list[str]:
        """The ids of what a query found, in its order; as often as they stand there."""
        return [found.get("id") for found in self.elements]

    @property
    def objects(self) -> dict[str, RegistryObject]:
        """The objects with metadata, read, by their id."""
        listed = self.element.find(f"{RIM}RegistryObjectList")
        return {found.id: interpreted(found) for found in ebrim.read_list(listed)}


@cache
def official() -> etree.XMLSchema | None:
    """Return the official schemas as one, or None where they are not."""
    if not REFERENCE.is_dir():
        return None
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(_LocalXml())
    imports = "".join(
        f'<xs:import namespace="{uri}" schemaLocation="{(REFERENCE / path).as_uri()}"/>'
        for uri, path in _OFFICIAL.items()
    )
    schema = f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{imports}</xs:schema>'
    return etree.XMLSchema(etree.fromstring(schema, parser))


class _LocalXml(etree.Resolver):
    """Finds xml.xsd, which the official schemas name by its URL."""

    def resolve(self, url: str, public_id: str | None, context: object) -> object:
        """Answer for xml.xsd only."""
        if not url.endswith("/xml.xsd"):
            return None
        found = REFERENCE / "third-party/ipf/wsdl/schema/xml.xsd"
        return self.resolve_filename(str(found), context)


def require_valid(envelope: etree._Element) -> None:
    """Fail unless a message is valid against both sets of schemas."""
    assert schema_validation.problems(envelope) == []
    if (schema := official()) is not None:
        assert schema.validate(envelope), str(schema.error_log)


# --- messages ------------------------------------------------------------------------------------


def transaction(name: str) -> Transaction:
    """Return the row of a transaction."""
    return next(row for row in TRANSACTIONS if row.name == name)


def envelope(action: str, body: str) -> bytes:
    """Put a body into an envelope."""
    return (
        f'<s:Envelope xmlns:s="{v.NS_SOAP12}" xmlns:wsa="{v.NS_WSA}"><s:Header>'
        f'<wsa:Action s:mustUnderstand="1">{action}</wsa:Action>'
        f"<wsa:MessageID>{ebrim.new_uuid()}</wsa:MessageID>"
        f"<wsa:ReplyTo><wsa:Address>{v.WSA_ANONYMOUS}</wsa:Address></wsa:ReplyTo>"
        f"</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def send(server: Server, message: etree._Element | bytes, actor: str = "registry") -> Answer:
    """Send a SOAP message to an actor and return its answer, which must be no fault."""
    data = message if isinstance(message, bytes) else etree.tostring(message)
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    try:
        headers = {"Content-Type": "application/soap+xml; charset=UTF-8"}
        connection.request("POST", f"/{actor}", data, headers)
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    root = etree.fromstring(content)
    require_valid(root)
    body = root.find(f"{_SOAP}Body")
    assert response.status == http.client.OK, content.decode()
    return Answer(body[0])


def post(server: Server, message: etree._Element, actor: str = "registry") -> bytes:
    """Send a SOAP message and return whatever comes back."""
    headers = {"Content-Type": "application/soap+xml; charset=UTF-8"}
    return _asked(server, "POST", f"/{actor}", etree.tostring(message), headers)


def get(server: Server, path: str) -> bytes:
    """Return what the server has at a path."""
    return _asked(server, "GET", path, None, {})


def _asked(
    server: Server, method: str, path: str, data: bytes | None, headers: Mapping[str, str]
) -> bytes:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE)
    try:
        connection.request(method, path, data, headers)
        return connection.getresponse().read()
    finally:
        connection.close()


def submit(server: Server, submission: Submission, name: str = "ITI-42") -> Answer:
    """Send a submission that was made here."""
    return send(server, envelope(transaction(name).request_action, submission.render()))


def accept(server: Server, message: etree._Element | Submission) -> None:
    """Send what must be accepted without a word."""
    is_made = isinstance(message, Submission)
    answer = submit(server, message) if is_made else send(server, message)
    assert (answer.status, answer.problems) == ("Success", []), answer.problems


# --- queries -------------------------------------------------------------------------------------

Values = str | tuple[str, ...] | list["str | tuple[str, ...]"]
"""A parameter: one Value; several Values of a Slot as a tuple; several Slots as a list."""

Parameters = Mapping[str, Values]


def text(value: str) -> str:
    """Write a text as a query parameter wants it."""
    return "'" + value.replace("'", "''") + "'"


def texts(*values: str) -> str:
    """Write a list of texts as a query parameter wants it."""
    return "(" + ",".join(text(value) for value in values) + ")"


def _slots(name: str, values: Values) -> str:
    rendered = ""
    slots: Sequence[str | tuple[str, ...]] = [values] if isinstance(values, str | tuple) else values
    for slot in slots:
        listed = (slot,) if isinstance(slot, str) else slot
        inner = "".join(f"<rim:Value>{escape(value)}</rim:Value>" for value in listed)
        rendered += (
            f'<rim:Slot name="{escape(name)}"><rim:ValueList>{inner}</rim:ValueList></rim:Slot>'
        )
    return rendered


def query_message(
    query_id: str,
    parameters: Parameters,
    return_type: str = v.LEAF_CLASS,
    name: str = "ITI-18",
    attributes: str = "",
) -> bytes:
    """Write a stored query; ``attributes`` are more of the AdhocQueryRequest."""
    slots = "".join(_slots(parameter, values) for parameter, values in parameters.items())
    return envelope(
        transaction(name).request_action,
        f'<query:AdhocQueryRequest xmlns:query="{v.NS_QUERY}" xmlns:rim="{v.NS_RIM}" {attributes}>'
        f'<query:ResponseOption returnType="{return_type}" returnComposedObjects="true"/>'
        f'<rim:AdhocQuery id="{query_id}">{slots}</rim:AdhocQuery></query:AdhocQueryRequest>',
    )


def query(
    server: Server,
    query_id: str,
    parameters: Parameters,
    return_type: str = v.LEAF_CLASS,
    name: str = "ITI-18",
) -> Answer:
    """Ask a stored query and return the answer, whatever it is."""
    return send(server, query_message(query_id, parameters, return_type, name))


def found(answer: Answer) -> Answer:
    """Return an answer that must be a success without a word."""
    assert (answer.status, answer.problems) == ("Success", []), answer.problems
    return answer


BOTH_STATUSES: Final = texts(v.APPROVED, v.DEPRECATED)
BOTH_TYPES: Final = texts(v.STABLE_DOCUMENT_ENTRY, v.ON_DEMAND_DOCUMENT_ENTRY)


def get_all(
    server: Server, patient_id: str, return_type: str = v.LEAF_CLASS, level: str = ""
) -> Answer:
    """Return all that the registry has of a patient, at a $MetadataLevel if one is given."""
    parameters = {
        **({"$MetadataLevel": level} if level else {}),
        "$patientId": text(patient_id),
        "$XDSSubmissionSetStatus": BOTH_STATUSES,
        "$XDSDocumentEntryStatus": BOTH_STATUSES,
        "$XDSFolderStatus": BOTH_STATUSES,
        "$XDSDocumentEntryType": BOTH_TYPES,
    }
    return found(query(server, v.GET_ALL, parameters, return_type))
