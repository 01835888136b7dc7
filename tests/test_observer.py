"""The line of a transaction in the log: denials, users, and the option that quiets it."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from xds import logs
from xds.metadata.objects import Code
from xds.security.access import Access
from xds.security.caller import Caller, User
from xds.security.details import PatientDetails
from xds.security.errors import AccessDenied, AuthenticationFailed
from xds.security.interceptors import SUCCESS, InterceptorChain, NotRecorded, Outcome
from xds.security.node import Node
from xds.telemetry.observer import UNSAID, Lines, TransactionObserver

USER = User(
    name_id="zyx",
    issuer="https://idp.example",
    roles=(Code("46255001", "2.16.840.1.113883.6.96", "Pharmacist"),),
    purposes_of_use=(Code("TREATMENT", "2.16.840.1.113883.3.18.7.1"),),
    resource_ids=("Zyx^^^&2.999.1&ISO",),
)
CALLER = Caller(node=Node(address="192.0.2.1", certificate_subject="CN=lab"), user=USER)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()


def told(capsys: pytest.CaptureFixture[str], lines: Lines, *outcomes: Outcome) -> list[Any]:
    logs.configure("info", "json")
    interceptors = InterceptorChain((TransactionObserver(None, lines),))
    for outcome in outcomes:
        access = Access(transaction="ITI-18", caller=CALLER, details=PatientDetails(()))
        interceptors.interceptors[0].leave(access, outcome)
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_denial_names_rule_role_purpose_and_node(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = told(capsys, "all", Outcome.of(AccessDenied("no", rule="nights only")))
    assert (line["level"], line["outcome"], line["rule"]) == ("warning", "denied", "nights only")
    assert line["roles"] == ["46255001^^2.16.840.1.113883.6.96"]
    assert line["purposes"] == ["TREATMENT^^2.16.840.1.113883.3.18.7.1"]
    assert line["node"] == "CN=lab"
    assert "zyx" not in json.dumps(line).lower()


def test_who_is_not_let_in_is_told_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = told(capsys, "all", Outcome.of(AuthenticationFailed("there is no token")))
    assert (line["outcome"], line["reason"]) == ("denied", "there is no token")


@pytest.mark.parametrize(
    ("lines", "outcomes"),
    [("all", ["success", "error"]), ("failures", ["error"]), ("off", [])],
)
def test_the_option_quiets_it(
    capsys: pytest.CaptureFixture[str], lines: Lines, outcomes: list[str]
) -> None:
    found = told(capsys, lines, SUCCESS, Outcome.of(KeyError()))
    assert [line["outcome"] for line in found] == outcomes


def test_a_success_of_which_the_handler_has_said_nothing_is_an_error_of_the_program(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("info", "json")
    observer = TransactionObserver(None, "off")
    for outcome in (SUCCESS, Outcome.of(KeyError())):
        observer.leave(Access(transaction="ITI-67", interaction="read"), outcome)
    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert (line["level"], line["event"]) == ("error", UNSAID)
    assert (line["transaction"], line["interaction"]) == ("ITI-67", "read")


class _Unrecorded:
    """An interceptor that cannot record."""

    def enter(self, access: Access) -> None:
        """Let everyone in."""

    def leave(self, access: Access, outcome: Outcome) -> None:
        """Hold the answer back."""
        raise NotRecorded


def test_an_answer_that_audit_holds_back_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    interceptors = InterceptorChain((TransactionObserver(None, "all"), _Unrecorded()))
    with (
        pytest.raises(NotRecorded),
        interceptors.passing(Access(transaction="ITI-18", caller=CALLER)),
    ):
        pass
    (line,) = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert line["outcome"] == "error"
