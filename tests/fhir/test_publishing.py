"""What publishing begins with: base64, media types, documents that a failure lets go of."""

import base64

import pytest

from tests.fhir.asked import ANYONE
from tests.fhir.published import BASE, Deployment, message
from xds import base64_blocks
from xds.base64_blocks import BadBase64, decode_text
from xds.fhir.exchange import Call
from xds.fhir.r4.outcome import Refused
from xds.mhd.iti105_simplified_publish import publish
from xds.mhd.provide.publishing import media_type, staging


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 11, 12, 13, 100])
def test_base64_is_decoded_in_blocks(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    monkeypatch.setattr(base64_blocks, "_BLOCK", 8)
    data = bytes(range(length))
    assert b"".join(decode_text(base64.b64encode(data).decode())) == data


def test_base64_may_have_white_space() -> None:
    assert b"".join(decode_text(" SGVs\r\n\tbG8= ")) == b"Hello"


@pytest.mark.parametrize(
    "text", ["SGVsbG8", "SGVsbG8==", "SGVs=bG8=", "SGVsbG8=SGVs", "SGVs-G8_", "SGVsb*8=", "=", "é"]
)
def test_what_is_not_base64_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(base64_blocks, "_BLOCK", 4)
    with pytest.raises(BadBase64):
        list(decode_text(text))
    monkeypatch.undo()
    with pytest.raises(BadBase64):
        list(decode_text(text))


def test_what_is_not_base64_is_told_of_its_element(here: Deployment) -> None:
    sent = message("simplified_publish")
    sent["content"][0]["attachment"]["data"] = "SGVsbG8"
    before = here.content()
    with pytest.raises(Refused) as refused:
        publish(here.facade, Call(access=ANYONE, base=BASE, resource=sent))
    (issue,) = refused.value.issues
    assert issue.expression == ("DocumentReference.content[0].attachment.data",)
    assert here.content() == before


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [("Text/Plain; charset=utf-8", "text/plain"), ("text/plain", "text/plain"), (None, "")],
)
def test_a_media_type_compares_without_parameters(content_type: str | None, expected: str) -> None:
    assert media_type(content_type) == expected


def test_a_failure_lets_go_of_staged_documents(here: Deployment) -> None:
    with pytest.raises(RuntimeError):
        _fail_while_staging(here)
    assert list(here.domain.repository.store.staged_leftovers()) == []


def _fail_while_staging(here: Deployment) -> None:
    repository = here.domain.repository
    with staging(repository) as documents:
        documents["a"] = repository.stage([b"one"])
        documents["b"] = repository.stage([b"two"])
        raise RuntimeError
