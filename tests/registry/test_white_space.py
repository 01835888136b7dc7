"""White space round values: what is registered with it is found without it, and the other way."""

import pytest
from lxml import etree

from tests.registry import edits, wire
from tests.registry.edits import DOCUMENT_ENTRY, SUBMISSION_SET, classification, identifier, slot
from tests.registry.violations import message
from tests.registry.wire import World, text, texts
from tests.serving import Server
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry

shows = pytest.mark.shows
PERSON = "471^Muster^Maria^^^^^^&2.999.1.6&ISO"
PADDING = (("\n        ", "\n      "), ("\u00a0", "\t "))


def _padded(before: str, after: str) -> edits.Edit:
    """Put white space round every value that an object of a submission has."""

    def edit(root: etree._Element) -> None:
        for value in root.iter(f"{{{v.NS_RIM}}}Value"):
            value.text = f"{before}{value.text}{after}"
        for name in ("value", "nodeRepresentation", "mimeType", "home", "classificationScheme"):
            for element in root.iterfind(f".//*[@{name}]"):
                if element.get(name):
                    element.set(name, f" {element.get(name)}{after}")

    return edit


@pytest.mark.parametrize(("before", "after"), PADDING, ids=["lines", "blanks"])
@shows("behaviour white space")
def test_what_is_registered_with_white_space_is_as_it_is_without(
    server: Server, before: str, after: str
) -> None:
    objects = []
    for edit in (edits.nothing, _padded(before, after)):
        world = World.new()
        wire.accept(server, message(world, "iti42/preassigned_uuids", edit))
        found = wire.get_all(server, world.patient(1)).elements
        written = "".join(etree.tostring(one, encoding="unicode") for one in found)
        objects.append(written.replace(f"P{world.number}-", "P").replace(f".{world.number}.", "."))
        objects[-1] = objects[-1].replace(f"urn:uuid:{world.number:08x}", "")
    plain, padded = (_stable(one) for one in objects)
    assert padded == plain


def _stable(written: str) -> list[str]:
    """Return what was submitted: without the ids and times that the registry gives."""
    root = etree.fromstring(f"<l>{written}</l>")
    for part in list(root.iter(etree.Element)):
        for name in ("id", "classifiedObject", "registryObject", "sourceObject", "targetObject"):
            part.attrib.pop(name, None)
        if part.get("name") == "lastUpdateTime":
            part.clear()
        part.tail = None
    return sorted(etree.tostring(one, encoding="unicode") for one in root)


@shows("behaviour white space")
def test_queries_find_with_white_space_and_without(server: Server, world: World) -> None:
    unique_id, patient_id = world.text("2.999.3.1"), world.patient(1)
    padded_id = patient_id.replace("^^^", " ^^^")
    author = classification(DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_AUTHOR)
    wire.accept(
        server,
        message(
            world,
            "iti42/comprehensive_document",
            edits.both(
                edits.values(slot(author, "authorPerson"), f"\n    {PERSON}\n  "),
                edits.attribute(
                    identifier(DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_UNIQUE_ID), "value", " 2.999.3.1 "
                ),
                _patient_ids(f"{padded_id} "),
            ),
        ),
    )
    for wanted in (unique_id, f" {unique_id} "):
        asked = wire.query(server, v.GET_DOCUMENTS, {"$XDSDocumentEntryUniqueId": texts(wanted)})
        ((_, entry),) = asked.objects.items()
        assert isinstance(entry, DocumentEntry)
        assert (entry.unique_id, entry.patient_id) == (unique_id, patient_id)
        assert entry.author[0].person == (PERSON,)
    for person in (PERSON, f" {PERSON}\n", "471^Muster%"):
        for patient in (patient_id, f"\t{padded_id}\n"):
            asked = wire.query(
                server,
                v.FIND_DOCUMENTS,
                {
                    "$XDSDocumentEntryPatientId": text(patient),
                    "$XDSDocumentEntryStatus": texts(f" {v.APPROVED} "),
                    "$XDSDocumentEntryAuthorPerson": texts(person),
                    "$XDSDocumentEntryClassCode": texts(" report ^^ 2.999.5.1 "),
                },
            )
            assert list(asked.objects) == [entry.id]


def _patient_ids(padded: str) -> edits.Edit:
    return edits.both(
        *(
            edits.attribute(identifier(path, scheme), "value", padded)
            for path, scheme in (
                (DOCUMENT_ENTRY, v.DOCUMENT_ENTRY_PATIENT_ID),
                (SUBMISSION_SET, v.SUBMISSION_SET_PATIENT_ID),
            )
        )
    )
