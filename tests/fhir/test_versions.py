"""meta.versionId, ETag and vread: what clients that keep versioned ids read again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.databases import Databases
from tests.fhir.asked import ANYONE, Reply, ask, provide
from tests.fhir.searched import (
    ANNA,
    BASE,
    Population,
    code,
    entry,
    has_member,
    matches,
    opened,
    resource,
)
from tests.serving import Server
from xds.fhir.exchange import Call
from xds.metadata.objects import Association, Folder
from xds.metadata.vocabulary import RPLC
from xds.mhd import iti66_find_document_lists as lists
from xds.mhd import iti67_find_document_references as references


@pytest.fixture
def made(tmp_path: Path, databases: Databases) -> Iterator[Population]:
    with opened(tmp_path, databases) as population:
        yield population


def _version(made: Population, name: str) -> str:
    handler = references if name.startswith("e") else lists
    identifier = made.ids[name]
    read = resource(made.ask(handler.read, identifier=identifier))
    answer = made.ask(handler.find, f"_id={identifier}")
    (found,) = matches(resource(answer))
    assert found == read, "a search and a read give the same"
    version: str = read["meta"]["versionId"]
    assert resource(made.ask(handler.read, identifier=identifier, version=version)) == read
    other = f"http://{uuid4()}.example/fhir"  # nothing kept begins with it
    anew = handler.read(made.facade, _call(identifier=identifier, base=other))
    assert json.loads(json.dumps(resource(anew)).replace(other, BASE)) == read
    return version


def test_the_version_is_another_one_as_soon_as_the_resource_is(made: Population) -> None:
    old, new = entry("e old", "2.999.3.0"), entry("e new", "2.999.3.1")
    made.register(old, title="s0")
    codes = (code("organ"),)
    heart = Folder.create(title="heart", patient_id=ANNA, unique_id="2.999.4.1", code_list=codes)
    made.register(heart, title="s1")
    first = {name: _version(made, name) for name in ("e old", "heart", "s0")}
    assert first == {name: _version(made, name) for name in first}, "nothing has changed"
    assert all(version.startswith("1-") for version in first.values())
    replaces = Association.create(association_type=RPLC, source=new.id, target=old.id)
    made.register(new, replaces, has_member(heart, new), title="s2")
    second = {name: _version(made, name) for name in first}
    assert second["e old"] != first["e old"], "its status changed"
    assert second["heart"] != first["heart"], "it holds a document more"
    assert second["s0"] == first["s0"]
    made.facade.domain.identities.add("bert^^^&2.999.1.1&ISO")
    made.facade.domain.identities.merge(subsumed=ANNA, surviving="bert^^^&2.999.1.1&ISO")
    third = {name: _version(made, name) for name in first}
    assert not set(third.values()) & set(second.values()), "they are of another patient"


def test_the_version_is_the_same_from_any_process_and_address(
    tmp_path: Path, databases: Databases
) -> None:
    with opened(tmp_path, databases) as made:
        made.register(entry("e0", "2.999.3.0"), title="s0")
        version, ids = _version(made, "e0"), made.ids
    with opened(tmp_path, databases) as again:
        answer = references.read(
            again.facade, _call(identifier=ids["e0"], base="http://other.example/fhir")
        )
    assert resource(answer)["meta"]["versionId"] == version


def _call(**values: Any) -> Call:

    return Call(access=ANYONE, **values)


# --- over the wire -------------------------------------------------------------------------------


def _read_again(server: Server, path: str, **headers: str) -> Reply:
    """Read a resource, and then the version that it said it has."""
    found = ask(server, "GET", path)
    version = found.json()["meta"]["versionId"]
    assert found.headers["etag"] == f'W/"{version}"'
    return ask(server, "GET", f"{path}/_history/{version}", headers)


def test_what_was_found_is_read_again_by_its_version(server: Server) -> None:
    path = f"/DocumentReference/{provide(server, b'a note')}"
    subject = ask(server, "GET", path).json()["subject"]["reference"]
    for one in (path, f"/{subject}"):
        again = _read_again(server, one)
        assert again.status == 200
        assert again.json() == ask(server, "GET", one).json()
        assert _read_again(server, one, **{"If-None-Match": again.headers["etag"]}).status == 304


@pytest.mark.parametrize("version", ["1", "2", "0-0000000000000000"])
def test_another_version_than_the_current_one_is_not_found(server: Server, version: str) -> None:
    identifier = provide(server, b"a note")
    reply = ask(server, "GET", f"/DocumentReference/{identifier}/_history/{version}")
    assert (reply.status, reply.codes()) == (404, ["not-found"])
    assert "only the current version can be read" in reply.json()["issue"][0]["diagnostics"]


def test_a_version_of_what_is_not_there_is_not_found(server: Server) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    for kind in ("DocumentReference", "List", "Patient"):
        reply = ask(server, "GET", f"/{kind}/{nobody}/_history/1")
        assert (reply.status, reply.codes()) == (404, ["not-found"])
        assert reply.json()["issue"][0]["diagnostics"] == "there is no such resource"


def test_a_binary_is_read_by_the_version_of_either_form(server: Server) -> None:
    path = f"/Binary/{provide(server, b'a note')}"
    plain = ask(server, "GET", path)
    again = ask(server, "GET", f"{path}/_history/{plain.headers['etag'].strip(chr(34))}")
    assert (again.status, again.body) == (200, b"a note")
    fhir = {"Accept": "application/fhir+json"}
    as_resource = ask(server, "GET", path, fhir)
    version = json.loads(as_resource.body)["meta"]["versionId"]
    assert ask(server, "GET", f"{path}/_history/{version}", fhir).body == as_resource.body
    assert ask(server, "GET", f"{path}/_history/7", fhir).status == 404
