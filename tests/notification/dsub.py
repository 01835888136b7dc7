"""A subscriber of the tests, which shares no code with the broker: it writes XML and reads it."""

import re
import urllib.request
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.error import HTTPError
from xml.sax.saxutils import escape

from lxml import etree

from tests.reference import REFERENCE
from tests.test_schema_reference import (
    NOTIFICATION_SCHEMAS,
    REFERENCE_SCHEMAS,
    official_schema,
)
from tests.waiting import PATIENCE
from xds import schema_validation

WSNT: Final = "{http://docs.oasis-open.org/wsn/b-2}"
RIM: Final = "{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}"
S12: Final = "http://www.w3.org/2003/05/soap-envelope"
S11: Final = "http://schemas.xmlsoap.org/soap/envelope/"
SIMPLE: Final = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Simple"
ACTIONS: Final = "http://docs.oasis-open.org/wsn/bw-2"
NS: Final = {
    "s": S12,
    "e": S11,
    "wsnt": WSNT[1:-1],
    "rim": RIM[1:-1],
    "wsa": "http://www.w3.org/2005/08/addressing",
    "bf": "http://docs.oasis-open.org/wsrf/bf-2",
    "lcm": "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0",
    "rs": "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0",
    "query": "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0",
}
_DECLARED: Final = " ".join(
    f'xmlns:{prefix}="{uri}"' for prefix, uri in NS.items() if prefix not in ("s", "e")
)

DOCUMENTS: Final = "urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66"
SUBMISSION_SETS: Final = "urn:uuid:fbede94e-dbdc-4f6b-bc1f-d730e677cece"
FOLDERS: Final = "urn:uuid:9376254e-da05-41f5-9af3-ac56d63d8ebd"
ANY_DOCUMENTS: Final = "urn:uuid:742790e0-aba6-43d6-9f1f-e43ed9790b79"
ANY_SUBMISSION_SETS: Final = "urn:uuid:868cad3d-ec09-4565-b66c-1be10d034399"


# ---- messages


def envelope(body: str, action: str = "", message_id: str = "", to: str = "") -> str:
    """Return an envelope of SOAP 1.2, with headers of WS-Addressing where an action is given."""
    headers = ""
    if action:
        headers = f'<wsa:Action s:mustUnderstand="1">{action}</wsa:Action>'
    if message_id:
        headers += f"<wsa:MessageID>{message_id}</wsa:MessageID>"
    if to:
        headers += f"<wsa:To>{to}</wsa:To>"
    head = f"<s:Header>{headers}</s:Header>" if headers else ""
    return f'<s:Envelope xmlns:s="{S12}" {_DECLARED}>{head}<s:Body>{body}</s:Body></s:Envelope>'


def slot(name: str, *values: str) -> str:
    """Return a Slot of a query."""
    listed = "".join(f"<rim:Value>{escape(value)}</rim:Value>" for value in values)
    return f'<rim:Slot name="{name}"><rim:ValueList>{listed}</rim:ValueList></rim:Slot>'


def topic(name: str, dialect: str = SIMPLE, more: str = "") -> str:
    """Return a topic expression."""
    return f'<wsnt:TopicExpression Dialect="{dialect}"{more}>{name}</wsnt:TopicExpression>'


def query(query_id: str, *slots: str) -> str:
    """Return the query of a filter."""
    return f'<rim:AdhocQuery id="{query_id}">{"".join(slots)}</rim:AdhocQuery>'


def patient(name: str, kind: str = "DocumentEntry") -> str:
    """Return the Slot with a patient's id."""
    return slot(f"$XDS{kind}PatientId", f"'{name}^^^&2.999.1.1&ISO'")


def subscribe(consumer: str, filters: str, more: str = "", parameters: str = "") -> str:
    """Return a wsnt:Subscribe."""
    return (
        f"<wsnt:Subscribe><wsnt:ConsumerReference><wsa:Address>{consumer}</wsa:Address>"
        f"{parameters}</wsnt:ConsumerReference><wsnt:Filter>{filters}</wsnt:Filter>{more}"
        "</wsnt:Subscribe>"
    )


def ends(text: str) -> str:
    """Return the time at which a subscription shall end."""
    return f"<wsnt:InitialTerminationTime>{text}</wsnt:InitialTerminationTime>"


# ---- exchanges


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came."""

    status: int
    content_type: str
    body: bytes

    @property
    def root(self) -> etree._Element:
        """The envelope."""
        return etree.fromstring(self.body)

    @property
    def content(self) -> etree._Element:
        """The element in the body, of whichever version of SOAP."""
        return self.root.find("{*}Body")[0]

    @property
    def address(self) -> str:
        """The first address that it names."""
        found: str = self.content.findtext(".//wsa:Address", "", NS)
        return found

    @property
    def fault(self) -> str:
        """The name of the fault's element of WS-Notification; an assertion where it is none."""
        assert self.content.tag in (f"{{{S12}}}Fault", f"{{{S11}}}Fault"), self.body
        assert self.status == 500
        (detail,) = self.content.xpath("*[local-name()='Detail' or local-name()='detail']/*")
        assert detail.find("bf:Timestamp", NS) is not None
        assert detail.findtext("bf:Description", "", NS)
        return str(etree.QName(detail).localname)

    @property
    def action(self) -> str:
        """The wsa:Action."""
        found: str = self.root.findtext("{*}Header/wsa:Action", "", NS)
        return found


@cache
def official() -> etree.XMLSchema | None:
    """Compile the official schemas, where they are."""
    if not (REFERENCE / "ws" / "wsn").is_dir():
        return None
    return official_schema({**REFERENCE_SCHEMAS, **NOTIFICATION_SCHEMAS})


def check(body: bytes) -> None:
    """Assert that a message is valid, by the schemas of this project and by the official ones."""
    root = etree.fromstring(body)
    if root.tag == f"{{{S11}}}Envelope":
        root = root.find("{*}Body")[0]
        if root.tag == f"{{{S11}}}Fault":
            detail = root.find("detail")
            if detail is None:
                return
            root = detail[0]
    assert schema_validation.problems(root) == []
    if schema := official():
        schema.assertValid(root)


def post(
    url: str,
    message: str,
    content_type: str = "application/soap+xml; charset=UTF-8",
    **headers: str,
) -> Reply:
    """Send a message and return the answer, which must be valid."""
    named = {"Content-Type": content_type, **headers}
    request = urllib.request.Request(url, message.encode(), named)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            reply = Reply(answer.status, answer.headers.get("Content-Type", ""), answer.read())
    except HTTPError as error:
        with error:
            reply = Reply(error.code, error.headers.get("Content-Type", ""), error.read())
    if reply.body:
        check(reply.body)
    return reply


def as_soap11(message: str) -> str:
    """Return a message as one of SOAP 1.1."""
    return message.replace(S12, S11)


def in_header(message: str, block: str) -> str:
    """Return a message with a further header block."""
    if "<s:Header>" in message:
        return message.replace("<s:Header>", f"<s:Header>{block}")
    return re.sub("<s:Body>", f"<s:Header>{block}</s:Header><s:Body>", message, count=1)


def published(content: str, topic_name: str = "") -> str:
    """Return a wsnt:Notify that publishes something."""
    told = (
        topic(topic_name)
        .replace("TopicExpression D", "Topic D")
        .replace("TopicExpression>", "Topic>")
    )
    return (
        f"<wsnt:Notify><wsnt:NotificationMessage>{told if topic_name else ''}"
        "<wsnt:ProducerReference><wsa:Address>urn:oid:2.999.1.8</wsa:Address>"
        f"</wsnt:ProducerReference><wsnt:Message>{content}</wsnt:Message>"
        "</wsnt:NotificationMessage></wsnt:Notify>"
    )
