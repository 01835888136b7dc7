"""Acknowledgements: which are due, and how an error is told in each version."""

import pytest

from xds.hl7v2.acknowledgement import (
    AcknowledgementHabits,
    Judgement,
    ReceivedAcknowledgement,
    acknowledgements,
)
from xds.hl7v2.message import Message
from xds.hl7v2.problems import Problem

LONG_ID = "IGENE:MFT:2c3d7c38-3f3c-4f4c-9d43-c7d0a4f1ab10"
ACCEPTED = Judgement(original="AA", commit="CA")
REFUSED = Judgement(
    original="AR",
    commit="CE",
    problems=[
        Problem("102", "OBX^3^5", "the base64 is no text", verdict="corrupt"),
        Problem("204", "PID^1^3", verdict="patient-id"),
    ],
)
WARNED = Judgement(
    original="AA", commit="CA", problems=[Problem("205", "MSH^1^10", "again", "W", "duplicate-id")]
)


def message(accept: str = "", application: str = "", version: str = "2.4") -> Message:
    """Write a message that asks for acknowledgements."""
    header = f"MSH|^~\\&|LAB|MFT|XDS|SCR|2026||ORU^R01|{LONG_ID}|P|{version}"
    return Message.read(f"{header}|||{accept}|{application}\rPID|1\r".encode())


def codes(judgement: Judgement, asked: Message, mode: str = "auto") -> list[str]:
    """Return the codes of the acknowledgements, each of which has MSH-10 whole and its own."""
    habits = AcknowledgementHabits(mode=mode)  # type: ignore[arg-type]
    answers = list(acknowledgements(asked, judgement, "1", habits))
    found = [ReceivedAcknowledgement.read(answer) for answer in answers]
    assert {one.control_id for one in found} <= {LONG_ID}
    assert len({one.own_control_id for one in found}) == len(found)
    return [one.code for one in found]


@pytest.mark.parametrize(
    ("accept", "application", "accepted", "refused"),
    [
        ("", "", ["AA"], ["AR"]),
        ("NE", "NE", [], []),
        ("NE", "", [], []),
        ("AL", "", ["CA"], ["CE"]),
        ("AL", "NE", ["CA"], ["CE"]),
        ("", "AL", ["AA"], ["AR"]),
        ("NE", "AL", ["AA"], ["AR"]),
        ("AL", "AL", ["CA", "AA"], ["CE", "AR"]),
        ("SU", "ER", ["CA"], ["AR"]),
        ("ER", "SU", ["AA"], ["CE"]),
        ("ER", "ER", [], ["CE", "AR"]),
    ],
)
def test_the_header_says_which_acknowledgements_are_due(
    accept: str, application: str, accepted: list[str], refused: list[str]
) -> None:
    asked = message(accept, application)
    assert codes(ACCEPTED, asked) == accepted
    assert codes(REFUSED, asked) == refused
    assert codes(REFUSED, asked, "original") == ["AR"]
    assert codes(ACCEPTED, asked, "enhanced") == (accepted if accept or application else ["CA"])


def test_an_acknowledgement_is_never_acknowledged() -> None:
    sent = Message.read(b"MSH|^~\\&|A|B|C|D|2026||ACK^R01|7|P|2.4\rMSA|AA|6\r")
    assert list(acknowledgements(sent, ACCEPTED, "1")) == []


@pytest.mark.parametrize("version", ["2.3", "2.5.1", "2.8"])
@pytest.mark.parametrize("form", ["v25", "version"])
def test_an_error_is_told_in_a_form_that_the_sender_reads(version: str, form: str) -> None:
    habits = AcknowledgementHabits(error_segment=form)  # type: ignore[arg-type]
    (answer,) = acknowledgements(message(version=version), REFUSED, "1", habits)
    found = ReceivedAcknowledgement.read(answer)
    assert [(one.code, one.location) for one in found.problems] == [
        ("102", "OBX^3^5"),
        ("204", "PID^1^3"),
    ]
    lines = answer.decode().split("\r")[2:-1]
    if (version, form) == ("2.3", "version"):
        assert found.text == "the base64 is no text"
        assert lines == [
            "ERR|OBX^3^5^102&Data type error&HL70357~PID^1^3^204&Unknown key identifier&HL70357"
        ]
    else:
        assert lines == [
            "ERR||OBX^3^5|102^Data type error^HL70357|E|corrupt|||the base64 is no text",
            "ERR||PID^1^3|204^Unknown key identifier^HL70357|E|patient-id",
        ]


def test_warnings_and_errors_may_be_left_out() -> None:
    def lines(judgement: Judgement, habits: AcknowledgementHabits) -> int:
        (answer,) = acknowledgements(message(), judgement, "1", habits)
        return answer.count(b"\r")

    assert lines(WARNED, AcknowledgementHabits()) == 3
    assert lines(WARNED, AcknowledgementHabits(warnings="none")) == 2
    assert lines(REFUSED, AcknowledgementHabits(warnings="none")) == 4
    assert lines(REFUSED, AcknowledgementHabits(error_segment="none")) == 2
    (answer,) = acknowledgements(message(), WARNED, "1")
    assert [one.severity for one in ReceivedAcknowledgement.read(answer).problems] == ["W"]
