"""Messages that are written read back as what was written."""

import pytest

from xds.hl7v2.message import Message
from xds.hl7v2.writing import MessageWriter, StreamedField, composed, escaped, repeated

TEXTS = [
    "x10^9/L",
    "48^R^50",
    "A|B~C&D\\E",
    "46,XY,t(9;22)",
    "Zoë Ó Briain",
    "\\.br\\ is no line end",
    "",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_value_reads_back_as_it_was(text: str) -> None:
    message = _message({1: composed("1", text, "after")})
    assert message.value("OBX", 1, 1, 2) == text
    assert message.value("OBX", 1, 1, 3) == "after"


def test_line_ends_become_escapes_and_control_characters_drop() -> None:
    assert escaped("one\r\ntwo\nthree\x0b\x1c") == "one\\.br\\two\\.br\\three"


def test_empty_components_and_repetitions_at_the_end_are_left_out() -> None:
    assert composed("a", "", "b", "", "") == "a^^b"
    assert repeated(["a^b", "", "c"]) == "a^b~c"


def test_a_field_is_streamed_between_others() -> None:
    writer = MessageWriter()
    writer.header({3: "APP", 9: composed("MDM", "T02"), 10: "1", 12: "2.4"})
    streamed = StreamedField("^application^pdf^Base64^", lambda: [b"QUJD", b"REVG"])
    writer.segment("OBX", {1: "1", 2: "ED", 5: streamed, 11: "F"})
    for _ in range(2):  # from the beginning at each call
        data = b"".join(writer.blocks())
        assert data.split(b"\r")[1] == b"OBX|1|ED|||^application^pdf^Base64^QUJDREVG||||||F"


def _message(fields: dict[int, str]) -> Message:
    writer = MessageWriter()
    writer.header({3: "APP", 9: composed("ORU", "R01"), 10: "1", 12: "2.4", 18: "UNICODE UTF-8"})
    writer.segment("OBX", fields)
    return Message.read(b"".join(writer.blocks()))
