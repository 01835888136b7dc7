"""Documents that say their versions, through the wire: by ITI-41, 65, 105 and 106."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from tests.content import samples
from tests.content.test_stated_versions import OWN, related
from tests.fhir.asked import FHIR_JSON, Reply, ask
from tests.fhir.genomics import (
    CDA,
    DEFAULTS,
    FHIR_DOCUMENT_JSON,
    NHS_NUMBERS,
    binary,
    edited,
    parameters,
)
from tests.fhir.published import message
from tests.forms.served import associations, found
from tests.servers.shared import SharedServers
from tests.serving import Server
from xds.client import (
    Content,
    DocumentSource,
    TransactionRefused,
    entry_of,
    new_oid,
    submission_of,
)
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry

Doors: TypeAlias = "Callable[[Server, bytes, str, str], Sequence[str]]"
CURRENT, REPLACED = v.APPROVED, v.DEPRECATED
XML_TYPE, JSON_TYPE = "text/xml", "application/fhir+json"


def options(folder: Path, **more: str) -> Mapping[str, str]:
    """Return the options of a server that completes what documents do not say."""
    file = folder / "defaults.toml"
    file.write_text(DEFAULTS, "utf-8")
    return {
        "generate_defaults": str(file),
        "assigning_authority": NHS_NUMBERS,
        "provided_versions": "read",
        "fhir_document_unique_id": "bundle",
        **more,
    }


@pytest.fixture
def server(module_servers: SharedServers) -> Server:
    return module_servers("versions", options)


@pytest.fixture
def refusing(module_servers: SharedServers) -> Server:
    return module_servers("versions refused", lambda data: options(data, lower_versions="refuse"))


class Case:
    """A patient, a set and its versions, which no other test has."""

    def __init__(self) -> None:
        self.arc = new_oid()
        self.number = self.arc[-10:]
        self.patient_id = f"{self.number}^^^&{NHS_NUMBERS}&ISO"

    def unique_id(self, version: int) -> str:
        return f"{self.arc}.{version}"

    def cda(self, version: int, parents: str = "") -> bytes:
        """Return a version of a report; ``parents`` are its relatedDocument elements."""
        text = edited(
            CDA,
            (OWN, f'<setId root="{self.arc}"/>\n  <versionNumber value="{version}"/>'),
            ('<id root="2.999.3.1" extension="GLH-2026-118802"/>', self.id(version)),
            ('extension="9990000018"', f'extension="{self.number}"'),
            ("<componentOf>", f"{parents}<componentOf>"),
        )
        return text.encode()

    def id(self, version: int) -> str:
        return f'<id root="{self.unique_id(version)}"/>'

    def bundle(self, version: int) -> bytes:
        """Return a version of a FHIR document, whose Composition keeps its identifier."""
        document: Any = json.loads(FHIR_DOCUMENT_JSON.replace(b"9990000018", self.number.encode()))
        document["identifier"] = {
            "system": "urn:ietf:rfc:3986",
            "value": f"urn:oid:{self.unique_id(version)}",
        }
        composition = document["entry"][0]["resource"]
        composition["identifier"] = {
            "system": "urn:ietf:rfc:3986",
            "value": f"urn:oid:{self.arc}",
        }
        composition["date"] = f"2026-05-0{version}T10:00:00Z"
        return json.dumps(document).encode()

    def statuses(self, server: Server) -> Mapping[str, str | None]:
        """Return the status of each version, by its uniqueId without the part of the set."""
        of = found(server, self.patient_id).document_entries
        return {self.version(one): one.availability_status for one in of}

    def version(self, entry: DocumentEntry) -> str:
        return (entry.unique_id or "").rpartition(".")[2]

    def relations(self, server: Server) -> set[tuple[str, str, str]]:
        """Return source, type and target of the relationships of the versions."""
        of = found(server, self.patient_id).document_entries
        names = {one.entry_uuid: self.version(one) for one in of}
        return {
            (
                names[one.source],
                (one.association_type or "").rpartition(":")[2],
                names[one.target],
            )
            for one in associations(server, *names)
        }


def by_iti41(server: Server, data: bytes, patient_id: str, unique_id: str) -> Sequence[str]:
    mime_type = XML_TYPE if data.startswith(b"<") else JSON_TYPE
    entry = entry_of(patient_id, mime_type, unique_id=unique_id)
    with DocumentSource(server.repository_url) as source:
        response = source.provide_and_register(
            submission_of([entry]), {entry.entry_uuid: Content((data,), len(data))}
        )
    return [one.code_context for one in response.errors]


def simplified(data: bytes, patient_id: str, unique_id: str) -> Any:
    """Return the DocumentReference of ITI-105."""
    reference: Any = message("simplified_publish")
    reference["masterIdentifier"]["value"] = f"urn:oid:{unique_id}"
    number = patient_id.partition("^")[0]
    reference["subject"] = {
        "identifier": {"system": f"urn:oid:{NHS_NUMBERS}", "value": number},
    }
    attachment = reference["content"][0]["attachment"]
    for name in ("size", "hash"):
        del attachment[name]
    attachment["contentType"] = XML_TYPE if data.startswith(b"<") else JSON_TYPE
    attachment["data"] = base64.b64encode(data).decode()
    return reference


def post(server: Server, path: str, resource: Any) -> Reply:
    headers = {"Content-Type": FHIR_JSON, "Accept": FHIR_JSON}
    headers["Prefer"] = "return=OperationOutcome"
    return ask(server, "POST", path, headers, json.dumps(resource).encode())


def told(reply: Reply) -> Sequence[str]:
    """Return the warnings of an answer that is good."""
    assert reply.status in (200, 201), reply.body
    resource = reply.json()
    issues = list(resource.get("issue", ()))
    for one in resource.get("parameter", ()):
        issues += one.get("resource", {}).get("issue", ())
    for one in resource.get("entry", ()):
        issues += one.get("response", {}).get("outcome", {}).get("issue", ())
    return [one["diagnostics"] for one in issues if one["severity"] == "warning"]


def by_iti105(server: Server, data: bytes, patient_id: str, unique_id: str) -> Sequence[str]:
    return told(post(server, "/DocumentReference", simplified(data, patient_id, unique_id)))


def by_iti106(server: Server, data: bytes, patient_id: str, unique_id: str) -> Sequence[str]:
    mime_type = XML_TYPE if data.startswith(b"<") else JSON_TYPE
    body = parameters(binary(data, mime_type))
    return told(post(server, "/DocumentReference/$generate-metadata", body))


def by_iti65(server: Server, data: bytes, patient_id: str, unique_id: str) -> Sequence[str]:
    return told(post(server, "", provided(data, patient_id, unique_id)))


def provided(data: bytes, patient_id: str, unique_id: str) -> Any:
    """Return the Bundle of ITI-65: one document, with identifiers of its own."""
    bundle: Any = message("one_document")
    text = json.dumps(bundle).replace("urn:oid:2.999.4.", f"urn:oid:{new_oid()}.")
    bundle = json.loads(text.replace("4d48a000-0000", f"{int(new_oid()[-8:]):08d}-0000"))
    submission_set, reference, content = (one["resource"] for one in bundle["entry"])
    number = patient_id.partition("^")[0]
    whose = {"identifier": {"system": f"urn:oid:{NHS_NUMBERS}", "value": number}}
    submission_set["subject"] = reference["subject"] = whose
    reference["masterIdentifier"]["value"] = f"urn:oid:{unique_id}"
    attachment = reference["content"][0]["attachment"]
    for name in ("size", "hash"):
        attachment.pop(name, None)
    mime_type = XML_TYPE if data.startswith(b"<") else JSON_TYPE
    attachment["contentType"] = content["contentType"] = mime_type
    content["data"] = base64.b64encode(data).decode()
    return bundle


DOORS: Final = [by_iti41, by_iti65, by_iti105, by_iti106]
ONE_CURRENT: Final = {"1": REPLACED, "2": CURRENT}


@pytest.mark.parametrize("order", list(permutations((1, 2))), ids=str)
@pytest.mark.parametrize("kind", ["cda", "bundle"])
@pytest.mark.parametrize("door", DOORS)
def test_one_version_is_current_whichever_comes_first(
    server: Server, door: Doors, kind: str, order: tuple[int, ...]
) -> None:
    case = Case()
    for version in order:
        door(server, getattr(case, kind)(version), case.patient_id, case.unique_id(version))
    assert case.statuses(server) == ONE_CURRENT
    assert case.relations(server) == {("2", "RPLC", "1")}


@pytest.mark.parametrize("door", DOORS)
def test_the_set_decides_where_the_parent_is_named_wrongly(server: Server, door: Doors) -> None:
    case = Case()
    door(server, case.cda(1), case.patient_id, case.unique_id(1))
    named = f'<id root="{case.arc}.77"/>', f'<setId root="{case.arc}"/>'
    second = case.cda(2, related("RPLC", *named, '<versionNumber value="1"/>'))
    door(server, second, case.patient_id, case.unique_id(2))
    assert case.statuses(server) == ONE_CURRENT
    assert case.relations(server) == {("2", "RPLC", "1")}


@pytest.mark.parametrize("door", DOORS)
def test_a_parent_that_is_nowhere_is_told(server: Server, door: Doors) -> None:
    case, other = Case(), Case()
    data = case.cda(1, related("RPLC", f'<id root="{other.arc}.5"/>'))
    warnings = door(server, data, case.patient_id, case.unique_id(1))
    assert any(f"{other.arc}.5" in one or "not registered" in one for one in warnings), warnings
    assert case.statuses(server) == {"1": CURRENT}


@pytest.mark.parametrize("door", DOORS)
def test_an_addendum_leaves_its_parent_current(server: Server, door: Doors) -> None:
    case, addendum = Case(), Case()
    addendum.number, addendum.patient_id = case.number, case.patient_id
    door(server, case.cda(1), case.patient_id, case.unique_id(1))
    data = addendum.cda(3, related("APND", case.id(1)))
    door(server, data, case.patient_id, addendum.unique_id(3))
    assert case.statuses(server) == {"1": CURRENT, "3": CURRENT}
    assert case.relations(server) == {("3", "APND", "1")}


@pytest.mark.parametrize("version", [1, 2])
def test_a_version_that_is_not_later_is_refused_where_the_option_says_so(
    refusing: Server, version: int
) -> None:
    case = Case()
    by_iti41(refusing, case.cda(2), case.patient_id, case.unique_id(2))
    data, unique_id = case.cda(version, " "), case.unique_id(7)
    with pytest.raises(TransactionRefused) as refused:
        by_iti41(refusing, data, case.patient_id, unique_id)
    (error,) = refused.value.response.errors
    assert error.code.endswith("XDSRegistryMetadataError"), error
    reply = post(refusing, "/DocumentReference", simplified(data, case.patient_id, unique_id))
    assert (reply.status, reply.codes()) == (409, ["conflict"])
    reply = post(refusing, "", provided(data, case.patient_id, unique_id))
    assert (reply.status, reply.codes()) == (409, ["conflict"])
    assert case.statuses(refusing) == {"2": CURRENT}


@pytest.mark.parametrize("door", DOORS)
def test_two_senders_at_the_same_moment(server: Server, door: Doors) -> None:
    case = Case()
    by_iti41(server, case.cda(1), case.patient_id, case.unique_id(1))

    def send(version: int) -> None:
        door(server, case.cda(version), case.patient_id, case.unique_id(version))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(send, (2, 3, 4, 5)))
    expected = dict.fromkeys("1234", REPLACED) | {"5": CURRENT}
    assert case.statuses(server) == expected


@pytest.mark.parametrize("order", list(permutations((0, 1))), ids=str)
def test_the_pair_of_the_samples(server: Server, order: tuple[int, ...]) -> None:
    names = ("fr-xdlab-microbiology-v1.xml", "fr-xdlab-microbiology-v2.xml")
    rows = [row for row in samples.rows("expected.tsv") if row["file"] in names]
    if len(rows) != len(names):
        pytest.skip("the samples are not here")
    case = Case()
    data = [samples.path(row).read_bytes() for row in sorted(rows, key=lambda row: row["file"])]
    for index in order:
        by_iti41(server, data[index], case.patient_id, case.unique_id(index + 1))
    assert case.statuses(server) == ONE_CURRENT
