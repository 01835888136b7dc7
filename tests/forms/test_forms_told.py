"""Subscribers are told of what is kept of a document as of the document itself."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from lxml import etree

from tests.databases import Databases
from tests.fhir.asked import new_patient
from tests.forms.served import awaited, entries, provide, retrieve, with_forms
from tests.notification.conftest import Broker
from tests.notification.dsub import DOCUMENTS, envelope, patient, post, query, subscribe, topic
from tests.serving import serving
from tests.soap.receiver import receiving
from tests.waiting import until
from xds.metadata.objects import Code, DocumentEntry

SECRET: Final = Code("urn:test:secret", "2.999.9", "Secret")
POLICY: Final = """
[[rule]]
name = "all is done"
decision = "permit"

[[rule]]
name = "of what is secret nobody is told"
decision = "deny"
transactions = ["ITI-52"]
formatCode = ["urn:test:secret^^2.999.9"]
"""
RULES: Final = '[[on_demand]]\nform = "xds-sd"\n'


@pytest.fixture
def telling(tmp_path: Path, databases: Databases) -> Iterator[Broker]:
    """A broker that keeps what is retrieved, and tells nobody of what is secret."""
    (tmp_path / "policy.toml").write_text(POLICY)
    with receiving() as recipient:
        options = {
            "database": databases.url(tmp_path),
            "notification_targets": recipient.url,
            "policy": str(tmp_path / "policy.toml"),
            "on_demand_snapshots": "yes",
        }
        with serving(tmp_path, with_forms(tmp_path, RULES, **options)) as server:
            yield Broker(server, recipient)


def told(broker: Broker) -> set[str]:
    """Return the uniqueIds of the documents of which the subscriber was told."""
    return {
        str(value)
        for one in broker.recipient.wait_for("/told", 0)
        for value in etree.fromstring(one.body).xpath(
            "//*[local-name()='ExternalIdentifier'][@identificationScheme=$scheme]/@value",
            scheme="urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab",
        )
    }


def test_nobody_is_told_of_a_snapshot_of_what_is_withheld(telling: Broker) -> None:
    patient_id = new_patient()
    number = patient_id.partition("^")[0]
    asked = topic("ihe:FullDocumentEntry") + query(DOCUMENTS, patient(number))
    assert post(telling.url, envelope(subscribe(telling.consumer("told"), asked))).status == 200
    kept: dict[str, set[str]] = {}
    for title, code in (("hidden", SECRET), ("shown", None)):
        attributes = {"patient_id": patient_id, "title": title, "format_code": code}
        source = provide(telling.server, b"words", **_given(attributes))
        made = awaited(partial(_form, telling, patient_id, f"{title} (as XDS-SD)"))
        snapshot = retrieve(telling.server, made).new_unique_id
        kept[title] = {str(source.unique_id), str(snapshot)}
    # what came first was decided first
    until(lambda: kept["shown"] <= told(telling))
    assert told(telling).isdisjoint(kept["hidden"])


def _given(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}


def _form(broker: Broker, patient_id: str, title: str) -> DocumentEntry | None:
    found = (one for one in entries(broker.server, patient_id) if one.title == title)
    return next(found, None)
