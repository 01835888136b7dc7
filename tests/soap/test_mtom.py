"""MIME and MTOM/XOP both ways: the oddities of real SOAP stacks, and byte-exact round trips."""

import base64
import itertools
import re
import tracemalloc
from collections.abc import Iterable, Iterator, Mapping
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import MESSAGES, needs
from xds import base64_blocks
from xds.wire import mime, mtom
from xds.wire.mime import ContentType, MalformedMessage, MimeLimits, MultipartReader, action_of
from xds.wire.mtom import Attachment, Encoded, PartsByCid, cid_of, encode, href_of

ACTION = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
BOUNDARY = "MIMEBoundary_41"
STEPS = [1, 7, 1 << 20]


class Trickle:
    """A stream that gives at most so many bytes at a time, and counts them."""

    def __init__(self, data: bytes, *steps: int) -> None:
        self._data = data
        self._steps = itertools.cycle(steps or (1 << 20,))
        self.given = 0

    def read(self, size: int, /) -> bytes:
        end = self.given + min(size, next(self._steps))
        block = self._data[self.given : end]
        self.given += len(block)
        return block


def message(*parts: bytes, line_end: bytes = b"\r\n", boundary: str = BOUNDARY) -> bytes:
    """A multipart body of parts that bring their own headers and blank line."""
    delimiter = b"--" + boundary.encode() + line_end
    closing = b"--" + boundary.encode() + b"--" + line_end
    return b"".join(delimiter + part + line_end for part in parts) + closing


def part_of(body: bytes, cid: str = "doc1@example.org", headers: bytes = b"") -> bytes:
    return b"Content-ID: <" + cid.encode() + b">\r\n" + headers + b"\r\n" + body


def bodies(data: bytes, step: int = 1 << 20, **options: object) -> list[bytes]:
    reader = MultipartReader(Trickle(data, step), BOUNDARY, **options)  # type: ignore[arg-type]
    return [b"".join(part.chunks()) for part in reader]


# ---- content types ------------------------------------------------------------------------------


def test_media_type_and_parameter_names_are_lower_cased() -> None:
    content_type = ContentType.parse(
        'Multipart/RELATED; Boundary="AbC"; TYPE="application/xop+xml"'
    )
    assert content_type.media_type == "multipart/related"
    assert content_type.parameters == {"boundary": "AbC", "type": "application/xop+xml"}


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("start=<root@x>", {"start": "<root@x>"}),
        ("boundary=----=_Part_0_1.2; a=b", {"boundary": "----=_Part_0_1.2", "a": "b"}),
        ("type=application/xop+xml;a=b", {"type": "application/xop+xml", "a": "b"}),
        (";; a=b ; ;c=d;", {"a": "b", "c": "d"}),
        ('\t a \t=\r\n "b" ;c = d ', {"a": "b", "c": "d"}),
        (r'a="say \"x;y\"";c=d', {"a": 'say "x;y"', "c": "d"}),
        (r'a="back\\slash";c=d', {"a": r"back\slash", "c": "d"}),
        ('a="";c=', {"a": "", "c": ""}),
        ("a=first; a=second", {"a": "first"}),
    ],
)
def test_odd_parameters_are_read(parameters: str, expected: dict[str, str]) -> None:
    assert ContentType.parse("multipart/related; " + parameters).parameters == expected


@pytest.mark.parametrize(
    "header",
    ["", "multipart", "multi part/related", "a/b c=d", 'a/b; c="open', 'a/b; c= "open', "a/b; c"],
)
def test_rubbish_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match=r"^The content type .*\.$"):
        ContentType.parse(header)


@pytest.mark.parametrize(
    "header",
    [
        f'application/soap+xml; charset=UTF-8; action="{ACTION}"',
        f"application/soap+xml; action='{ACTION}'",
        f'multipart/related; start-info="application/soap+xml"; action=" {ACTION} "',
        rf'multipart/related; start-info="application/soap+xml;action=\"{ACTION}\""; a=b',
        f'multipart/related; start-info="application/soap+xml; action="{ACTION}""; a=b',
        f'multipart/related; start-info="application/soap+xml; action={ACTION}"',
        rf'application/xop+xml; type="application/soap+xml; action=\"{ACTION}\""',
        rf'multipart/related; action=""; start-info="application/soap+xml;action=\"{ACTION}\""',
        rf'multipart/related; start-info=";;"; type="text/xml;action=\"{ACTION}\""',
    ],
    ids=["own", "single quotes", "spaces", "escaped", "unescaped", "bare", "type", "empty", "odd"],
)
def test_action_is_found(header: str) -> None:
    assert ContentType.parse(header).action == ACTION
    assert action_of(header) == ACTION


@pytest.mark.parametrize("header", [None, "", "rubbish", 'a/b; type="c/d"', 'a/b; type="c/d; e"'])
def test_absent_action_is_none(header: str | None) -> None:
    assert action_of(header) is None


def test_own_action_comes_before_that_of_start_info() -> None:
    header = rf'multipart/related; start-info="a/b;action=\"urn:other\""; action={ACTION}'
    assert action_of(header) == ACTION


def test_missing_boundary_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="names no boundary"):
        mtom.read_parts(ContentType.parse("multipart/related"), Trickle(b""))


def test_other_media_type_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="not multipart/related"):
        mtom.read_parts(ContentType.parse("multipart/mixed; boundary=x"), Trickle(b""))


# ---- which part is the root ---------------------------------------------------------------------

TWO_PARTS = message(part_of(b"<doc/>", "doc1@x"), part_of(b"<Envelope/>", "root@x"))


def roots(start: str | None, data: bytes = TWO_PARTS) -> list[bool]:
    reader = MultipartReader(Trickle(data), BOUNDARY, start=start)
    return [part.is_root for part in reader]


@pytest.mark.parametrize("start", ["<root@x>", "root@x", "<<root@x>>", "<root@x", " root@x> "])
def test_start_names_a_root_that_is_not_first(start: str) -> None:
    assert roots(start) == [False, True]


def test_odd_brackets_of_content_id_do_not_matter() -> None:
    assert roots("<root@x>", TWO_PARTS.replace(b"<root@x>", b"<<root@x")) == [False, True]


@pytest.mark.parametrize("start", [None, "", "<>"])
def test_without_start_the_first_part_is_the_root(start: str | None) -> None:
    assert roots(start) == [True, False]


def test_start_that_names_no_part_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="No part has the Content-ID that the start"):
        roots("<other@x>")


def test_only_one_part_is_the_root() -> None:
    assert roots("root@x", message(*[part_of(b"", "root@x")] * 2)) == [True, False]


def test_start_of_the_content_type_is_used() -> None:
    content_type = ContentType.parse(f"multipart/related; boundary={BOUNDARY}; start=<root@x>")
    parts = mtom.read_parts(content_type, Trickle(TWO_PARTS))
    assert [(part.content_id, part.is_root) for part in parts] == [
        ("doc1@x", False),
        ("root@x", True),
    ]


# ---- bytes of parts -----------------------------------------------------------------------------

AWKWARD_BODIES = {
    "empty": b"",
    "one line feed": b"\n",
    "one carriage return": b"\r",
    "one line end": b"\r\n",
    "begins and ends with line ends": b"\r\n\r\ntext\r\n\r\n",
    "ends with carriage return": b"text\r",
    "ends with line feed": b"text\n",
    "ends with part of a delimiter": b"text\r\n--MIMEBound",
    "boundary not at line start": b"text --MIMEBoundary_41\r\n--MIMEBoundary_4\r\n",
    "boundary begins a longer line": b"\r\n--MIMEBoundary_41x\r\n--MIMEBoundary_41--x\r\n",
    "longer line at the very start": b"--MIMEBoundary_412\r\ntext",
    "boundary after a bare line feed": b"text\n--MIMEBoundary_41\r\ntext",
    "boundary before a bare line feed": b"text\r\n--MIMEBoundary_41\ntext",
    "boundary with one hyphen": b"text\r\n--MIMEBoundary_41-\r\ntext",
    "looks like headers": b"Content-ID: <other>\r\n\r\ntext",
    "all byte values": bytes(range(256)) * 3,
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("body", AWKWARD_BODIES.values(), ids=AWKWARD_BODIES.keys())
def test_body_is_byte_exact(body: bytes, step: int) -> None:
    data = message(part_of(b"first"), part_of(body), part_of(b"last"))
    assert bodies(data, step) == [b"first", body, b"last"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("media_type", [b"message/rfc822", b"multipart/mixed; boundary=inner"])
def test_nested_message_is_plain_bytes(media_type: bytes, step: int) -> None:
    body = message(b"Subject: x\r\n\r\ny", b"Content-Type: a/b\r\n\r\n", boundary="inner")
    data = message(part_of(body, headers=b"Content-Type: " + media_type + b"\r\n"), part_of(b"z"))
    assert bodies(data, step) == [body, b"z"]


@pytest.mark.parametrize("step", STEPS)
def test_part_without_a_body_shares_its_blank_line_with_the_delimiter(step: int) -> None:
    data = (
        b"--MIMEBoundary_41\r\nContent-ID: <a>\r\n\r\n--MIMEBoundary_41\r\n\r\n"
        b"--MIMEBoundary_41\r\n\r\nbody without headers\r\n--MIMEBoundary_41--"
    )
    assert bodies(data, step) == [b"", b"", b"body without headers"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("preamble", [b"\r\n", b"This is MIME.\r\n", b"--MIMEBoundary_412\r\n"])
def test_preamble_and_epilogue_are_passed_over(preamble: bytes, step: int) -> None:
    data = preamble + message(part_of(b"x")) + b"after\r\n--MIMEBoundary_41\r\n\r\nnot a part"
    assert bodies(data, step) == [b"x"]


def test_stream_is_read_to_its_end() -> None:
    data = message(part_of(b"x")) + b"epilogue" * 100_000
    stream = Trickle(data)
    assert len(list(MultipartReader(stream, BOUNDARY))) == 1
    assert stream.given == len(data)


@pytest.mark.parametrize("step", STEPS)
def test_white_space_after_the_boundary_is_transport_padding(step: int) -> None:
    data = (
        b"--MIMEBoundary_41 \t\r\n" + part_of(b"x") + b"\r\n--MIMEBoundary_41\t\r\n"
        b"\r\ny\r\n--MIMEBoundary_41-- \r\n"
    )
    assert bodies(data, step) == [b"x", b"y"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("body", [b"", b"x", b"x\r", b"\n", b"a\n--MIMEBoundary_41x\nb", b"\r\n"])
def test_message_with_bare_line_feeds(body: bytes, step: int) -> None:
    data = message(b"Content-ID: <a>\n\n" + body, b"\nsecond", line_end=b"\n")
    assert bodies(data, step) == [body, b"second"]


def test_bare_line_feeds_in_headers_only() -> None:
    data = message(b"Content-ID: <a>\nContent-Type: a/b\n\n\nx\n")
    assert bodies(data) == [b"\nx\n"]


@pytest.mark.parametrize("step", STEPS)
def test_headers_are_unfolded_and_lower_cased(step: int) -> None:
    data = message(
        b'CONTENT-TYPE:application/xop+xml;\r\n\ttype="application/soap+xml"\r\n'
        b"content-Id : <root@x> \r\nX-Empty:\r\nContent-ID: <second@x>\r\n\r\nx"
    )
    (part,) = MultipartReader(Trickle(data, step), BOUNDARY)
    assert part.content_type == 'application/xop+xml; type="application/soap+xml"'
    assert part.content_id == "root@x"
    assert part.headers["x-empty"] == ""


def test_part_without_headers_has_neither_type_nor_id() -> None:
    (part,) = MultipartReader(Trickle(message(b"\r\nx")), BOUNDARY)
    assert (part.content_type, part.content_id, dict(part.headers)) == (None, None, {})


# ---- transfer encodings -------------------------------------------------------------------------


def encoded_part(encoding: bytes, body: bytes) -> bytes:
    return message(part_of(body, headers=b"Content-Transfer-Encoding: " + encoding + b"\r\n"))


@pytest.mark.parametrize("encoding", [b"binary", b"8bit", b"7bit", b" Binary "])
def test_plain_encodings_change_nothing(encoding: bytes) -> None:
    assert bodies(encoded_part(encoding, b"=3D\r\nQUJD\xff")) == [b"=3D\r\nQUJD\xff"]


@pytest.mark.parametrize("step", [1, 5, 64, 1 << 20])
def test_base64_part_is_decoded(step: int) -> None:
    body = bytes(range(256)) * 5 + b"x"
    assert bodies(encoded_part(b"BASE64", base64.encodebytes(body)), step) == [body]


@pytest.mark.parametrize("step", [1, 5, 64, 1 << 20])
def test_quoted_printable_part_is_decoded(step: int) -> None:
    data = encoded_part(b"quoted-printable", b"caf=C3=A9 =\r\nnoir=3D1\r\nlast=20")
    assert bodies(data, step) == ["café noir=1\r\nlast ".encode()]


def test_quoted_printable_without_lines_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="line that is too long"):
        bodies(encoded_part(b"quoted-printable", b"x" * 200_000))


def test_unknown_encoding_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="Content-Transfer-Encoding that is not known"):
        bodies(encoded_part(b"x-uuencode", b"x"))


BROKEN_BASE64 = {
    "foreign character": "QUJD$UJD",
    "foreign letter": "QUJDé",
    "cut short": "QUJDQU",
    "padding inside": "QQ==QUJD",
    "padding too long": "QUI==",
    "padding alone": "====",
    "white space that XML does not have": "QUJD\x0bQUJD",
}


@pytest.mark.parametrize("text", BROKEN_BASE64.values(), ids=BROKEN_BASE64.keys())
@pytest.mark.parametrize("block", [1, 4, 5, 1 << 16])
def test_broken_base64_is_refused(text: str, block: int) -> None:
    with (
        mock.patch.object(base64_blocks, "_BLOCK", block),
        pytest.raises(MalformedMessage, match="is not base64"),
    ):
        list(mtom.inline_chunks(text))
    with pytest.raises(MalformedMessage, match="is not base64"):
        bodies(encoded_part(b"base64", text.encode()), block)


def test_inline_base64_with_white_space() -> None:
    body = bytes(range(256)) * 1000
    text = " \t" + base64.encodebytes(body).decode().replace("\n", "\r\n  ") + "\n"
    chunks = list(mtom.inline_chunks(text))
    assert b"".join(chunks) == body
    assert len(chunks) > 1
    assert list(mtom.inline_chunks(" \n ")) == []


@given(st.lists(st.binary(max_size=20)))
@settings(max_examples=50, database=None)
def test_base64_of_any_chunks(chunks: list[bytes]) -> None:
    text = b"".join(base64_blocks.encode(chunks))
    assert text == base64.b64encode(b"".join(chunks))
    assert b"".join(mtom.inline_chunks(text.decode())) == b"".join(chunks)


# ---- forward only -------------------------------------------------------------------------------


def two_parts() -> MultipartReader:
    return MultipartReader(Trickle(message(part_of(b"x" * 99), part_of(b"y" * 99)), 200), BOUNDARY)


def test_parts_not_taken_are_passed_over() -> None:
    assert [part.content_id for part in two_parts()] == ["doc1@example.org"] * 2


def test_part_taken_by_half_is_passed_over() -> None:
    reader = MultipartReader(Trickle(message(part_of(b"x" * 999), part_of(b"y")), 300), BOUNDARY)
    taken = [next(part.chunks()) for part in reader]
    assert len(taken[0]) < 999
    assert taken[1] == b"y"


def test_bytes_are_taken_once() -> None:
    part = next(iter(two_parts()))
    assert b"".join(part.chunks()) == b"x" * 99
    with pytest.raises(RuntimeError, match="already been taken"):
        part.chunks()


def test_no_bytes_after_the_reader_has_gone_on() -> None:
    first, last = two_parts()
    for part in (first, last):
        with pytest.raises(RuntimeError, match="gone on to a later part"):
            next(part.chunks())


def test_half_taken_part_does_not_end_early_when_the_reader_goes_on() -> None:
    reader = MultipartReader(Trickle(message(part_of(b"x" * 999)), 300), BOUNDARY)
    parts = iter(reader)
    chunks = next(parts).chunks()
    assert len(next(chunks)) < 999
    assert next(parts, None) is None
    with pytest.raises(RuntimeError, match="gone on to a later part"):
        next(chunks)


class Zeros:
    """A message whose one part is a given number of zero bytes, made while it is read."""

    def __init__(self, size: int) -> None:
        tail = f"\r\n--{BOUNDARY}--".encode()
        self._blocks = itertools.chain(
            [f"--{BOUNDARY}\r\n\r\n".encode()], self._zeros(size), [tail]
        )

    @staticmethod
    def _zeros(size: int) -> Iterator[bytes]:
        for _ in range(size // mime.BLOCK):
            yield bytes(mime.BLOCK)

    def read(self, size: int, /) -> bytes:
        return next(self._blocks, b"")


def test_memory_does_not_grow_with_the_part() -> None:
    size = 512 * mime.BLOCK
    tracemalloc.start()
    try:
        (count,) = [sum(map(len, p.chunks())) for p in MultipartReader(Zeros(size), BOUNDARY)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == size
    assert peak < 8 * mime.BLOCK


def test_first_part_comes_before_the_rest_is_read() -> None:
    stream = Trickle(message(part_of(b"x"), part_of(b"y" * 10_000_000)))
    assert b"".join(next(iter(MultipartReader(stream, BOUNDARY))).chunks()) == b"x"
    assert stream.given <= 2 * mime.BLOCK


# ---- malformed messages -------------------------------------------------------------------------


def test_truncation_is_found_wherever_it_happens() -> None:
    data = b"\r\n" + message(part_of(b"text"), part_of(b"", "b")) + b"end"
    whole = data.index(b"_41--") + len(b"_41--")
    for end in range(whole):
        with pytest.raises(MalformedMessage, match=r"ends (before|within)|does not occur"):
            bodies(data[:end])
    assert bodies(data[:whole]) == [b"text", b""]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The boundary does not occur in the message."),
        (b"<Envelope/>", "The boundary does not occur in the message."),
        (b"x" * 70_000, "The message does not begin with its boundary."),
        (b"--MIMEBoundary_41--\r\n", "The message has no parts."),
        (b"--MIMEBoundary_41\r\nA: b\r\n", "The message ends within the headers of a part."),
        (message(b"rubbish\r\n\r\n"), "A part has a header line without a colon."),
        (message(b"A: b\rC: d\r\n\r\n"), "A part has a control character in its headers."),
        (message(b"A: b\0\r\n\r\n"), "A part has a control character in its headers."),
    ],
)
def test_malformed_message_is_refused_with_its_cause(data: bytes, sentence: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        bodies(data)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("step", STEPS)
def test_header_limit(step: int) -> None:
    headers = b"A: " + b"x" * 95 + b"\r\n"
    data = message(headers + b"\r\nbody")
    assert bodies(data, step, limits=MimeLimits(header_bytes=100)) == [b"body"]
    with pytest.raises(MalformedMessage, match="longer than 99 bytes"):
        bodies(data, step, limits=MimeLimits(header_bytes=99))


def test_endless_header_is_not_collected() -> None:
    stream = Trickle(f"--{BOUNDARY}\r\nA: ".encode() + b"x" * 10_000_000)
    with pytest.raises(MalformedMessage, match="longer than 16384 bytes"):
        list(MultipartReader(stream, BOUNDARY))
    assert stream.given <= 2 * mime.BLOCK


def test_part_limit() -> None:
    data = message(*[b"\r\n"] * 3)
    assert len(bodies(data, limits=MimeLimits(parts=3))) == 3
    with pytest.raises(MalformedMessage, match="more than 2 parts"):
        bodies(data, limits=MimeLimits(parts=2))


@pytest.mark.parametrize("step", STEPS)
def test_message_limit(step: int) -> None:
    data = message(part_of(b"text")) + b"epilogue"
    assert bodies(data, step, limits=MimeLimits(message_bytes=len(data))) == [b"text"]
    with pytest.raises(MalformedMessage, match=f"longer than {len(data) - 1} bytes"):
        bodies(data, step, limits=MimeLimits(message_bytes=len(data) - 1))


@pytest.mark.parametrize("boundary", ["", "x" * 201, "a\r\nb", "a ", "ü", "\n"])
def test_impossible_boundary_is_refused(boundary: str) -> None:
    with pytest.raises(MalformedMessage, match="The boundary is too long or not"):
        MultipartReader(Trickle(b""), boundary)


@pytest.mark.parametrize("boundary", ["x", "x" * 200, "a b", "----=_Part_0_1.2", "'()+_,-./:=?"])
def test_possible_boundaries(boundary: str) -> None:
    reader = MultipartReader(Trickle(message(b"\r\nx", boundary=boundary)), boundary)
    assert [b"".join(part.chunks()) for part in reader] == [b"x"]


# ---- references ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("href", "content_id"),
    [
        ("cid:doc1@x.org", "doc1@x.org"),
        ("CID:doc1%40x.org", "doc1@x.org"),
        (" cid:http%3A%2F%2Fx%2F1 ", "http://x/1"),
        ("cid:%3Cdoc1@x%3E", "doc1@x"),
        ("cid:a+b%20c", "a+b c"),
        ("cid:urn:uuid:1", "urn:uuid:1"),
    ],
)
def test_cid_is_percent_decoded(href: str, content_id: str) -> None:
    assert cid_of(href) == content_id


@pytest.mark.parametrize("href", ["", "doc1", "file:///etc/passwd", "http://x/", "cid:", "cid:<>"])
def test_any_other_reference_is_refused(href: str) -> None:
    with pytest.raises(ValueError, match="xop:Include"):
        cid_of(href)


@pytest.mark.parametrize("content_id", ["doc1@x.org", "100%25", "a+b&c='1'", "http://x/1;2?3#4"])
def test_href_means_its_content_id(content_id: str) -> None:
    assert cid_of(href_of(content_id)) == content_id


@pytest.mark.parametrize("content_id", ["a@b", "a%40b", "http%3A%2F%2Fx"])
@pytest.mark.parametrize("encode_href", [str, lambda cid: cid.replace("@", "%40")])
def test_part_is_found_however_either_side_is_encoded(content_id: str, encode_href: object) -> None:
    parts: PartsByCid[str] = PartsByCid()
    parts.add("other", "other")
    parts.add(content_id, "wanted")
    assert parts.find("cid:" + encode_href(content_id)) == "wanted"  # type: ignore[operator]


def test_part_with_encoded_content_id_is_found_by_plain_href() -> None:
    parts: PartsByCid[int] = PartsByCid()
    parts.add("a%40b", 1)
    assert parts.find("cid:a@b") == 1
    parts.add("a@b", 2)
    assert parts.find("cid:a@b") == 2


def test_reference_to_a_missing_part_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="refers to a part that the message does not have"):
        PartsByCid[int]().find("cid:doc1@x")


def test_two_parts_with_one_content_id_are_refused() -> None:
    parts: PartsByCid[int] = PartsByCid()
    parts.add("a", 1)
    with pytest.raises(MalformedMessage, match="Two parts have the same Content-ID"):
        parts.add("a", 2)


# ---- a message of its root part alone -----------------------------------------------------------

ONE_PART = ContentType.parse(f"multipart/related; boundary={BOUNDARY}")
PIECES = [
    *(f"--{BOUNDARY}", "--", "\r\n", "\n", "\r", " ", "a: b", "Content-ID: <r@x>", "x"),
    *("\r\n\r\n", f"\r\n--{BOUNDARY}", f"\r\n--{BOUNDARY}--", f"--{BOUNDARY}\r\na: b\r\n\r\n"),
]


@pytest.mark.parametrize("body", [b"", b"x", b"x\r\n", b"\r\n\r\n--MIME", bytes(range(256))])
def test_the_only_part_is_found_by_the_short_way(body: bytes) -> None:
    data = message(part_of(body, headers=b"Content-Type: a/b\r\n"))
    for ending in (b"\r\n", b""):
        found = mtom.only_part(data.removesuffix(b"\r\n") + ending, ONE_PART)
        assert found is not None
        assert (found[0]["content-type"], found[1]) == ("a/b", body)


@pytest.mark.parametrize(
    "data",
    [
        message(part_of(b"a"), part_of(b"b", "doc2@x")),
        message(part_of(b"x"), line_end=b"\n"),
        message(part_of(b"eA==", headers=b"Content-Transfer-Encoding: base64\r\n")),
        message(part_of(b"x"))[:-4],
        message(part_of(b"x", headers=b"a: " + b"b" * 17_000 + b"\r\n")),
        b"",
    ],
)
def test_whatever_else_is_left_to_the_reader(data: bytes) -> None:
    assert mtom.only_part(data, ONE_PART) is None


def test_a_part_that_start_does_not_name_is_not_the_root() -> None:
    other = ContentType.parse(f'multipart/related; boundary={BOUNDARY}; start="<other@x>"')
    assert mtom.only_part(message(part_of(b"x")), other) is None


@given(st.lists(st.sampled_from(PIECES), max_size=9))
@settings(max_examples=300, database=None)
def test_the_short_way_finds_what_the_reader_finds(pieces: list[str]) -> None:
    data = "".join(pieces).encode()
    for whole in (data, b"--MIMEBoundary_41\r\n" + data + b"\r\n--MIMEBoundary_41--\r\n"):
        try:
            found = mtom.only_part(whole, ONE_PART)
        except MalformedMessage as error:
            with pytest.raises(MalformedMessage, match=re.escape(str(error))):
                headers_and_bodies(whole)
        else:
            assert found is None or headers_and_bodies(whole) == [found]


def headers_and_bodies(data: bytes) -> list[tuple[Mapping[str, str], bytes]]:
    parts = mtom.read_parts(ONE_PART, Trickle(data))
    return [(part.headers, b"".join(part.chunks())) for part in parts]


# ---- writing ------------------------------------------------------------------------------------

TOKEN = "0123456789abcdef0123456789abcdef"


def encode_fixed(
    root: bytes | Iterable[bytes], attachments: list[Attachment], action: str = ACTION
) -> Encoded:
    with mock.patch("secrets.token_hex", return_value=TOKEN):
        return encode(root, attachments, action)


def test_message_has_the_form_of_the_framework() -> None:
    document = Attachment("doc1@x", 'text/xml; charset="utf-8"', [b"<doc", b"/>"], 6)
    encoded = encode_fixed(b"<Envelope/>", [document])
    assert encoded.content_type == (
        f'multipart/related; boundary="xds-{TOKEN}"; type="application/xop+xml"; '
        f'start="<root.{TOKEN}@xds>"; start-info="application/soap+xml"; action="{ACTION}"'
    )
    expected = (
        f"--xds-{TOKEN}\r\n"
        'Content-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\n'
        "Content-Transfer-Encoding: binary\r\n"
        f"Content-ID: <root.{TOKEN}@xds>\r\n\r\n<Envelope/>\r\n"
        f"--xds-{TOKEN}\r\n"
        'Content-Type: text/xml; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: binary\r\n"
        f"Content-ID: <doc1@x>\r\n\r\n<doc/>\r\n--xds-{TOKEN}--\r\n"
    )
    assert b"".join(encoded).decode() == expected
    assert encoded.content_length == len(expected)


def test_no_two_messages_share_a_boundary() -> None:
    types = {encode(b"", [], ACTION).content_type for _ in range(100)}
    assert len(types) == 100


@pytest.mark.parametrize(
    ("root", "size"), [(b"<Envelope/>", None), ([b"<Envelope/>"], 1)], ids=["document", "root"]
)
def test_length_is_unknown_when_a_size_is(root: bytes | list[bytes], size: int | None) -> None:
    encoded = encode(root, [Attachment("a", "a/b", [b"x"], size)], ACTION)
    assert encoded.content_length is None
    assert b"<Envelope/>" in b"".join(encoded)


def test_small_document_leaves_in_one_block() -> None:
    chunks = [b"x" * 1024] * 10
    assert len(list(encode(b"<Envelope/>", [Attachment("a", "a/b", chunks)], ACTION))) == 1


def test_many_small_chunks_are_joined_to_blocks() -> None:
    blocks = list(encode(b"", [Attachment("a", "a/b", itertools.repeat(b"x" * 100, 9999))], ACTION))
    assert sum(block.count(b"x" * 100) for block in blocks) >= 9999 - len(blocks)
    assert all(64 * 1024 <= len(block) < 66 * 1024 for block in blocks[:-1])


def test_large_chunks_are_not_copied() -> None:
    large = bytes(1 << 20)
    blocks = list(encode(b"", [Attachment("a", "a/b", lambda: [b"x", large, large])], ACTION))
    assert len(blocks) == 4
    assert blocks[1] is large


INJECTIONS = ["", "a\r\nb", "a\nb", 'a"b', "a\\b", "ä", "a\x00b", "a b\r"]


@pytest.mark.parametrize("value", [*INJECTIONS, "a b"])
def test_action_cannot_break_the_header(value: str) -> None:
    with pytest.raises(ValueError, match="The action of an outgoing message"):
        encode(b"", [], value)


@pytest.mark.parametrize("value", [*INJECTIONS, "a b", "<a>", "a>"])
def test_content_id_cannot_break_the_header(value: str) -> None:
    with pytest.raises(ValueError, match="The Content-ID of an outgoing message"):
        encode(b"", [Attachment(value, "a/b", [])], ACTION)
    with pytest.raises(ValueError, match="The Content-ID of an outgoing message"):
        href_of(value)


@pytest.mark.parametrize(
    "value", [*INJECTIONS, "text", 'a/b"', 'a/b; c="d', "a/b\r\nX: y", "a/b c"]
)
def test_content_type_cannot_break_the_header(value: str) -> None:
    with pytest.raises(ValueError, match="The content type of an outgoing message"):
        encode(b"", [Attachment("a", value, [])], ACTION)


def test_two_attachments_with_one_content_id_are_refused() -> None:
    with pytest.raises(ValueError, match="Two attachments have the same Content-ID"):
        encode(b"", [Attachment("a", "a/b", [])] * 2, ACTION)


@pytest.mark.parametrize(("size", "sentence"), [(4, "longer"), (6, "shorter")])
def test_document_not_as_long_as_announced_breaks_the_message_off(size: int, sentence: str) -> None:
    encoded = encode(b"", [Attachment("a", "a/b", [b"123", b"45"], size)], ACTION)
    with pytest.raises(ValueError, match=f"{sentence} than announced"):
        list(encoded)


class Source:
    """Blocks of a document that notices being closed."""

    def __init__(self, *blocks: bytes) -> None:
        self._blocks = iter(blocks)
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self._blocks

    def close(self) -> None:
        self.closed += 1


def test_close_closes_what_is_being_sent_and_what_is_not_yet_sent() -> None:
    opened, waiting, never = Source(bytes(99_999), bytes(99_999)), Source(b"x"), Source()
    attachments = [
        Attachment("a", "a/b", lambda: opened),
        Attachment("b", "a/b", waiting),
        Attachment("c", "a/b", lambda: never),
    ]
    encoded = encode(b"", attachments, ACTION)
    blocks = iter(encoded)
    next(blocks), next(blocks)
    assert (opened.closed, waiting.closed) == (0, 0)
    encoded.close()
    assert (opened.closed, waiting.closed, never.closed) == (1, 1, 0)
    assert list(blocks) == []


def test_each_document_is_closed_when_it_has_been_sent() -> None:
    first, second = Source(bytes(99_999)), Source(bytes(99_999))
    sources = [Attachment("a", "a/b", first), Attachment("b", "a/b", lambda: second)]
    blocks = iter(encode(b"", sources, ACTION))
    while not first.closed:
        assert second.closed == 0
        next(blocks)
    list(blocks)
    assert second.closed == 1


def test_one_failing_close_does_not_keep_the_others_open() -> None:
    class Failing(Source):
        def close(self) -> None:
            raise OSError("disk")

    other = Source()
    sources = [Attachment("a", "a/b", other), Attachment("b", "a/b", Failing())]
    with pytest.raises(OSError, match="disk"):
        encode(b"", sources, ACTION).close()
    assert other.closed == 1


# ---- round trips --------------------------------------------------------------------------------

# The full boundary is always followed by something that makes the line a longer one.
FRAGMENTS = [b"\r", b"\n", b"\r\n", b"--", b"-", b" ", b"\t", b"", b"x", b"\0"] + [
    before + b"--xds-" + TOKEN.encode() + after
    for before in (b"", b"\r\n", b"\n", b" ")
    for after in (b"!", b"-!", b"--!", b" \t!", b"\r!", b"--\r!")
]
FRAGMENTS += [b"\r\n--xds-" + TOKEN.encode()[:-1], b"\r\n\r\n--xds-", b"\r\n--"]
BODIES = st.one_of(
    st.binary(max_size=300), st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(b"".join)
)


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


@given(
    root=BODIES,
    documents=st.lists(BODIES, max_size=4),
    size=st.integers(1, 400),
    steps=st.lists(st.integers(1, 3000), min_size=1, max_size=4),
    skipped=st.sets(st.integers(0, 4)),
)
@settings(max_examples=100, database=None)
def test_whatever_is_written_is_read_byte_for_byte(
    root: bytes, documents: list[bytes], size: int, steps: list[int], skipped: set[int]
) -> None:
    attachments = [
        Attachment(f"doc{number}@x", "message/rfc822", cut(body, size), len(body))
        for number, body in enumerate(documents)
    ]
    encoded = encode_fixed(root, attachments)
    data = b"".join(encoded)
    assert encoded.content_length == len(data)
    reader = mtom.read_parts(ContentType.parse(encoded.content_type), Trickle(data, *steps))
    read = [
        (part.is_root, None if number in skipped else b"".join(part.chunks()))
        for number, part in enumerate(reader)
    ]
    assert read == [
        (number == 0, None if number in skipped else body)
        for number, body in enumerate([root, *documents])
    ]


@pytest.mark.parametrize("name", ["iti41-request", "iti43-response-partial"])
@needs(MESSAGES)
def test_example_messages_are_read(name: str) -> None:
    head, _, body = (MESSAGES / f"{name}.http").read_bytes().partition(b"\r\n\r\n")
    header = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-type:"))
    content_type = ContentType.parse(header.partition(b":")[2].decode())
    parts: PartsByCid[bytes] = PartsByCid()
    envelope = b""
    for part in mtom.read_parts(content_type, Trickle(body, 100)):
        if part.is_root:
            envelope = b"".join(part.chunks())
        else:
            parts.add(part.content_id or "", b"".join(part.chunks()))
    assert (content_type.action or "").encode() in envelope
    assert parts.find("cid:doc1@xds.example.org") == (MESSAGES / "doc1.txt").read_bytes()
