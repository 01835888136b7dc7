"""`xds subscribe --fhir`, and ``xds.client`` as a Resource Notification Subscriber."""

import pytest
from click.testing import CliRunner, Result

from tests.dsubm.receiver import Receiver
from tests.dsubm.subscribed import registered
from tests.fhir.asked import ask, new_patient
from tests.serving import Server
from xds.__main__ import main
from xds.client import FhirRefused, ResourceSubscriber, patient_filter


def run(broker: Server, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["subscribe", "--fhir", *arguments, "--url", broker.url])


def test_the_command_has_another_server_told(broker: Server, receiver: Receiver) -> None:
    patient = new_patient()
    types = ("--type", "34133-9^^2.16.840.1.113883.6.1", "--type", "x^^2.999")
    done = run(broker, "--patient", patient, "--to", receiver.url, *types)
    assert done.exit_code == 0, done.output
    assert f"Subscription {broker.url}/fhir/Subscription/" in done.output
    receiver.take(1, of="handshake")


def test_what_the_command_refuses(broker: Server) -> None:
    patient = new_patient()
    assert "needs --to" in run(broker, "--patient", patient).output
    refused = run(broker, "--patient", patient, "--to", "https://elsewhere.example/")
    assert refused.exit_code == 1
    assert "status 422" in refused.output
    assert "may not send notifications to that address" in refused.output


def test_the_client_subscribes(broker: Server, receiver: Receiver) -> None:
    patient = new_patient()
    filters = [patient_filter(patient)]
    with ResourceSubscriber(f"{broker.url}/fhir") as subscriber:
        topic = "DocReference-PatientDependent-AllEvents"
        made = subscriber.subscribe(receiver.url, topic, filters, ends="2099-01-01T00:00:00Z")
        with pytest.raises(FhirRefused) as caught:
            subscriber.subscribe(receiver.url, "none", filters)
    assert "no topic of this server" in caught.value.explain()
    (handshake,) = receiver.take(1, of="handshake")
    assert handshake.status["subscription"] == {"reference": made}
    path = made.partition("/fhir")[2]
    receiver.waits(lambda: bool(ask(broker, "GET", path).json()["status"] == "active"))
    registered(broker, patient)
    receiver.events(1)
