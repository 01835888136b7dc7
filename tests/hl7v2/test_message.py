"""Reading HL7 v2 messages: addresses, delimiters, escape sequences, and that nothing is lost."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xds.hl7v2.acknowledgement import acknowledgement
from xds.hl7v2.encoding import Encoding
from xds.hl7v2.message import MAX_FIELD_BYTES, MAX_HEADER_BYTES, Message, Segment, Unreadable
from xds.hl7v2.problems import MessageRefused, Problem

HEADER = "MSH|^~\\&|A|B|C|D|20260102030405||ADT^A04^ADT_A01|MSG1|P|2.5"
TEXT = (
    f"{HEADER}\rEVN|A04\r"
    'PID|1||1^^^&2.999.1.1&ISO~2^^^HOSP||Doe^Jane^""|""| x |\r'
    "ZZZ|first|a & b^c\rPID\rZZZ|second\r"
)
DELIMITERS = "!#$%&'()*+,:;<=>?@[\\]^`{|}~"
CHARSETS = {"": "ascii", "8859/1": "latin-1", "WINDOWS-1252": "cp1252", "UNICODE UTF-8": "utf-8"}
OTHERWISE_READ = "\0\r\n" + "".join(
    {*map(chr, range(0x80, 0xA0)), *bytes(range(0xC0, 0x100)).decode("cp1252")}
)
"""Characters that end a segment, and those that may be others: by Windows-1252 in place of 8859/1,
and as the first byte of a character of UTF-8."""


def read(text: str, charset: str = "ascii") -> Message:
    """Read a message."""
    return Message.read(text.encode(charset))


# --- any message ---------------------------------------------------------------------------------

encodings = st.builds(
    lambda charset, marks, number: Encoding(charset, *marks[:number]),
    st.sampled_from(sorted(CHARSETS)),
    st.permutations(DELIMITERS),
    st.sampled_from([5, 6]),
)


def header(encoding: Encoding) -> str:
    """Write MSH; the charset of the encoding is the name of it in MSH-18."""
    fields = ["MSH", encoding.characters, *"ABCD", "2026", "", "ADT", "1", "P", "2.5"]
    return encoding.field.join([*fields, *[""] * 5, encoding.charset])


def characters(encoding: Encoding) -> st.SearchStrategy[str]:
    """Return a strategy for characters of an encoding that do not end a segment."""
    return st.one_of(
        st.sampled_from(f"{encoding.field}{encoding.characters}"),
        st.characters(codec=CHARSETS[encoding.charset], exclude_characters=OTHERWISE_READ),
    )


def serialised(message: Message) -> str:
    """Write a message from its smallest parts, each read by its address."""
    return "".join(f"{_segment(one, message.encoding)}\r" for one in message.segments())


def _segment(segment: Segment, encoding: Encoding) -> str:
    if segment.name == "MSH":
        fields = [segment.raw(number) for number in range(2, segment.last_field + 1)]
    else:
        fields = [_field(encoding, segment, number) for number in range(1, segment.last_field + 1)]
    return encoding.field.join([segment.name, *fields])


def _field(encoding: Encoding, segment: Segment, *address: int) -> str:
    """Write a field, or a part of it; how many parts it has is counted in what stands there."""
    marks = encoding.repetition, encoding.component, encoding.subcomponent
    if len(address) > len(marks):
        return segment.raw(*address)
    mark = marks[len(address) - 1]
    places = range(1, segment.raw(*address).count(mark) + 2)
    return mark.join(_field(encoding, segment, *address, place) for place in places)


@given(st.data())
def test_nothing_of_a_message_is_lost(data: st.DataObject) -> None:
    encoding = data.draw(encodings)
    line = st.text(characters(encoding), min_size=1)
    name = st.sampled_from(["OBX", "PID", "Z12"])
    named = st.builds(lambda name, rest: f"{name}{encoding.field}{rest}", name, line)
    lines = data.draw(st.lists(st.one_of(name, named), max_size=6))
    text = "".join(f"{one}\r" for one in [header(encoding), *lines])
    message = read(text, CHARSETS[encoding.charset])
    assert serialised(message) == text
    assert [message.header.raw(number) for number in (1, 2)] == [
        encoding.field,
        encoding.characters,
    ]


@given(st.data())
def test_a_value_is_read_as_it_was_before_it_was_escaped(data: st.DataObject) -> None:
    encoding = data.draw(encodings)
    leaf = st.text(characters(encoding), max_size=8).filter(lambda one: one.strip() != '""')
    component = st.lists(leaf, min_size=1, max_size=3)
    repetition = st.lists(component, min_size=1, max_size=3)
    field = data.draw(st.lists(repetition, min_size=1, max_size=3))
    text = _written(encoding, field)
    message = read(f"{header(encoding)}\rPID{encoding.field}{text}\r", CHARSETS[encoding.charset])
    trimmed = tuple(
        tuple(tuple(one.strip() for one in parts) for parts in components) for components in field
    )
    assert message.field("PID", 1) == trimmed
    for r, components in enumerate(trimmed, 1):
        for c, parts in enumerate(components, 1):
            for s, one in enumerate(parts, 1):
                assert message.value("PID", 1, r, c, s) == one


def _written(encoding: Encoding, field: Sequence[Sequence[Sequence[str]]]) -> str:
    return encoding.repetition.join(
        encoding.component.join(
            encoding.subcomponent.join(map(encoding.escaped, parts)) for parts in components
        )
        for components in field
    )


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "value"),
    [
        (("PID", 3), "1^^^&2.999.1.1&ISO"),
        (("PID", 3, 1, 1), "1"),
        (("PID", 3, 1, 4), "&2.999.1.1&ISO"),
        (("PID", 3, 1, 4, 2), "2.999.1.1"),
        (("PID", 3, 2, 4), "HOSP"),
        (("PID", 3, 3), ""),
        (("PID", 3, 1, 9), ""),
        (("PID", 3, 1, 4, 9), ""),
        (("PID", 5, 1, 3), ""),
        (("PID", 6), ""),
        (("PID", 7), "x"),
        (("PID", 8), ""),
        (("PID", 99), ""),
        (("ZZZ", 2, 1, 1), "a & b"),
        (("ZZZ", 2, 1, 1, 2), "b"),
        (("MSH", 1), "|"),
        (("MSH", 2), "^~\\&"),
        (("MSH", 3), "A"),
        (("MSH", 9, 1, 2), "A04"),
        (("MSH", 18), ""),
        (("OBX", 5), ""),
    ],
)
def test_a_value_has_an_address(address: tuple[str, int], value: str) -> None:
    assert read(TEXT).value(*address) == value


def test_segments_come_in_their_order_truncated_ones_too() -> None:
    message = read(TEXT)
    found = [(one.name, one.sequence, one.last_field) for one in message.segments()]
    assert found == [
        ("MSH", 1, 12),
        ("EVN", 1, 1),
        ("PID", 1, 8),
        ("ZZZ", 1, 2),
        ("PID", 2, 0),
        ("ZZZ", 2, 1),
    ]
    assert (message.count("PID"), message.count("P"), message.count("OBX")) == (2, 0, 0)
    truncated, last = message.segment("PID", 2), message.segment("ZZZ", 2)
    assert truncated is not None
    assert last is not None
    assert (truncated.raw(3), truncated.field(3), last.raw(1)) == ("", (), "second")
    assert message.segment("ZZZ", 3) is None


def test_null_is_not_empty() -> None:
    patient = read(TEXT).segment("PID")
    assert patient is not None
    assert [patient.is_null(number) for number in (6, 4, 99)] == [True, False, False]
    assert (patient.raw(6), patient.field(6)) == ('""', ((("",),),))
    assert patient.is_null(5, 1, 3)
    assert not patient.is_null(5)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r\n", "\n\n"])
def test_segments_end_with_any_line_end(end: str) -> None:
    message = read(TEXT.replace("\r", end))
    assert serialised(message) == TEXT
    assert read(TEXT.rstrip("\r").replace("\r", end)).count("ZZZ") == 2


@pytest.mark.parametrize("before", ["\ufeff", " \r\n", "\ufeff\r\n "])
def test_what_stands_before_a_message_is_left_out(before: str) -> None:
    assert serialised(read(before + TEXT, "utf-8")) == TEXT


def test_a_line_that_is_no_segment_belongs_to_the_field_before_it() -> None:
    text = TEXT.replace("first|a", "first|a\r\nx10\r\n\r\n/L|b\rab\nPIDx")
    message = read(text)
    segment = message.segment("ZZZ")
    assert segment is not None
    assert [segment.raw(number) for number in (1, 2, 3, 4)] == [
        "first",
        "a \nx10   \n/L",
        "b\nab\nPIDx & b^c",
        "",
    ]
    assert message.broken_lines == ("ZZZ^1^2", "ZZZ^1^3")
    assert read(TEXT).broken_lines == ()


@pytest.mark.parametrize(
    ("characters", "value", "parts"),
    [
        ("^~", "a&b\\F\\", ["a&b\\F\\", ""]),
        ("^~\\", "a&b|", ["a&b|", ""]),
        ("$%?&", "a&b\\F\\^c~d", ["a", "b\\F\\^c~d"]),
    ],
)
def test_delimiters_may_be_fewer_or_others(
    characters: str, value: str, parts: Sequence[str]
) -> None:
    message = read(f"MSH|{characters}|A\rNTE|1|a&b\\F\\^c~d\r")
    segment = message.segment("NTE")
    assert segment is not None
    assert segment.value(2, 1, 1) == value
    assert [segment.value(2, 1, 1, number) for number in (1, 2)] == parts
    assert message.field("NTE", 2)[0][0][: len(parts)] == tuple(filter(None, parts))


@pytest.mark.parametrize(
    ("declared", "data", "value", "codec"),
    [
        ("", "é".encode(), "é", "utf-8"),
        ("8859/1", "é".encode(), "é", "utf-8"),
        ("8859/1", b"\xe9", "é", "iso-8859-1"),
        ("8859/1", b"\x91\xe9\x92", "\u2018é\u2019", "cp1252"),
        ("", b"\xe9\x96", "é\u2013", "cp1252"),
        ("ASCII", b"\xe9", "é", "cp1252"),
        ("UNICODE UTF-8", b"\xe9", "\ufffd", "utf-8"),
        ("BIG-5", b"\xa4\x40", "", None),
        ("ISO IR87", b"\x1b$B", "", None),
        ("ISO IR87", b"plain", "plain", "ascii"),
    ],
)
def test_the_charset_is_that_of_the_bytes(
    declared: str, data: bytes, value: str, codec: str | None
) -> None:
    message = Message.read(f"{HEADER}||||||{declared}\rNTE|1||".encode() + data + b"\r")
    assert message.is_charset_known == (codec is not None)
    if codec:
        assert (message.value("NTE", 3), message.encoding.charset) == (value, codec)


# --- escape sequences ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("charset", "written", "value", "shown"),
    [
        ("ascii", r"x10\S\9/L", "x10^9/L", "x10^9/L"),
        ("ascii", r"\F\\S\\R\\T\\E\ ", "|^~&\\", "|^~&\\ "),
        ("ascii", r"\E\S\E\ ", r"\S" + "\\", r"\S" + "\\ "),
        ("ascii", r"\P\ ", r"\P" + "\\", r"\P" + "\\ "),
        ("ascii", r"a\X0D0A\b", "a\r\nb", "a\r\nb"),
        ("ascii", r"a\X000d\b", "a\rb", "a\rb"),
        ("ascii", r"\X7C5E\ ", "|^", "|^ "),
        ("ascii", r"\X2222\ ", '""', '"" '),
        ("ascii", r"\XC3A9\ ", r"\XC3A9" + "\\", r"\XC3A9" + "\\ "),
        ("utf-8", r"é\XC3A9\ ", "éé", "éé "),
        ("latin-1", r"é\XE9\ ", "éé", "éé "),
        ("ascii", r"\X4\\X\\X00\ ", r"\X4\\X\\X00" + "\\", r"\X4\\X\\X00" + "\\ "),
        ("ascii", r"a\.br\\.br\b", r"a\.br\\.br\b", "a\n\nb"),
        ("ascii", r"a\.sp2\b\.sk3\c\.ce\d", r"a\.sp2\b\.sk3\c\.ce\d", "a\n\nb   c\nd"),
        ("ascii", r"a\.in+4\b\.fi\c\.ti-2\d", r"a\.in+4\b\.fi\c\.ti-2\d", "abcd"),
        ("ascii", r"\.sp999999999\ ", r"\.sp999999999" + "\\", r"\.sp999999999" + "\\ "),
        ("ascii", r"\H\S\N\ ", r"\H\S\N" + "\\", "S "),
        ("ascii", r"\C2842\S\M2442\ ", r"\C2842\S\M2442" + "\\", r"\C2842\S\M2442" + "\\ "),
        ("ascii", r"\Zq\F\ ", r"\Zq\F" + "\\", r"\Zq\F" + "\\ "),
        ("ascii", r"COMMS,\R\'#$%", "COMMS,~'#$%", "COMMS,~'#$%"),
        ("ascii", r"C:\TEMP\0\ \F", r"C:\TEMP\0\ \F", r"C:\TEMP\0\ \F"),
    ],
)
def test_escape_sequences(charset: str, written: str, value: str, shown: str) -> None:
    name = {"ascii": "", "utf-8": "UNICODE UTF-8", "latin-1": "8859/1"}[charset]
    message = read(f"{HEADER}||||||{name}\rNTE|1||{written}\r", charset)
    assert message.value("NTE", 3, 1, 1, 1) == value.strip()
    segment = message.segment("NTE")
    assert segment is not None
    assert message.encoding.formatted(segment.raw(3)) == shown


def test_the_truncation_character_has_a_sequence_where_there_is_one() -> None:
    message = read("MSH|^~\\&#|A\rNTE|\\P\\")
    assert message.value("NTE", 1) == "#"
    assert message.encoding.escaped("#") == "\\P\\"


def test_an_escaped_value_makes_no_segment_of_an_acknowledgement() -> None:
    message = read(HEADER.replace("A04", r"A\X0D0B\ERR"))
    assert message.trigger_event == "A\r\x0bERR"
    answer = acknowledgement(message, "AR", [Problem("201", "MSH^1^9^1^2")], control_id="1")
    lines = answer.decode().removesuffix("\r").split("\r")
    assert [line[:3] for line in lines] == ["MSH", "MSA", "ERR"]
    assert read(answer.decode()).trigger_event == message.trigger_event


# --- limits --------------------------------------------------------------------------------------


def test_a_large_field_is_read_by_address_only() -> None:
    large = "x" * MAX_FIELD_BYTES
    message = read(f"{HEADER}\rOBX|1\rOBX|2|ED|||^application^pdf^Base64^{large}|F\r")
    document = message.segment("OBX", 2)
    assert document is not None
    assert document.value(5, 1, 5) == large
    assert document.raw(6) == "F"
    with pytest.raises(MessageRefused) as refused:
        document.field(5)
    (problem,) = refused.value.problems
    assert (problem.code, problem.location) == ("207", "OBX^2^5")
    assert str(MAX_FIELD_BYTES) in problem.reason


def test_an_endless_header_is_not_read() -> None:
    with pytest.raises(Unreadable, match=str(MAX_HEADER_BYTES)):
        read(HEADER.replace("MSG1", "x" * MAX_HEADER_BYTES))
    assert read(f"{HEADER}||||||{'|' * MAX_HEADER_BYTES}").message_code == "ADT"


@pytest.mark.parametrize("marks", ["|^~\\&", "|^~\\&#", "|^~", "!$%&@"])
def test_parties_may_all_be_empty(marks: str) -> None:
    """The separators after MSH-2 are not taken for an encoding character."""
    separator = marks[0]
    fields = ["MSH" + marks, *[""] * 4, "20260301", "", "ACK", "C1", "P", "2.5.1"]
    message = Message.read((separator.join(fields) + "\r").encode())
    assert (message.message_code, message.header.value(10)) == ("ACK", "C1")
    assert message.header.raw(2) == marks[1:]


@pytest.mark.parametrize("flood", [b"\r", b"\n", b"\r\n", b"\r ", b" ", b"\rABC ", b"A"])
def test_three_megabytes_of_nothing_are_read_in_one_pass(flood: bytes) -> None:
    """Each took hours where its line ends were looked at again from every place."""
    nothing = flood * (3_000_000 // len(flood))
    with pytest.raises(Unreadable):
        Message.read(nothing)
    header = b"MSH|^~\\&|LAB|T25|XDS|SCR|2026||ORU^R01|C1|P|2.4\r"
    assert Message.read(header + nothing + b"\rPID|1\r").segment("MSH") is not None


def test_lines_without_text_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[int] = []
    name = Message._name

    def counted(message: Message, start: int, end: int) -> str:
        named.append(start)
        return name(message, start, end)

    monkeypatch.setattr(Message, "_name", counted)
    read = Message.read(
        b"MSH|^~\\&|LAB|T25|XDS|SCR|2026||ORU^R01|C1|P|2.4" + b"\r" * 1000 + b"PID|1"
    )
    assert [(one.name, one.sequence) for one in read.segments()] == [("MSH", 1), ("PID", 1)]
    assert len(named) == 2
