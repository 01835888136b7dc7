"""TARGETS: a row for each reader of what comes from outside, and what holds of it for any bytes.

A target returns for bytes that are read and for bytes that are refused as the reader says it
refuses. Anything else that it raises is a finding. Nothing here knows the fuzzer, so that the
seeds and all that was ever found can be run as tests.
"""

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, Final

from lxml import etree

from xds import schema_validation
from xds.app import WSGIApplication, create_app
from xds.client import entry_of
from xds.config import Config
from xds.content.forms import table as form_table
from xds.content.observations.stored import read as read_result
from xds.content.observations.stored import stored
from xds.content.pages.attachments import served_attachment
from xds.content.pages.facts import RegistryFacts
from xds.content.pages.page import render_not_shown, render_page
from xds.content.reading.errors import ContentUnreadable
from xds.content.reading.model import ContentObservation
from xds.content.reading.reader import read as read_document
from xds.content.reading.rules import PLAIN
from xds.content.versions.reading import read as read_version
from xds.errors import TransactionFailure
from xds.fhir.r4 import json, structure, xml
from xds.fhir.r4.outcome import Issue, Refused
from xds.fhir.r4.resource import Resource
from xds.hl7v2.acknowledgement import acknowledgement
from xds.hl7v2.encoding import Encoding
from xds.hl7v2.message import Message, Segment, Unreadable
from xds.hl7v2.mllp import Decoder, Intolerable, MllpLimits
from xds.hl7v2.problems import Problem
from xds.messaging.flavours.reading import read_flavours
from xds.messaging.model import CarriedContent
from xds.messaging.v2.reading import read
from xds.messaging.verdicts import ContentRefused
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import Slot
from xds.metadata.rules.case import Case
from xds.metadata.rules.submission_rules import violations
from xds.metadata.submission import Submission
from xds.on_demand.forms import FormRequest, FormSource
from xds.parsing import MalformedXML, parse
from xds.registry.queries.parameters import decode
from xds.registry.queries.stored_queries import STORED_QUERIES
from xds.wire import mime, mtom

Target = Callable[[bytes], None]

_FAULTS_OF_SENDERS: Final = (b">s:VersionMismatch<", b">s:MustUnderstand<")
_IN_MEMORY: Final = Path("/dev/shm")


class Finding(AssertionError):
    """What a reader did with some bytes is not what it promises."""


# --- MIME ----------------------------------------------------------------------------------------


def read_mime(data: bytes) -> None:
    """Read a Content-Type, which is the first line, and the multipart body after it.

    However the stream was cut in transit, the same parts come out, or the same refusal.
    """
    header, _, body = data.partition(b"\n")
    whole = _parts(header, body, len(body) + 1)
    for size in (1, 7):
        if len(body) < 2000 and _parts(header, body, size) != whole:
            raise Finding(f"read in pieces of {size} it is something else")


def _parts(header: bytes, body: bytes, size: int) -> list[object]:
    found: list[object] = []
    try:
        content_type = mime.ContentType.parse(header.decode("latin-1"))
        content_type.action  # noqa: B018  # reads what is nested in it
        for part in mtom.read_parts(content_type, _InPieces(body, size)):
            found.append((part.content_id, part.content_type, part.is_root))
            found.append(b"".join(part.chunks()))
    except mime.MalformedMessage:
        # what of a part came before, and which of two faults is seen first, is not promised
        found = ["refused"]
    return found


class _InPieces:
    """A stream that gives no more at once than it likes."""

    def __init__(self, data: bytes, size: int) -> None:
        self._stream = BytesIO(data)
        self._size = size

    def read(self, size: int, /) -> bytes:
        """Give some bytes, none only at the end."""
        return self._stream.read(min(size, self._size))


# --- SOAP ----------------------------------------------------------------------------------------


@cache
def _application() -> WSGIApplication:
    """Open an application on a folder that goes with the process."""
    where = _IN_MEMORY if _IN_MEMORY.is_dir() else None
    data = tempfile.mkdtemp(prefix="xds-fuzz-", dir=where)
    return create_app(
        Config(
            data=Path(data),
            fault_status="soap",
            max_envelope_bytes=1 << 20,
            max_message_bytes=1 << 21,
        )
    )


def answer_soap(data: bytes) -> None:
    """Post a body to the endpoint; the first line is its path, a space and the Content-Type.

    The answer is well-formed and never a 5xx, but for the two faults of a sender whose status is
    500 (SOAP 1.2 part 2, table 20).
    """
    line, _, body = data.partition(b"\n")
    path, _, content_type = line.decode("latin-1").partition(" ")
    if path not in ("/registry", "/repository"):
        path = "/registry"
    status, answer = _posted(path, content_type, body)
    if status >= 500 and not any(code in answer for code in _FAULTS_OF_SENDERS):
        raise Finding(f"answered with {status}: {answer[:500]!r}")
    if answer.startswith(b"<"):
        etree.fromstring(answer)


def _posted(path: str, content_type: str, body: bytes) -> tuple[int, bytes]:
    statuses: list[str] = []
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
        "wsgi.url_scheme": "http",
    }
    blocks: Iterable[bytes] = _application()(environ, lambda status, *_: statuses.append(status))
    try:
        answer = b"".join(blocks)
    finally:
        getattr(blocks, "close", lambda: None)()
    return int(statuses[0][:3]), answer


# --- ebRIM and stored queries --------------------------------------------------------------------


def read_ebrim(data: bytes) -> None:
    """Read a submission, hold it to every rule, and write it; what is written says the same."""
    try:
        root = parse(data)
    except MalformedXML:
        return
    if schema_validation.problems(root) or root.tag != f"{{{v.NS_LCM}}}SubmitObjectsRequest":
        return
    submission = Submission.read(root)
    for transaction in ("ITI-42", "ITI-61"):
        violations(Case(submission, transaction))
    if Submission.read(parse(submission.render().encode())) != submission:
        raise Finding("what is written is not what was read")
    submission.with_uuids()


def read_parameters(data: bytes) -> None:
    """Decode Slots, a line each with name and values separated by tabs, for every stored query."""
    lines = [line.split("\t") for line in data.decode("utf-8", "replace").split("\n")]
    slots = tuple(Slot(name, tuple(values)) for name, *values in lines)
    for query in STORED_QUERIES.values():
        try:
            arguments = decode(slots, query.parameters, query.alternatives)
        except TransactionFailure:
            continue
        for table in query.on:
            query.criterion(table, arguments)


# --- FHIR ----------------------------------------------------------------------------------------


def read_fhir_json(data: bytes) -> None:
    """Read and check a resource; without problems it can be written in both forms."""
    _read_fhir(data, lambda given: (json.read(given), []))


def read_fhir_xml(data: bytes) -> None:
    """Read and check a resource; without problems it can be written in both forms."""
    _read_fhir(data, xml.read)


def _read_fhir(data: bytes, read: Callable[[bytes], tuple[Resource, list[Issue]]]) -> None:
    try:
        resource, _ = read(data)
    except Refused as refusal:
        if refusal.status >= 500:
            raise Finding(f"refused with {refusal.status}") from refusal
        return
    if json.read(json.render(resource)) != resource:
        raise Finding("its JSON is another resource")
    if structure.problems(resource):
        return
    again, _ = xml.read(xml.render(resource))
    if structure.problems(again):
        raise Finding("its XML has problems that it has not")


# --- MLLP ----------------------------------------------------------------------------------------

_LIMITS: Final = MllpLimits(message_bytes=4000, noise_bytes=200)
_MOST_FIELDS: Final = 100


def read_mllp(data: bytes) -> None:
    """Cut a stream into messages, read and acknowledge each; pieces make no difference."""
    whole = _messages(data, len(data) + 1)
    if len(data) < 2000 and _messages(data, 1) != whole:
        raise Finding("read in pieces it is something else")
    for message in whole:
        _acknowledge(message)


def _messages(data: bytes, size: int) -> list[bytes]:
    decoder = Decoder(_LIMITS)
    found: list[bytes] = []
    try:
        for start in range(0, len(data), size):
            found.extend(one.skeleton for one in decoder.feed(data[start : start + size]))
    except Intolerable:
        return found
    return found


def _acknowledge(payload: bytes) -> None:
    try:
        message = Message.read(payload)
    except Unreadable:
        return
    for segment in message.segments():
        _read_segment(message.encoding, segment)
    answer = acknowledgement(
        message, "AE", [Problem("204", "PID^1^3", "of nobody")], control_id="1"
    )
    framed = Decoder(_LIMITS).feed(b"\x0b" + answer + b"\x1c\r")
    if [one.skeleton for one in framed] != [answer]:
        raise Finding("the acknowledgement does not fit into a frame")


def _read_segment(encoding: Encoding, segment: Segment) -> None:
    """Read all fields as they stand, as values and as text; written again they are the segment."""
    first = 2 if segment.name == "MSH" else 1
    numbers = range(first, min(segment.last_field, _MOST_FIELDS) + 1)
    for number in numbers:
        found = segment.field(number)
        if segment.value(number, 1, 1, 1) != found[0][0][0] and number > first:
            raise Finding("a value is another one by its address")
        encoding.formatted(segment.raw(number))
    text = encoding.decoded(segment.data[segment.start : segment.end])
    written = encoding.field.join((segment.name, *map(segment.raw, numbers)))
    # another header may have other delimiters
    is_whole = segment.last_field <= _MOST_FIELDS and (
        segment.name != "MSH" or segment.sequence == 1
    )
    if is_whole and written != text:
        raise Finding("a segment that is written again is another one")


# --- messages of reports and orders --------------------------------------------------------------

_flavours = cache(read_flavours)


def read_report(data: bytes) -> None:
    """Read a message into reports and orders, and decode the documents that it carries."""
    try:
        content = read(Message.read(data), _flavours())
        documents = [one for report in content.reports for one in report.documents]
        documents += [one for order in content.orders for one in order.documents]
        for document in documents:
            if isinstance(document.content, CarriedContent):
                for _ in document.content.chunks():
                    pass
    except (Unreadable, ContentRefused):
        return


# --- pages of documents --------------------------------------------------------------------------

_NAMES: Final = re.compile(r"[a-z0-9-]+")
_WRITTEN: Final = frozenset(
    _NAMES.findall(
        """html head meta link title style body a header h1 h2 h3 h4 h5 h6 section p bdi dl div dt
        dd span ul ol li strong nav details summary main pre iframe img figure figcaption footer
        table caption thead tbody tfoot tr th td sub sup br hr ins del b i em u s small code kbd
        samp var dfn cite q abbr blockquote address"""
    )
)
"""The elements that pages have."""
_ATTRIBUTES: Final = frozenset(
    _NAMES.findall(
        """lang charset name content rel href class id aria-label role tabindex dir src alt width
        height loading title download colspan rowspan headers scope"""
    )
)
_OUTER: Final = re.compile(
    r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:[/?#].*)?|mailto:\S+", re.IGNORECASE
)
_INNER: Final = re.compile(
    r"\.\./document/x(?:/original|/attachment/[0-9]+)?(?:#navpanes=0)?|#\S+|data:,"
)
_PICTURE: Final = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+")
_FACTS: Final = RegistryFacts(href="../document/x")


class _PageCheck(HTMLParser):
    """Holds a page to what pages may have."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _WRITTEN:
            raise Finding(f"a page has the element {tag}")
        for name, value in attrs:
            if name not in _ATTRIBUTES:
                raise Finding(f"a page has the attribute {name}")
            given = value or ""
            if name == "href" and not (_INNER.fullmatch(given) or _OUTER.fullmatch(given)):
                raise Finding(f"a page leads to {given}")
            if name == "src" and not (_INNER.fullmatch(given) or _PICTURE.fullmatch(given)):
                raise Finding(f"a page loads {given}")


def read_page(data: bytes) -> None:
    """Make the page of a document: it has own elements and attributes, and loads nothing else."""
    try:
        document = read_document(data)
    except ContentUnreadable as error:
        page = render_not_shown(_FACTS, str(error))
    else:
        page = render_page(document, _FACTS, data)
        for attachment in document.attachments:
            served_attachment(attachment)
    checker = _PageCheck()
    checker.feed(page.decode())
    checker.close()


# --- documents, read and made ---------------------------------------------------------------------


def read_content(data: bytes) -> None:
    """Read all that a document says, and what it says of its versions.

    Every result is stored and read again as it was, whatever it is.
    """
    read_version(data, PLAIN)
    try:
        document = read_document(data)
    except ContentUnreadable:
        return
    for attachment in document.attachments:
        try:
            if attachment.data is not None:
                attachment.data()
        except ContentUnreadable:
            continue
    for found in islice(document.observations(), _MOST_RESULTS):
        if "\0" not in repr(found) and read_result(stored(found).content) != _listed(found):
            raise Finding("a result that is stored is another one")


_MOST_RESULTS: Final = 100


def _listed(found: ContentObservation) -> ContentObservation:
    """Return a result with sequences of the kind that a stored one has."""
    return replace(
        found,
        values=tuple(found.values),
        interpretation=tuple(found.interpretation),
        translations=tuple(found.translations),
        notes=tuple(found.notes),
    )


_FORMS: Final = cache(lambda: form_table.read(None).rows)
_ENTRY: Final = entry_of("1^^^&2.999.1.1&ISO", "text/xml")


def make_summary(data: bytes) -> None:
    """Make the summary of a patient with one document, in both forms.

    The FHIR document is one of R4 in which every reference leads somewhere, the CDA can be read.
    """
    request = FormRequest(
        unique_id="2.25.1",
        made="20260601101500",
        patient_id="1^^^&2.999.1.1&ISO",
        sources=[FormSource(_ENTRY, lambda: data)],
    )
    bundle = json.read(_FORMS()["summary"].build(request))
    found = structure.problems(bundle, expected="Bundle")
    if told := [one for one in found if one.severity != "warning"]:
        raise Finding(f"the summary is none of R4: {told[0].diagnostics} {told[0].expression}")
    urls = {one["fullUrl"] for one in bundle["entry"]}
    for url in _REFERENCE.findall(json.render(bundle)):
        if url.decode() not in urls:
            raise Finding("a reference in the summary leads nowhere")
    document = read_document(_FORMS()["summary-cda"].build(request), "text/xml")
    if document.kind != "cda":
        raise Finding("the CDA is none")


_REFERENCE: Final = re.compile(rb'"reference":"(urn:uuid:[^"]*)"')


TARGETS: Final[Mapping[str, Target]] = {
    "mime": read_mime,
    "soap": answer_soap,
    "parameters": read_parameters,
    "ebrim": read_ebrim,
    "fhir_json": read_fhir_json,
    "fhir_xml": read_fhir_xml,
    "mllp": read_mllp,
    "messages": read_report,
    "pages": read_page,
    "cda": read_content,
    "fhir_documents": read_content,
    "pdf": read_content,
    "summaries": make_summary,
}

CORPUS: Final = Path(__file__).resolve().parents[1] / "fixtures" / "fuzz"
"""A folder for each target: seeds, and what was found."""


def seeds(target: str) -> Iterator[Path]:
    """Yield the files of a target's corpus, in the order of their names."""
    yield from sorted(path for path in (CORPUS / target).iterdir() if path.is_file())
