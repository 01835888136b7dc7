"""What goes to FHIR comes back: every declared attribute, of objects of every form."""

import copy
from collections.abc import Iterator
from typing import Any, Final, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fhir import metadata_made as made
from tests.fhir.mapped import READING, WRITING, differences, unfolded
from xds.fhir.http import versions
from xds.fhir.r4 import json as fhir_json
from xds.fhir.r4 import structure, xml
from xds.fhir.r4.resource import Resource
from xds.metadata import ebrim
from xds.metadata.objects import DocumentEntry, Folder, SubmissionSet
from xds.metadata.rendered_attributes import AttributeView, attributes_of
from xds.mhd.mapping.document_references import (
    document_reference,
    read_document_reference,
    rendered,
)
from xds.mhd.mapping.lists import folder_list, read_folder, read_submission_set, submission_set_list

often = settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def forms(resource: Resource) -> Iterator[Resource]:
    """Return a resource as its readers get it, in JSON and in XML: right FHIR, nothing empty."""
    assert structure.problems(resource) == []
    whole = str(resource)
    for one in resource.get("contained", ()):
        assert f"'#{one['id']}'" in whole, "what is contained is referred to (R4, dom-3)"
    yield fhir_json.read(fhir_json.render(resource))
    by_xml, warnings = xml.read(xml.render(resource))
    assert warnings == []
    yield by_xml


@often
@given(made.document_entries())
def test_document_entry(entry: DocumentEntry) -> None:
    for resource in forms(document_reference(entry, context=WRITING)):
        mapped = read_document_reference(resource, READING, patient_id=entry.patient_id or "")
        assert differences(entry, mapped.thing) == {}
        assert mapped.warnings == ()


@often
@given(made.document_entries())
def test_what_a_search_gives_is_the_resource_with_its_version(entry: DocumentEntry) -> None:
    time = "20260102030405"
    for version in (None, ebrim.VersionInfo("1"), ebrim.VersionInfo("12")):
        one = ebrim.changed(entry, version_info=version)
        found = rendered(one, context=WRITING, registered_at=time, last_updated_at=time, patient=7)
        resource = document_reference(
            one, context=WRITING, registered_at=time, last_updated_at=time, patient=7
        )
        assert found == versions.rendered(resource, WRITING.base)
        assert structure.problems(found.resource()) == []


def written_plainly(entry: DocumentEntry) -> bytes:
    """Write an entry with nothing of its JSON remembered."""
    return fhir_json.render(copy.deepcopy(document_reference(entry, context=WRITING)))


@often
@given(made.document_entries())
def test_what_is_remembered_of_parts_is_what_is_written_plainly(entry: DocumentEntry) -> None:
    text = ebrim.render(entry)
    for _ in range(2):  # made, and remembered
        view = attributes_of(text, DocumentEntry, lambda: entry)
        assert isinstance(view, AttributeView)
        resource = document_reference(cast("DocumentEntry", view), context=WRITING)
        assert fhir_json.render(resource) == written_plainly(entry)


@often
@given(made.submission_sets())
def test_submission_set(thing: SubmissionSet) -> None:
    for resource in forms(submission_set_list(thing, context=WRITING, members=[])):
        mapped = read_submission_set(resource, READING, patient_id=thing.patient_id or "")
        assert differences(thing, mapped.thing) == {}
        assert mapped.warnings == ()


@often
@given(made.folders())
def test_folder(thing: Folder) -> None:
    for resource in forms(folder_list(thing, context=WRITING, members=[])):
        mapped = read_folder(resource, READING, patient_id=thing.patient_id or "")
        assert differences(thing, mapped.thing) == {}
        assert mapped.warnings == ()


# --- the other way -------------------------------------------------------------------------------
# Resources as FHIR clients write them, of what the mapping covers and does not list as lost.

words: Final = st.sampled_from(["Elena", "Ruiz", "O'Hara", "Müller", "Λένα", "a^b|c~d\\e&f"])
oid_systems: Final = st.sampled_from(
    ["https://fhir.nhs.uk/Id/nhs-number", "urn:oid:2.999.1.2", "http://hl7.org/fhir/sid/us-npi"]
)
identifiers: Final = st.builds(lambda s, v: {"system": s, "value": v}, oid_systems, words)
times: Final = st.sampled_from(
    ["2026", "2026-02", "2026-02-28", "2026-02-28T23:50:50Z", "1999-12-31T00:00:00Z"]
)
concepts: Final = st.builds(
    lambda system, code, display: {"coding": [{"system": system, "code": code, **display}]},
    st.sampled_from(["http://snomed.info/sct", "urn:oid:2.999.5.1", "http://example.org/codes"]),
    st.sampled_from(["60591-5", "A b", "é"]),
    st.sampled_from([{}, {"display": "What it means"}]),
)
telecoms: Final = st.builds(
    lambda point, use: {**point, **(use if point["system"] != "email" else {})},
    st.sampled_from(
        [
            {"system": "phone", "value": "+44 20 7946 0958"},
            {"system": "phone", "value": "+41 31 5550100 x12"},
            {"system": "phone", "value": "(0131) 555 01 00"},
            {"system": "fax", "value": "555-0100"},
            {"system": "pager", "value": "7"},
            {"system": "email", "value": "ruiz@example.org"},
        ]
    ),
    st.sampled_from([{}, {"use": "home"}, {"use": "work"}]),
)
names: Final = st.builds(
    lambda family, given_, more: {"family": family, "given": given_, **more},
    words,
    st.lists(words, min_size=1, max_size=3),
    st.sampled_from([{}, {"prefix": ["Prof. Dr"]}, {"suffix": ["MBE"], "prefix": ["Dr"]}]),
)


def some(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return resources with any of the elements."""
    return st.fixed_dictionaries({}, optional=parts)


def one(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return strategy.map(lambda value: [value])


def of_type(kind: str, strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return strategy.map(lambda content: {"resourceType": kind, **content})


practitioners: Final = of_type(
    "Practitioner", some(identifier=one(identifiers), name=one(names), telecom=one(telecoms))
).filter(lambda resource: len(resource) > 1)
organizations: Final = of_type(
    "Organization",
    st.fixed_dictionaries(
        {"name": words}, optional={"identifier": one(identifiers), "telecom": one(telecoms)}
    ),
)
roles: Final = of_type(
    "PractitionerRole",
    st.fixed_dictionaries(
        {
            "practitioner": of_type("Practitioner", st.builds(lambda n: {"name": [n]}, names)),
            "organization": of_type("Organization", st.builds(lambda n: {"name": n}, words)),
        },
        optional={"code": one(words.map(lambda w: {"text": w})), "telecom": one(telecoms)},
    ),
)
actors: Final = st.one_of(practitioners, organizations, roles)
patients: Final = of_type(
    "Patient",
    st.fixed_dictionaries(
        {"identifier": one(identifiers.map(lambda found: {"use": "usual", **found}))},
        optional={
            "name": one(names),
            "gender": st.sampled_from(["male", "female", "other", "unknown"]),
            "birthDate": st.sampled_from(["1961-05-09", "1961-05", "1961"]),
            "telecom": one(telecoms),
            "address": one(
                some(
                    line=st.lists(words, min_size=1, max_size=2), city=words, country=words
                ).filter(bool)
            ),
        },
    ),
)
attachments: Final = st.fixed_dictionaries(
    {"contentType": st.sampled_from(["text/plain", "text/plain; charset=utf-8"])},
    optional={
        "language": st.sampled_from(["en", "de-CH"]),
        "hash": st.just("2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
        "size": st.integers(0, 2**31 - 1),
        "title": words,
        "creation": times,
    },
)
contexts: Final = some(
    event=st.lists(concepts, min_size=1, max_size=2),
    period=some(start=times, end=times).filter(bool),
    facilityType=concepts,
    practiceSetting=concepts,
    related=one(
        st.builds(
            lambda found, code: {
                "identifier": {
                    **found,
                    "type": {"coding": [{"system": "urn:ietf:rfc:3986", "code": code}]},
                }
            },
            st.one_of(
                identifiers,
                st.just({"system": "http://example.org/visits", "value": "S100"}),
                st.just({"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.999.4"}),
            ),
            st.just("urn:ihe:iti:xds:2013:accession"),
        )
    ),
    sourcePatientInfo=patients,
)
document_references: Final = st.fixed_dictionaries(
    {"attachment": attachments, "context": contexts, "status": st.just("current")},
    optional={
        "type": concepts,
        "category": one(concepts),
        "securityLabel": st.lists(concepts, min_size=1, max_size=2),
        "description": words,
        "author": st.lists(actors, min_size=1, max_size=2),
        "authenticator": of_type(
            "Practitioner",
            st.builds(lambda n, i: {"name": [n], "identifier": [i]}, names, identifiers),
        ),
    },
)


@often
@given(document_references)
def test_document_reference_of_a_client(content: Resource) -> None:
    resource = folded(content)
    entry = read_document_reference(resource, READING, patient_id="P^^^&2.999&ISO").thing
    again = unfolded(document_reference(entry, context=WRITING))
    wanted = unfolded(resource)
    for name in ("type", "category", "securityLabel", "description", "author", "authenticator"):
        assert again.get(name) == wanted.get(name), name
    attachment = again["content"][0]["attachment"]
    attachment.pop("url")
    assert attachment == wanted["content"][0]["attachment"]
    surroundings = again["context"]
    if "sourcePatientInfo" not in wanted["context"]:
        del surroundings["sourcePatientInfo"]  # the subject's, where the source's is not known
    assert surroundings == wanted["context"]


def folded(content: Resource) -> Resource:
    """Return a DocumentReference whose actors, given in place, are contained."""
    contained: list[Resource] = []

    def contain(value: Any) -> Any:
        if isinstance(value, list):
            return [contain(each) for each in value]
        if not isinstance(value, dict):
            return value
        found = {name: contain(each) for name, each in value.items()}
        if "resourceType" not in found:
            return found
        contained.append({**found, "id": f"c{len(contained)}"})
        return {"reference": f"#c{len(contained) - 1}"}

    found: Resource = contain({name: v for name, v in content.items() if name != "attachment"})
    return {
        "resourceType": "DocumentReference",
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.999.3"},
        "content": [{"attachment": dict(content["attachment"])}],
        "contained": contained,
        **found,
    }
