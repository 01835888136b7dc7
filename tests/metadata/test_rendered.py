"""Reading what was rendered without the XML parser: it gives what the parser gives, or nothing."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.metadata.test_submission import MESSAGES, UNUSUAL, of, request
from xds.metadata import ebrim, rendered
from xds.metadata import vocabulary as v
from xds.metadata.attributes import Author, Code
from xds.metadata.ebrim import RegistryObject, Slot
from xds.metadata.objects import DocumentEntry, MetadataObject, interpreted
from xds.metadata.rendered_attributes import attributes_of
from xds.metadata.submission import Submission


def parsed(text: str) -> RegistryObject:
    (found,) = ebrim.read_list(etree.fromstring(f'<l xmlns:rim="{v.NS_RIM}">{text}</l>'))
    return found


def every_object() -> Iterator[RegistryObject]:
    for path in MESSAGES:
        yield from Submission.read(request(path)).objects


def test_it_is_what_the_parser_reads() -> None:
    for thing in every_object():
        text = ebrim.render(thing)
        for _ in range(2):  # read, and remembered
            found = rendered.read(text)
            assert found == parsed(text)


def assert_attributes_are_of_the_whole(thing: RegistryObject) -> None:
    whole = interpreted(parsed(ebrim.render(thing)))
    assert isinstance(whole, MetadataObject)

    def read_again() -> MetadataObject:
        raise AssertionError("the attributes can be read without the whole")

    for _ in range(2):  # read, and remembered
        found = attributes_of(ebrim.render(thing), type(whole), read_again)
        for name, attribute in whole.attributes().items():
            assert getattr(found, name) == attribute.read(whole), name
        assert found.version == whole.version


def test_attributes_are_those_of_the_whole() -> None:
    for thing in every_object():
        if isinstance(interpreted(thing), MetadataObject):
            assert_attributes_are_of_the_whole(thing)


def test_of_what_is_said_twice_the_first_counts_and_codes_are_added() -> None:
    first, second = (
        DocumentEntry.create(
            entry_uuid="urn:uuid:0ecb4a1e-1e9e-4a8b-a02b-1a0a6a3c1b11",
            class_code=Code(text, "b", "c"),
            event_code_list=(Code(text, "b", "c"), Code("d", "b", "c")),
            author=(Author(person=(text,)),),
            title=text,
            size=text,
            reference_id_list=(text, "more"),
            unique_id=text,
            limited_metadata=True,
        )
        for text in ("one", "two")
    )
    fields = ("slots", "name", "classifications", "external_identifiers")
    doubled = {name: getattr(first, name) + getattr(second, name) for name in fields}
    assert_attributes_are_of_the_whole(ebrim.changed(first, **doubled))


def test_what_is_no_attribute_is_asked_of_the_whole() -> None:
    entry = DocumentEntry.create(title="a")
    found = attributes_of(ebrim.render(entry), DocumentEntry, lambda: entry)
    assert found.name is entry.name
    assert found.updated(title="b") == entry.updated(title="b")


def test_parts_within_parts_are_left_to_the_parser() -> None:
    (thing,) = of(UNUSUAL).objects
    assert rendered.read(ebrim.render(thing)) is None


@settings(max_examples=50)
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["C"])), min_size=3),
    st.integers(0, 2_000),
)
def test_any_text_may_stand_in_a_value(texts: list[str], more: int) -> None:
    first, second, *others = texts
    entry = DocumentEntry.create(
        unique_id=first, title=second, comments=first, class_code=Code(first, second, first)
    )
    entry = ebrim.changed(entry, slots=(Slot(first or "a", (*others, "x" * more)),))
    text = ebrim.render(entry)
    assert rendered.read(text) == parsed(text)
    assert_attributes_are_of_the_whole(entry)


TITLED = '<rim:ExtrinsicObject id="a"><rim:Name/></rim:ExtrinsicObject>'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<rim:ExtrinsicObject",
        TITLED.replace("Extrinsic", "Unknown"),
        TITLED.replace('"', "'"),
        TITLED.replace("<rim:Name/>", "<rim:Name>"),
        TITLED.replace("<rim:Name/>", "<rim:Name/><rim:Slot name='a'/>"),
        TITLED.replace("<rim:Name/>", '<rim:Slot name="a">&unknown;</rim:Slot>'),
        TITLED.replace("<rim:Name/>", '<rim:Classification id="b" classifiedObject="c"/>'),
        TITLED.replace("<rim:Name/>", '<rim:ExternalIdentifier id="b" registryObject="a"/>'),
    ],
)
def test_what_has_another_form_is_left_to_the_parser(text: str) -> None:
    assert rendered.read(text) is None


def test_codes_that_were_written_before_are_written_with_their_own_ids() -> None:
    known = Code("C", "2.999", 'A "display" & name')
    texts = []
    for own in ("First", "Sec'ond"):
        thing = DocumentEntry.create(entry_uuid=own, type_code=known)
        (part,) = thing.classifications
        thing = ebrim.changed(thing, classifications=(ebrim.changed(part, id=f"of {own}"),))
        assert parsed(ebrim.render(thing)) == ebrim.recast(ebrim.ExtrinsicObject, thing)
        texts.append(ebrim.render(thing).replace("Sec&#39;ond", own).replace(own, "First"))
    assert texts[0] == texts[1]


def test_a_mark_that_was_written_lets_no_text_pass_that_xml_cannot_carry() -> None:
    mark = ebrim.Placeholder("\x02")
    part = ebrim.Classification(id="x", classifiedObject="y", nodeRepresentation=mark)
    thing = ebrim.ExtrinsicObject(id="y", classifications=(part,))
    assert mark in ebrim.render(thing)
    bad = ebrim.changed(part, nodeRepresentation="\x02")
    with pytest.raises(ValueError, match="XML cannot carry"):
        ebrim.render(ebrim.changed(thing, classifications=(bad,)))
