"""Subscriptions of R4 with a search as criteria, for clients that know no topics."""

import pytest

from tests.dsubm.receiver import Receiver
from tests.dsubm.subscribed import (
    classic,
    folder_with,
    issues,
    of_patient,
    put_into,
    registered,
    replaced,
    send,
    subscribe,
)
from tests.fhir.asked import FHIR_JSON, ask, new_patient
from tests.serving import Server

SEARCH = "behaviour R4 Subscription"


@pytest.mark.shows(SEARCH)
def test_a_signal_without_content(broker: Server, receiver: Receiver) -> None:
    patient = new_patient()
    criteria = f"DocumentReference?{of_patient(patient)}&status=current"
    made = subscribe(broker, classic(receiver.url, criteria))
    assert made.made["status"] == "requested"
    receiver.waits(lambda: made.is_now("active"))
    registered(broker, new_patient())
    registered(broker, patient)
    receiver.waits(lambda: bool(receiver.received))
    receiver.stays_at(1)
    (signal,) = receiver.received
    assert (signal.method, signal.path, signal.body) == ("POST", receiver.path, b"")


@pytest.mark.shows(SEARCH)
def test_the_resource_below_the_endpoint(broker: Server, receiver: Receiver) -> None:
    """It is told as an update of it, when it is created and when it changes."""
    patient = new_patient()
    criteria = f"DocumentReference?{of_patient(patient)}"
    header = ["Authorization: Bearer abc"]
    subscribe(broker, classic(receiver.url, criteria, payload=FHIR_JSON, header=header))
    old = registered(broker, patient)
    receiver.waits(lambda: bool(receiver.received))  # for it is told as it is when it is sent
    replaced(broker, old)
    receiver.waits(lambda: len(receiver.received) >= 3)
    own = f"DocumentReference/{old.entry_uuid.removeprefix('urn:uuid:')}"
    first, _, third = receiver.received
    for one in (first, third):
        assert (one.method, one.path) == ("PUT", f"{receiver.path}/{own}")
        assert one.headers["authorization"] == "Bearer abc"
    assert [one.json()["status"] for one in (first, third)] == ["current", "superseded"]
    assert third.json() == ask(broker, "GET", f"/{own}").json()


def test_lists_of_one_code(broker: Server, receiver: Receiver) -> None:
    patient = new_patient()
    criteria = f"List?code=folder&{of_patient(patient)}&designationType=heart"
    subscribe(broker, classic(receiver.url, criteria, payload=FHIR_JSON))
    folder = folder_with(broker, patient)
    receiver.waits(lambda: bool(receiver.received))
    put_into(broker, folder, patient)
    receiver.waits(lambda: len(receiver.received) >= 2)
    receiver.stays_at(2)
    assert [len(one.json()["entry"]) for one in receiver.received] == [1, 2]


@pytest.mark.parametrize(
    ("criteria", "status", "code"),
    [
        ("Observation?code=x", 400, "invalid"),
        ("DocumentReference?color=blue", 400, "not-supported"),
        ("DocumentReference?date=yesterday", 400, "value"),
        ("DocumentReference?_count=5", 400, "not-supported"),
        ("DocumentReference?status", 400, "invalid"),
        ("List?status=current", 422, "business-rule"),
        ("patient=1", 422, "not-supported"),
    ],
)
def test_criteria_that_are_refused(
    broker: Server, receiver: Receiver, criteria: str, status: int, code: str
) -> None:
    (found, *_) = issues(send(broker, "POST", "/Subscription", classic(receiver.url, criteria)))
    assert found == (status, code, "Subscription.criteria")
