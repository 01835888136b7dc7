"""Who may subscribe, see a subscription, and be told of what: tokens, scopes, policy, limits."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.databases import Databases
from tests.dsubm.receiver import Receiver, Receivers
from tests.dsubm.subscribed import Resource, entry_for, register, send, subscription
from tests.fhir.asked import Reply, ask, new_patient
from tests.serving import Server, serving
from tests.vouching import claims, token, vouching
from xds.client import submission_of
from xds.metadata.objects import Code

POLICY: Final = """
[[rule]]
name = "everyone registers"
decision = "permit"
transactions = ["ITI-42"]

[[rule]]
name = "doctors and nurses are told"
decision = "permit"
transactions = ["ITI-110", "ITI-113", "ITI-114"]
roles = ["doctor^^2.999.10", "nurse^^2.999.10"]

[[rule]]
name = "nurses are not told what is restricted"
decision = "deny"
transactions = ["ITI-110"]
roles = ["nurse^^2.999.10"]
confidentialityCode = ["R^^2.16.840.1.113883.5.25"]
"""
EVERYBODY: Final = "DocumentReference-MultiPatient"
IHE: Final = "ITI-110 ITI-113 ITI-114"
R: Final = Code("R", "2.16.840.1.113883.5.25", "restricted")


@pytest.fixture(scope="module")
def guarded_broker(
    tmp_path_factory: pytest.TempPathFactory, databases: Databases, receivers: Receivers
) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("guarded-broker")
    (data / "policy.toml").write_text(POLICY)
    options = vouching().options(
        data / "issuers",
        token_scopes="require",
        user_assertions="off",
        assigning_authority="2.999.1.1",
    )
    options |= {
        "database": databases.url(data),
        "notification_targets": f"{receivers.base}/hook",
        "policy": str(data / "policy.toml"),
        "user_assertions_of": "ITI-110=required ITI-113=required ITI-114=required",
        "subscriptions_of_client": "3",
        "audit": "on",
    }
    with serving(data, options) as running:
        yield running


def bearer(name: str, role: str = "doctor", scope: str = IHE, **more: Any) -> dict[str, str]:
    """Return the header of a token of someone."""
    iua = {"subject_role": [{"system": "urn:oid:2.999.10", "code": role}], **more}
    stated = claims(sub=name, scope=scope, extensions={"ihe_iua": iua})
    return {"Authorization": f"Bearer {token(stated)}"}


def post(server: Server, wanted: Resource, headers: dict[str, str]) -> Reply:
    return send(server, "POST", "/Subscription", wanted, **headers)


def active(server: Server, wanted: Resource, receiver: Receiver, headers: dict[str, str]) -> str:
    """Subscribe, and wait until it is active; return its path."""
    reply = post(server, wanted, headers)
    assert reply.status == 201, reply.body
    path = f"/Subscription/{reply.json()['id']}"
    receiver.waits(lambda: bool(ask(server, "GET", path, headers).json()["status"] == "active"))
    return path


@pytest.mark.shows("broker authorized")
def test_each_is_told_what_the_policy_lets_them_see(
    guarded_broker: Server, receivers: Receivers
) -> None:
    told = {role: receivers.new() for role in ("doctor", "nurse")}
    for role, receiver in told.items():
        wanted = subscription(receiver.url, EVERYBODY, content="full-resource")
        active(guarded_broker, wanted, receiver, bearer(f"a {role}", role))
    patient = new_patient()
    restricted = entry_for(patient, confidentiality_code=(R,))
    usual = entry_for(patient)
    register(guarded_broker, *submission_of([restricted, usual]).objects)
    assert len(told["doctor"].events(2)) == 2
    (only,) = told["nurse"].events(1)
    assert (only.number, usual.entry_uuid.endswith(only.entries[0]["resource"]["id"])) == (1, True)
    told["nurse"].stays_at(2)


def test_a_token_of_one_patient(guarded_broker: Server, receiver: Receiver) -> None:
    """Whatever is subscribed to, nothing of another patient is told."""
    own, other = new_patient(), new_patient()
    for patient in (own, other):
        register(guarded_broker, *submission_of([entry_for(patient)]).objects)
    scope = "patient/Subscription.cr"
    headers = bearer("a patient", scope=scope, person_id=own)
    active(guarded_broker, subscription(receiver.url, EVERYBODY), receiver, headers)
    for patient in (other, own):
        register(guarded_broker, *submission_of([entry_for(patient)]).objects)
    receiver.events(1)
    receiver.stays_at(2)


def test_a_subscription_is_its_clients_own(guarded_broker: Server, receiver: Receiver) -> None:
    mine, other = bearer("mine"), bearer("other")
    wanted = subscription(receiver.url, EVERYBODY)
    path = active(guarded_broker, wanted, receiver, mine)
    for method, end in (("GET", ""), ("GET", "/$events"), ("GET", "/$status"), ("DELETE", "")):
        assert ask(guarded_broker, method, path + end, other).status == 404, method + end
    off = {**wanted, "id": path.rpartition("/")[2], "status": "off"}
    assert send(guarded_broker, "PUT", path, off, **other).status == 405
    found = ask(guarded_broker, "GET", "/Subscription", other).json()
    assert found["total"] == 0
    assert ask(guarded_broker, "GET", "/Subscription", mine).json()["total"] == 1
    assert ask(guarded_broker, "GET", path, mine).json()["status"] == "active"


def test_who_may_not_subscribe(guarded_broker: Server, receiver: Receiver) -> None:
    wanted = subscription(receiver.url, EVERYBODY)
    assert post(guarded_broker, wanted, {}).status == 401
    assert post(guarded_broker, wanted, bearer("a", "clerk")).status == 403
    assert post(guarded_broker, wanted, bearer("a", scope="ITI-113")).status == 403
    assert post(guarded_broker, wanted, bearer("a", scope="system/Subscription.rs")).status == 403
    assert post(guarded_broker, wanted, bearer("a", scope="system/Subscription.c")).status == 201


def test_a_client_has_so_many(guarded_broker: Server, receivers: Receivers) -> None:
    headers = bearer("many")
    replies = [
        post(guarded_broker, subscription(receivers.new().url, EVERYBODY, "type=x"), headers)
        for _ in range(4)
    ]
    assert [one.status for one in replies] == [201, 201, 201, 422]
    assert replies[3].codes() == ["too-costly"]
    found = ask(guarded_broker, "GET", "/Subscription", headers).json()
    assert found["total"] == 3
    own = f"/Subscription/{found['entry'][0]['resource']['id']}"
    assert ask(guarded_broker, "DELETE", own, headers).status == 204
    assert post(guarded_broker, subscription(receivers.new().url, EVERYBODY), headers).status == 201
