"""Reading what was rendered without the XML parser: it gives what the parser gives, or nothing."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.metadata.test_submission import MESSAGES, UNUSUAL, of, request
from xds.metadata import ebrim, rendered
from xds.metadata import vocabulary as v
from xds.metadata.attributes import Code
from xds.metadata.ebrim import ExtrinsicObject, RegistryObject, Slot
from xds.metadata.objects import DocumentEntry, interpreted
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


def test_parts_without_ids_are_the_same_objects() -> None:
    (first, second) = (
        rendered.read(
            ebrim.render(DocumentEntry.create(class_code=Code("a", "b", "c"))), part_ids=no
        )
        for no in (False, False)
    )
    assert isinstance(first, ExtrinsicObject)
    assert isinstance(second, ExtrinsicObject)
    assert first.classifications[0] is second.classifications[0]
    entry = interpreted(first)
    assert isinstance(entry, DocumentEntry)
    assert entry.class_code == Code("a", "b", "c")


def test_parts_within_parts_are_left_to_the_parser() -> None:
    (thing,) = of(UNUSUAL).objects
    assert rendered.read(ebrim.render(thing)) is None


@settings(max_examples=50, deadline=None)
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
