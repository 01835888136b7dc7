"""What a registry that is elsewhere may answer, and what the repository makes of it."""

from collections.abc import Sequence
from contextlib import closing

import pytest
from lxml import etree

from tests.odd_server import envelope, error, odd_server, query_response, registry_response
from tests.odd_server import http as answer
from xds.client import Settings, entry_of, submission_of
from xds.client.registry_client import RegistryClient
from xds.errors import WARNING_SEVERITY, RegistryError, TransactionFailure
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import UnusedObject
from xds.metadata.submission import Submission
from xds.repository.registering import OutcomeUnknown, RegistryUnavailable
from xds.transactions import responses

shows = pytest.mark.shows

NOT_AVAILABLE = "XDSRegistryNotAvailable"
SUBMISSION = submission_of([entry_of("A4^^^&2.999.1.1&ISO", "text/plain")])


def register(*answers: bytes | None) -> Sequence[tuple[str, str, str]]:
    """Register with a server that answers so, and return the warnings."""
    with odd_server(*answers) as odd, closing(RegistryClient(odd.url, Settings())) as client:
        warnings = client.register(SUBMISSION)
    return [(one.code, one.code_context, one.severity) for one in warnings]


def response(status: str, *errors: str) -> bytes:
    return answer(envelope(registry_response(status, "".join(errors))))


def fault(code: str) -> bytes:
    body = (
        f'<e:Fault xmlns:e="{v.NS_SOAP12}"><e:Code><e:Value>e:{code}</e:Value></e:Code>'
        '<e:Reason><e:Text xml:lang="en">no</e:Text></e:Reason></e:Fault>'
    )
    return answer(envelope(body), status="500 Internal Server Error")


@shows("ITI-41")
def test_warnings_of_the_registry_are_told_and_change_nothing() -> None:
    told = error("Own&quot;Code", "what", f' severity="{WARNING_SEVERITY}"')
    (warning,) = register(response(v.SUCCESS, told))
    assert warning == ('Own"Code', "what", WARNING_SEVERITY)
    passed_on = RegistryError.passed_on(*warning[:2], severity=warning[2])
    rendered = etree.fromstring(responses.registry_response([passed_on]))
    assert rendered.get("status") == v.SUCCESS
    assert next(rendered.iter("{*}RegistryError")).get("errorCode") == 'Own"Code'


@pytest.mark.parametrize(
    ("answers", "codes", "is_known"),
    [
        pytest.param(
            response(v.FAILURE, error("XDSUnknownPatientId", "a"), error("VendorCode", "b")),
            "XDSUnknownPatientId, VendorCode",
            True,
            id="refused",
        ),
        pytest.param(
            response(v.FAILURE, error("XDSRegistryBusy", "a")), "XDSRegistryBusy", False, id="busy"
        ),
        pytest.param(
            response(v.FAILURE, error("XDSRegistryError", "a"), error("XDSUnknownPatientId", "b")),
            "XDSRegistryError, XDSUnknownPatientId",
            False,
            id="in trouble",
        ),
        pytest.param(
            response(v.FAILURE, error("XDSRegistryOutOfResources", "a")),
            "XDSRegistryOutOfResources",
            False,
            id="out of resources",
            marks=shows("error XDSRegistryOutOfResources"),
        ),
        pytest.param(response(v.FAILURE), "XDSRegistryError", False, id="no error"),
        pytest.param(
            response(v.PARTIAL_SUCCESS, error("XDSUnknownPatientId", "a")),
            "XDSUnknownPatientId",
            False,
            id="partial success, which ITI-42 does not have",
        ),
        pytest.param(fault("Sender"), NOT_AVAILABLE, True, id="fault of the sender"),
        pytest.param(fault("Receiver"), NOT_AVAILABLE, False, id="fault of the receiver"),
        pytest.param(
            answer("gone", "text/plain", "503 Service Unavailable"), NOT_AVAILABLE, False, id="503"
        ),
        pytest.param(answer("<html/>"), NOT_AVAILABLE, False, id="no SOAP"),
        pytest.param(None, NOT_AVAILABLE, False, id="no answer"),
    ],
)
def test_what_a_registry_says_decides_what_is_known(
    answers: bytes | None, codes: str, is_known: bool
) -> None:
    with pytest.raises(TransactionFailure) as caught:
        register(answers)
    assert str(caught.value) == codes
    assert isinstance(caught.value, OutcomeUnknown) is not is_known


def test_what_cannot_be_sent_is_not() -> None:
    unused = Submission((UnusedObject(id="Service01", kind="Service"),))
    client = RegistryClient("http://127.0.0.1:9/", Settings())
    with pytest.raises(TransactionFailure) as caught:
        client.register(unused)
    (error,) = caught.value.errors
    assert (error.code, error.location) == ("XDSRepositoryMetadataError", "Service01")


def test_a_registry_that_answers_for_a_part_is_not_believed() -> None:
    partly = query_response(status=v.PARTIAL_SUCCESS)
    with (
        odd_server(*[answer(envelope(partly))] * 2, closing=True) as odd,
        closing(RegistryClient(odd.url, Settings())) as client,
        pytest.raises(RegistryUnavailable, match="does not answer for all"),
    ):
        client.document_entries(["1.2"])
