"""Changes to the messages of fixtures/mhd, and the places in one_document.json."""

from typing import Any

from tests.fhir.published import Change, attachment, resource
from xds.fhir.r4.resource import Resource


def about(subject: Resource, *entries: Resource) -> Change:
    """Give every resource of one_document this subject, and the Bundle more entries."""

    def change(bundle: Resource) -> None:
        for index in (0, 1):
            resource(bundle, index)["subject"] = subject
        bundle["entry"].extend(entries)

    return change


IDENTIFIER = {"system": "urn:oid:2.999.1.1", "value": "M4001"}
IN_BUNDLE = "urn:uuid:4d480000-0000-4000-8000-000000000055"


def patient_entry(method: str, url: str, *identifiers: Resource) -> Resource:
    """Return an entry with a Patient, or without where there is no identifier."""
    entry: Resource = {"fullUrl": IN_BUNDLE, "request": {"method": method, "url": url}}
    if identifiers:
        entry["resource"] = {"resourceType": "Patient", "identifier": list(identifiers)}
    return entry


LOCAL = {"system": "urn:oid:2.999.1.2", "value": "H-77"}


def attached(**changes: Any) -> Change:
    """Set elements of the attachment anew; None takes one away."""

    def change(bundle: Resource) -> None:
        found = attachment(bundle)
        for name, value in changes.items():
            found.pop(name, None)
            if value is not None:
                found[name] = value

    return change


def put(path: str, value: Any) -> Change:
    """Set an element by its path, or take it away where the value is None."""

    def change(bundle: Resource) -> None:
        *steps, last = [int(s) if s.isdigit() else s for s in path.split(".")]
        found: Any = bundle
        for step in steps:
            found = found[step]
        if value is None:
            del found[last]
        else:
            found[last] = value

    return change


def copied(index: int) -> Change:
    """Add an entry like another."""

    def change(bundle: Resource) -> None:
        full_url = "urn:uuid:eeeeeeee-0000-4000-8000-eeeeeeeeeeee"
        bundle["entry"].append({**bundle["entry"][index], "fullUrl": full_url})

    return change


def added(one: Resource) -> Change:
    """Add an entry."""

    def change(bundle: Resource) -> None:
        bundle["entry"].append(one)

    return change


R1 = "Bundle.entry[1].resource"
A1 = f"{R1}.content[0].attachment"
UNKNOWN = "urn:uuid:00000000-0000-4000-8000-00000000dead"
