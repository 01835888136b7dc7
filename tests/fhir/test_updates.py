"""PUT of DocumentReferences: what changes, and what is refused by which code (CH:MHD-1, NRL)."""

import json
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest

from tests.databases import Databases
from tests.fhir.asked import FHIR_JSON, Reply, ask
from tests.fhir.published import REGISTERED, locations, message
from tests.fhir.updated import (
    RESTRICTED,
    UPDATE_OPTIONS,
    Edit,
    Published,
    history_of,
    published,
    published_folder,
    replacing,
    setting,
)
from tests.reference import MESSAGES, needs
from tests.serving import Server, serving
from xds.fhir.patch.bodies import JSON_PATCH, XML_PATCH
from xds.fhir.r4 import structure
from xds.fhir.r4.resource import Resource

shows = pytest.mark.shows
D = "DocumentReference"


def _attached(**elements: Any) -> Edit:
    def edit(resource: Resource) -> None:
        attachment = resource["content"][0]["attachment"]
        attachment.update(elements)

    return edit


@shows("FHIR PUT /DocumentReference/{id}")
def test_a_put_makes_a_further_version(document: Published) -> None:
    before = document.read()
    reply = document.put(document.edited(setting(securityLabel=RESTRICTED)))
    assert reply.status == 200
    after = reply.json()
    assert (after["id"], history_of(after)) == (document.id, ("2", "current"))
    assert reply.headers["etag"] == f'W/"{after["meta"]["versionId"]}"'
    assert after["securityLabel"] == RESTRICTED
    assert after == document.read()
    changed = {name for name in before if before[name] != after[name]}
    assert changed - {"date"} == {"meta", "identifier", "securityLabel", "content"}


def test_the_document_is_retrieved_from_its_next_version(document: Published) -> None:
    url = document.put(document.edited(setting(description="seen"))).json()["content"][0][
        "attachment"
    ]["url"]
    assert ask(document.server, "GET", url.partition("/fhir")[2]).status == 200


def test_what_is_there_already_makes_no_version(document: Published) -> None:
    before = document.read()
    assert document.put(before).json() == before


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("docStatus", "final"),
        ("description", "Read once more."),
        ("language", "de"),
        ("custodian", {"display": "Clinic"}),
    ],
)
def test_an_element_changes(document: Published, element: str, value: object) -> None:
    reply = document.put(document.edited(setting(**{element: value})))
    assert reply.status == 200
    assert reply.json()[element] == value
    assert history_of(reply.json()) == ("2", "current")


def test_a_title_changes(document: Published) -> None:
    reply = document.put(document.edited(_attached(title="Another")))
    assert reply.json()["content"][0]["attachment"]["title"] == "Another"


def test_a_document_becomes_superseded_and_current_again(document: Published) -> None:
    reply = document.put(document.edited(setting(status="superseded")))
    assert history_of(reply.json()) == ("1", "superseded")
    reply = document.put(document.edited(setting(status="current")))
    assert history_of(reply.json()) == ("1", "current")


def test_status_and_metadata_change_at_once(document: Published) -> None:
    reply = document.put(document.edited(setting(status="superseded", description="old")))
    assert history_of(reply.json()) == ("2", "superseded")
    assert reply.json()["description"] == "old"


@shows("rule not_replaced")
def test_a_document_that_is_replaced_does_not_become_current_again(document: Published) -> None:
    read_before = document.edited(setting(description="seen"))
    body = json.dumps(replacing(document)).encode()
    assert document.send("POST", "", body).status == 200
    told = document.refuses(document.put(read_before), 422)
    assert told == [("business-rule", "XDSMetadataUpdateError", f"{D}.status")]
    assert history_of(document.read()) == ("1", "superseded")
    reply = document.put(document.edited(setting(description="seen")))
    assert history_of(reply.json()) == ("2", "superseded")


@shows("behaviour FHIR entered-in-error")
def test_what_was_entered_in_error_is_found_by_its_status_alone(document: Published) -> None:
    reply = document.put(document.edited(setting(status="entered-in-error")))
    assert (reply.status, history_of(reply.json())) == (200, ("2", "entered-in-error"))
    assert document.read() == reply.json()
    patient = document.read()["subject"]["identifier"]
    query = f"/{D}?patient.identifier={patient['system']}|{patient['value']}"
    found = {
        status: ask(document.server, "GET", f"{query}{status}").json()["total"]
        for status in ("", "&status=superseded", "&status=current", "&status=entered-in-error")
    }
    assert list(found.values()) == [0, 0, 0, 1]
    conditional = document.put(document.read(), f"/{D}?_id={document.id}")
    assert conditional.status == 404, "a search for an update does not find it either"
    reply = document.put(document.edited(setting(status="current")))
    assert history_of(reply.json()) == ("3", "current")
    assert ask(document.server, "GET", query).json()["total"] == 1


def test_a_document_in_error_may_have_been_superseded(document: Published) -> None:
    document.put(document.edited(setting(status="superseded")))
    reply = document.put(document.edited(setting(status="entered-in-error")))
    assert history_of(reply.json()) == ("2", "entered-in-error")
    reply = document.put(document.edited(setting(status="superseded")))
    assert history_of(reply.json()) == ("3", "superseded")


def test_a_search_finds_the_latest_version_alone(document: Published) -> None:
    document.put(document.edited(setting(securityLabel=RESTRICTED)))
    for query in (f"_id={document.id}", f"identifier=urn:uuid:{document.id}"):
        found = ask(document.server, "GET", f"/{D}?{query}").json()
        assert [history_of(one["resource"]) for one in found["entry"]] == [("2", "current")]


def test_the_list_of_the_submission_leads_to_the_document(document: Published) -> None:
    document.put(document.edited(setting(securityLabel=RESTRICTED)))
    patient = document.read()["subject"]["identifier"]
    query = f"patient.identifier={patient['system']}|{patient['value']}&code=submissionset"
    found = ask(document.server, "GET", f"/List?{query}").json()
    held = [one["item"]["reference"] for e in found["entry"] for one in e["resource"]["entry"]]
    assert held == [f"{D}/{document.id}"] * 2


@shows("FHIR PUT /DocumentReference")
def test_a_conditional_put(document: Published) -> None:
    master = document.read()["masterIdentifier"]
    path = f"/{D}?identifier={master['system']}|{master['value']}"
    reply = document.put(document.edited(setting(description="seen"), setting(id=None)), path)
    assert (reply.status, reply.json()["id"]) == (200, document.id)


# --- If-Match ------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ['W/"1"', '"1"', "*", 'W/"7", W/"1"'])
def test_if_match_of_the_version_there_is(document: Published, tag: str) -> None:
    reply = document.put(document.edited(setting(description="seen")), If_Match=tag)
    assert reply.status == 200


@shows("behaviour FHIR If-Match")
def test_if_match_of_the_etag(document: Published) -> None:
    etag = ask(document.server, "GET", document.path).headers["etag"]
    edited = document.edited(setting(description="seen"))
    assert document.put(edited, If_Match=etag).status == 200
    again = document.put(edited, If_Match=etag)
    assert document.refuses(again, 412) == [("conflict", "XDSMetadataVersionError", "")]


def test_what_was_read_of_an_older_version_is_put_without_if_match(document: Published) -> None:
    """Without If-Match the last one wins, as FHIR has it (R4, 3.1.0.7)."""
    first = document.read()
    document.put({**first, "description": "one"})
    second = document.read()
    document.put({**first, "description": "two"})
    reply = document.put({**second, "description": "three"})
    assert (reply.status, history_of(reply.json())) == (200, ("4", "current"))
    assert document.read()["description"] == "three"


# --- what is refused -----------------------------------------------------------------------------


def _other_master(resource: Resource) -> None:
    resource["masterIdentifier"]["value"] = "urn:oid:2.999.9.9"
    for one in resource["identifier"]:
        if one.get("type", {}).get("coding", [{}])[0].get("code") == "uniqueId":
            one["value"] = "urn:oid:2.999.9.9"


def _other_uuid(resource: Resource) -> None:
    for one in resource["identifier"]:
        if one["value"].startswith("urn:uuid:"):
            one["value"] = "urn:uuid:4d48a000-0000-4000-8000-00000000dead"


_UNMODIFIABLE = "UnmodifiableMetadataError"
_IDENTIFIER = "XDSMetadataIdentifierError"
_PATIENT = "XDSPatientIDReconciliationError"


@shows("behaviour FHIR unmodifiable")
@pytest.mark.parametrize(
    ("edit", "error", "place"),
    [
        (_other_master, _IDENTIFIER, f"{D}.masterIdentifier"),
        (_other_uuid, _IDENTIFIER, f"{D}.identifier[1]"),
        (setting(subject={"reference": "Patient/999999"}), _PATIENT, f"{D}.subject"),
        (setting(subject=None), _PATIENT, f"{D}.subject"),
        (_attached(size=1), _UNMODIFIABLE, f"{D}.content.attachment.size"),
        (
            _attached(hash="2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
            _UNMODIFIABLE,
            f"{D}.content.attachment.hash",
        ),
        (_attached(url="Binary/b1"), _UNMODIFIABLE, f"{D}.content[0].attachment.url"),
        (_attached(data="YQ=="), _UNMODIFIABLE, f"{D}.content[0].attachment.data"),
        (
            setting(relatesTo=[{"code": "appends", "target": {"reference": f"{D}/x"}}]),
            _UNMODIFIABLE,
            f"{D}.relatesTo",
        ),
    ],
)
def test_what_may_not_change(document: Published, edit: Edit, error: str, place: str) -> None:
    before = document.read()
    issues = document.refuses(document.put(document.edited(edit)), 422)
    assert issues == [("processing", error, place)]
    assert document.read() == before


def test_all_that_may_not_change_is_told_at_once(document: Published) -> None:
    both = document.edited(_other_master, setting(subject=None))
    assert len(document.refuses(document.put(both), 422)) == 2


@pytest.mark.parametrize(
    ("edit", "code", "place"),
    [
        (setting(id="4d48a000-0000-4000-8000-00000000dead"), "invalid", f"{D}.id"),
        (setting(id=None), "required", f"{D}.id"),
        (setting(status="entered"), "code-invalid", f"{D}.status"),
        (
            setting(modifierExtension=[{"url": "urn:x", "valueBoolean": True}]),
            "extension",
            f"{D}.modifierExtension",
        ),
    ],
)
def test_what_is_wrong_as_such(document: Published, edit: Edit, code: str, place: str) -> None:
    issues = document.refuses(document.put(document.edited(edit)), 400)
    assert issues == [(code, "", place)]


def test_a_document_that_is_not_there(document: Published) -> None:
    reply = document.put(
        document.edited(setting(id=None)), f"/{D}/4d48a000-0000-4000-8000-00000000dead"
    )
    assert document.refuses(reply, 404) == [("not-found", "", "")]


def test_a_search_for_no_document_in_particular(document: Published) -> None:
    reply = document.put(document.read(), f"/{D}")
    assert document.refuses(reply, 400) == [("required", "", "")]


def test_several_documents_are_found(updating: Server, document: Published) -> None:
    twin = published(updating)
    path = f"/{D}?_id={document.id},{twin.id}"
    assert document.refuses(document.put(document.read(), path), 412)[0][0] == "multiple-matches"


# --- patches -------------------------------------------------------------------------------------

EXAMPLES = MESSAGES / "fhir-update"


def _patch(document: Published, name: str, path: str = "") -> Reply:
    """Send an example of the national programmes."""
    forms = {"json": JSON_PATCH, "fhir": FHIR_JSON, "xml-": XML_PATCH}
    data = (EXAMPLES / name).read_bytes()
    return document.send("PATCH", path or document.path, data, Content_Type=forms[name[:4]])


@needs(EXAMPLES)
@pytest.mark.parametrize(
    ("name", "version", "status"),
    [
        ("json-patch-status.json", "1", "superseded"),
        ("fhirpath-patch-status.json", "1", "superseded"),
        ("xml-patch-status.xml", "1", "superseded"),
        ("json-patch-label.json", "2", "current"),
        ("json-patch-archive.json", "2", "current"),
    ],
)
@pytest.mark.parametrize("is_conditional", [True, False])
def test_a_patch_of_the_programmes(
    document: Published, name: str, version: str, status: str, is_conditional: bool
) -> None:
    master = document.read()["masterIdentifier"]["value"]
    path = f"/{D}?identifier=urn:ietf:rfc:3986|{master}" if is_conditional else ""
    reply = _patch(document, name, path)
    assert (reply.status, history_of(reply.json())) == (200, (version, status))
    assert reply.headers["etag"] == f'W/"{reply.json()["meta"]["versionId"]}"'


@needs(EXAMPLES)
def test_an_archived_document_says_so(document: Published) -> None:
    (extension,) = json.loads((EXAMPLES / "json-patch-archive.json").read_bytes())[0]["value"]
    assert extension in _patch(document, "json-patch-archive.json").json()["extension"]


@needs(EXAMPLES)
@pytest.mark.parametrize(
    ("name", "error", "place"),
    [
        ("json-patch-refused.json", _IDENTIFIER, f"{D}.masterIdentifier"),
        ("fhirpath-patch-refused.json", _PATIENT, f"{D}.subject"),
    ],
)
def test_a_patch_that_the_programmes_refuse(
    document: Published, name: str, error: str, place: str
) -> None:
    before = document.read()
    reply = _patch(document, name)
    assert document.refuses(reply, 422) == [("processing", error, place)]
    assert document.read() == before


def test_a_patch_of_no_patch(document: Published) -> None:
    reply = document.send("PATCH", document.path, b"[]", Content_Type="text/plain")
    assert document.refuses(reply, 415) == [("not-supported", "", "")]


def test_a_patch_of_a_stale_version(document: Published) -> None:
    data = b'[{"op": "replace", "path": "/description", "value": "seen"}]'
    reply = document.send("PATCH", document.path, data, Content_Type=JSON_PATCH, If_Match='W/"9"')
    assert document.refuses(reply, 412)[0][1] == "XDSMetadataVersionError"


# --- $update-metadata ----------------------------------------------------------------------------


@needs(EXAMPLES)
@pytest.mark.parametrize("is_in_url", [True, False])
def test_doc_status_changes(document: Published, is_in_url: bool) -> None:
    body = None if is_in_url else (EXAMPLES / "update-metadata-parameters.json").read_bytes()
    query = "?docStatus=final" if is_in_url else ""
    reply = document.send("POST", f"{document.path}/$update-metadata{query}", body)
    assert (reply.status, reply.json()["docStatus"]) == (200, "final")
    assert history_of(document.read()) == ("2", "current")


def test_a_document_is_withdrawn_by_its_doc_status(document: Published) -> None:
    reply = document.send("POST", f"{document.path}/$update-metadata?docStatus=entered-in-error")
    assert reply.status == 200
    assert (reply.json()["docStatus"], reply.json()["status"]) == ("entered-in-error",) * 2


@pytest.mark.parametrize("query", ["", "?docStatus=done", "?status=current", "?docStatus="])
def test_another_parameter_changes_nothing(document: Published, query: str) -> None:
    before = document.read()
    reply = document.send("POST", f"{document.path}/$update-metadata{query}")
    assert reply.status == 400
    assert document.read() == before


# --- replacement ---------------------------------------------------------------------------------


def test_a_document_that_was_updated_is_replaced_by_its_id(document: Published) -> None:
    document.put(document.edited(setting(description="seen")))
    patient = document.read()["subject"]["identifier"]["value"]
    text = json.dumps(message("replace")).replace("M4001", patient).replace(REGISTERED, document.id)
    text = text.replace("urn:oid:2.999.4.", f"urn:oid:2.999.4.{uuid4().int % 10**12}.")
    reply = document.send("POST", "", text.encode())
    assert reply.status == 200, reply.body
    assert f"{D}/{document.id}" in locations(reply.json())
    assert history_of(document.read()) == ("2", "superseded")


# --- versions ------------------------------------------------------------------------------------


@shows("FHIR GET /DocumentReference/{id}/_history")
def test_every_version_is_in_the_history(document: Published) -> None:
    document.put(document.edited(setting(description="seen")))
    document.put(document.edited(setting(description="seen twice")))
    reply = document.send("GET", f"{document.path}/_history")
    bundle = reply.json()
    assert structure.problems(bundle) == []
    found = [(*history_of(e["resource"]), e["resource"]["id"]) for e in bundle["entry"]]
    assert found == [
        ("3", "current", document.id),
        ("2", "superseded", document.id),
        ("1", "superseded", document.id),
    ]
    assert bundle["total"] == 3
    assert [one["request"]["method"] for one in bundle["entry"]] == ["PUT", "PUT", "POST"]


@shows("FHIR GET /DocumentReference/{id}/_history")
def test_a_history_is_read_page_by_page(document: Published) -> None:
    for number in range(4):
        document.put(document.edited(setting(description=f"seen {number}")))
    path, numbers, pages = f"{document.path}/_history?_count=2", [], 0
    while path:
        bundle = document.send("GET", path).json()
        assert structure.problems(bundle) == []
        assert (bundle["total"], len(bundle["entry"]) <= 2) == (5, True)
        numbers += [history_of(one["resource"])[0] for one in bundle["entry"]]
        links = {one["relation"]: one["url"] for one in bundle["link"]}
        assert links["first"].endswith("_history?_count=2")
        path = links.get("next", "").partition("/fhir")[2]
        pages += 1
    assert (numbers, pages) == (["5", "4", "3", "2", "1"], 3)
    counted = document.send("GET", f"{document.path}/_history?_count=0").json()
    assert (counted["total"], "entry" in counted) == (5, False)


def test_a_history_of_parts_of_its_versions(document: Published) -> None:
    document.put(document.edited(setting(description="seen")))
    path = f"{document.path}/_history"
    counted = document.send("GET", f"{path}?_summary=count").json()
    assert (counted["total"], "entry" in counted) == (2, False)
    for query, without in (("_summary=true", "text"), ("_elements=status", "description")):
        bundle = document.send("GET", f"{path}?{query}&_count=1").json()
        assert structure.problems(bundle) == []
        (found,) = (one["resource"] for one in bundle["entry"])
        assert (without in found, history_of(found)) == (False, ("2", "current"))
        assert [one["code"] for one in found["meta"]["tag"]] == ["SUBSETTED"]
        links = {one["relation"]: one["url"] for one in bundle["link"]}
        assert query in links["next"], "the next page has the same parts"


def test_a_history_begins_at_a_moment(document: Published) -> None:
    document.put(document.edited(setting(description="seen")))
    bundle = document.send("GET", f"{document.path}/_history").json()
    made = [one["response"]["lastModified"] for one in bundle["entry"]]
    assert made == sorted(made, reverse=True)
    for since, total in ((made[1], 2), ("2099-01-01T00:00:00Z", 0), ("2000-01-01", 2)):
        found = document.send("GET", f"{document.path}/_history?_since={since}").json()
        assert found["total"] == total, since


@pytest.mark.parametrize("query", ["_count=many", "_since=yesterday", "_page=x", "_summary=x"])
def test_a_history_of_unclear_versions(document: Published, query: str) -> None:
    reply = document.send("GET", f"{document.path}/_history?{query}")
    assert document.refuses(reply, 400) == [("value", "", f"http.{query.partition('=')[0]}")]


def test_a_history_by_a_parameter_that_is_not_known(document: Published) -> None:
    path = f"{document.path}/_history?_at=2026"
    assert document.send("GET", path).status == 200
    reply = document.send("GET", path, Prefer="handling=strict")
    assert document.refuses(reply, 400) == [("not-supported", "", "http._at")]


def test_older_versions_are_read(document: Published) -> None:
    first = document.read()
    document.put(document.edited(setting(description="seen")))
    old = document.read("1")
    assert (old["id"], old.get("description")) == (document.id, first.get("description"))
    assert document.read(first["meta"]["versionId"]) == old
    assert document.read("2") == document.read()
    missing = document.send("GET", f"{document.path}/_history/3")
    assert document.refuses(missing, 404) == [("not-found", "", "")]


def test_the_history_of_nothing(document: Published) -> None:
    reply = document.send("GET", f"/{D}/4d48a000-0000-4000-8000-00000000dead/_history")
    assert document.refuses(reply, 404) == [("not-found", "", "")]


# --- removal -------------------------------------------------------------------------------------


def _url(resource: Resource) -> str:
    url: str = resource["content"][0]["attachment"]["url"]
    return url.partition("/fhir")[2]


@shows("FHIR DELETE /DocumentReference/{id}")
def test_a_document_is_removed_with_all_versions(document: Published) -> None:
    first = document.read()
    patient = first["subject"]["identifier"]
    document.put(document.edited(setting(description="seen")))
    reply = document.send("DELETE", document.path)
    assert (reply.status, reply.json()["issue"][0]["severity"]) == (200, "information")
    for path in (document.path, f"{document.path}/_history/1", _url(first)):
        assert ask(document.server, "GET", path).status == 404
    query = f"patient.identifier={patient['system']}|{patient['value']}"
    for kind in (D, "List"):
        assert ask(document.server, "GET", f"/{kind}?{query}").json()["total"] == 0
    assert document.send("DELETE", document.path).status == 404


def test_a_removal_says_nothing_to_who_wants_nothing(document: Published) -> None:
    reply = document.send("DELETE", document.path, Prefer="return=minimal")
    assert (reply.status, reply.body) == (204, b"")


def test_the_document_goes_from_the_store(document: Published) -> None:
    def kept() -> int:
        return sum(1 for _ in document.server.store().list())

    before = kept()
    assert document.send("DELETE", document.path).status == 200
    assert kept() == before - 1


def test_a_removal_of_a_stale_version(document: Published) -> None:
    reply = document.send("DELETE", document.path, If_Match='W/"9"')
    assert document.refuses(reply, 412)[0][1] == "XDSMetadataVersionError"
    assert document.read()


@shows("FHIR DELETE /DocumentReference")
def test_a_conditional_removal(document: Published) -> None:
    master = document.read()["masterIdentifier"]["value"]
    path = f"/{D}?identifier=urn:ietf:rfc:3986|{master}"
    assert document.send("DELETE", path).status == 200
    assert ask(document.server, "GET", document.path).status == 404


def test_a_document_on_legal_hold_stays(document: Published) -> None:
    held = [{"coding": [{**RESTRICTED[0]["coding"][0], "code": "V", "display": "very restricted"}]}]
    document.put(document.edited(setting(securityLabel=held)))
    reply = document.send("DELETE", document.path)
    assert document.refuses(reply, 422)[0][1] == "LocalPolicyRestrictionError"
    assert document.read()["securityLabel"] == held


# --- options -------------------------------------------------------------------------------------


def test_without_a_policy_nothing_is_updated(server: Server) -> None:
    document = published(server)
    assert document.put(document.read()).status == 405
    stated = ask(server, "GET", "/metadata").json()["rest"][0]["resource"]
    (of_documents,) = (one for one in stated if one["type"] == D)
    assert {"code": "update"} not in of_documents["interaction"]


def test_the_statement_says_that_documents_are_updated(updating: Server) -> None:
    stated = ask(updating, "GET", "/metadata").json()["rest"][0]["resource"]
    (of_documents,) = (one for one in stated if one["type"] == D)
    codes = {one["code"] for one in of_documents["interaction"]}
    assert {"update", "patch", "delete", "history-instance"} <= codes
    assert of_documents["readHistory"] is True
    assert of_documents["versioning"] == "versioned-update"


def test_elements_that_may_change_are_listed(
    tmp_path_factory: pytest.TempPathFactory, databases: Databases
) -> None:
    data = tmp_path_factory.mktemp("listed")
    options = {
        **UPDATE_OPTIONS,
        "database": databases.url(data),
        "fhir_changeable": "status securityLabel extension",
        "fhir_unchangeable_status": "405",
        "fhir_entered_in_error": "no",
    }
    with ExitStack() as stack:
        document = published(stack.enter_context(serving(data, options)))
        assert document.put(document.edited(setting(securityLabel=RESTRICTED))).status == 200
        in_error = document.put(document.edited(setting(status="entered-in-error")))
        assert document.refuses(in_error, 400)[0] == ("value", "", f"{D}.status")
        refused = document.put(document.edited(setting(description="other")))
        assert refused.headers["allow"]
        assert document.refuses(refused, 405) == [("processing", _UNMODIFIABLE, f"{D}.description")]


def test_the_community_stays_where_none_is_named(
    tmp_path_factory: pytest.TempPathFactory, databases: Databases
) -> None:
    """As in an example of PDSm, whose patch has one extension in the place of all."""
    data = tmp_path_factory.mktemp("community")
    own = {"database": databases.url(data), "home_community_id": "urn:oid:2.999.1.4"}
    archived = [{"url": "https://example.org/is-archived", "valueBoolean": True}]
    with serving(data, {**UPDATE_OPTIONS, **own}) as running:
        _, document, folder = published_folder(running)
        for one in (document, folder):
            extensions = one.read()["extension"]
            (community,) = (it for it in extensions if "HomeCommunityId" in it["url"])
            said = [*(it for it in extensions if it != community), *archived]
            after = one.put(one.edited(setting(extension=said)))
            assert after.status == 200, after.body
            found = {it["url"]: it for it in after.json()["extension"]}
            assert found == {it["url"]: it for it in (community, *said)}
            other = [{**community, "valueOid": "urn:oid:2.999.1.5"}]
            refused = one.refuses(one.put(one.edited(setting(extension=other))), 422)
            assert refused[0][:2] == ("processing", _UNMODIFIABLE)


POLICY = """
[[rule]]
name = "everyone publishes and reads"
decision = "permit"
transactions = ["ITI-65", "ITI-67"]

[[rule]]
name = "labels are changed by patients of a domain"
decision = "permit"
transactions = ["ITI-57"]
confidentialityCode = ["N^^2.16.840.1.113883.5.25"]
"""


def test_with_a_policy_documents_are_updated_by_whom_it_lets(
    tmp_path_factory: pytest.TempPathFactory, databases: Databases
) -> None:
    data = tmp_path_factory.mktemp("policy")
    (data / "policy.toml").write_text(POLICY)
    options = {"database": databases.url(data), "policy": str(data / "policy.toml")}
    with serving(data, options) as running:
        document = published(running)
        assert document.put(document.edited(setting(description="seen"))).status == 200
        before = document.read()
        refused = document.put(document.edited(setting(securityLabel=RESTRICTED)))
        assert document.refuses(refused, 403) == [("forbidden", "", "")]
        assert document.read() == before
