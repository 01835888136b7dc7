"""What audit has of users: who was let in, who was not, and who was denied (ITI TF-2 3.40.4.2)."""

import json
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from click.testing import CliRunner

from tests.fhir.asked import ask
from tests.serving import Server
from tests.soap.messages import ITI18, new_case, with_header
from tests.soap.wire import SUCCESS, post
from tests.vouching import ISSUER, TOKEN_ISSUER, Asserted, claims, security, signed, token
from tests.waiting import until
from xds.__main__ import main

SEARCH: Final = "/DocumentReference?patient.identifier=urn:oid:2.999.1.1|T1&status=current"


def recorded(server: Server, *wanted: str, said: str = "") -> dict[str, Any]:
    """Wait until `xds audit` finds a record that says something, and return the newest."""
    where = ["--data", str(server.data), "--database", server.database, "--format", "json"]

    def told() -> list[dict[str, Any]]:
        found = CliRunner().invoke(main, ["audit", *where, *wanted])
        assert found.exit_code == 0, found.output
        lines = map(json.loads, found.output.splitlines())
        return [dict(one) for one in lines if said in one.get("description", "")]

    return until(told)[0]


def failed(server: Server, transaction: str, since: str, said: str) -> dict[str, Any]:
    """Wait for the record of what was refused since a time: other tests share the server."""
    wanted = ("--transaction", transaction, "--failed", "--since", since)
    return recorded(server, *wanted, said=said)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def search(server: Server, **stated: Any) -> int:
    headers = {"Authorization": f"Bearer {token(claims(**stated))}"}
    return ask(server, "GET", SEARCH, headers).status


def test_the_user_of_an_assertion_is_recorded(guarded: Server) -> None:
    name = f"user-{uuid4().hex}"
    message = with_header(new_case().find(), security(signed(Asserted(name_id=name))))
    assert post(guarded, ITI18, message).status == SUCCESS
    found = recorded(guarded, "--user", name)
    assert found["actor"]["user_name"] == f"js<{name}@{ISSUER}>"
    assert (found["transaction"], found["outcome"]) == ("ITI-18", 0)
    assert "TREATMENT" in str(found["purposes"])


def test_the_user_of_a_token_is_recorded(guarded: Server) -> None:
    name = f"user-{uuid4().hex}"
    assert search(guarded, sub=name) == 200
    found = recorded(guarded, "--user", name)
    assert found["actor"]["user_name"] == f"<{name}@{TOKEN_ISSUER}>"
    assert (found["transaction"], found["outcome"]) == ("ITI-67", 0)


def test_a_refused_assertion_is_recorded_without_what_it_claims(guarded: Server) -> None:
    name = f"user-{uuid4().hex}"
    since = now()
    expired = security(signed(Asserted(name_id=name, end=-120)))
    assert post(guarded, ITI18, with_header(new_case().find(), expired)).raw.status == 500
    found = failed(guarded, "ITI-18", since, "expired")
    assert found["event"] == ["110114", "DCM", "User Authentication"]
    assert name not in str(found)


def test_a_refused_token_and_a_missing_one_are_recorded(guarded: Server) -> None:
    since = now()
    assert search(guarded, aud="https://other.example") == 401
    found = failed(guarded, "ITI-67", since, "InvalidAudience")
    assert found["event"] == ["110114", "DCM", "User Authentication"]
    assert ask(guarded, "GET", SEARCH).status == 401
    failed(guarded, "ITI-67", since, "there is no token")


def test_a_user_without_the_scope_is_recorded_as_denied(guarded: Server) -> None:
    name = f"user-{uuid4().hex}"
    assert search(guarded, sub=name, scope="ITI-66") == 403
    found = recorded(guarded, "--user", name, "--failed")
    assert (found["transaction"], found["outcome"]) == ("ITI-67", 4)
    assert found["description"] == "denied: the token has not the scope ITI-67"
