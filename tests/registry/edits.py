"""Small changes to a message, from which its mutations are put together.

Paths are XPath with the prefixes of the contract; every change fails when its path finds nothing,
so that a mutation cannot come to nothing unnoticed.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Final

from lxml import etree

from tests.registry.wire import NAMESPACES, RIM
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import escape

Edit = Callable[[etree._Element], None]

SUBMISSION_SET: Final = "//rim:RegistryPackage[@id='submission-set']"
DOCUMENT_ENTRY: Final = "//rim:ExtrinsicObject[@id='document']"
FOLDER: Final = "//rim:RegistryPackage[@id='folder']"


# --- paths ---------------------------------------------------------------------------------------


def association(identifier: str) -> str:
    """Return the path of an Association."""
    return f"//rim:Association[@id='{identifier}']"


def slot(of: str, name: str) -> str:
    """Return the path of an object's Slot."""
    return f"{of}/rim:Slot[@name='{name}']"


def classification(of: str, scheme: str) -> str:
    """Return the path of an object's Classifications of one scheme."""
    return f"{of}/rim:Classification[@classificationScheme='{scheme}']"


def node(of: str) -> str:
    """Return the path of the Classification that says what a package is."""
    return f"{of}/rim:Classification[@classificationNode]"


def identifier(of: str, scheme: str) -> str:
    """Return the path of an object's ExternalIdentifier."""
    return f"{of}/rim:ExternalIdentifier[@identificationScheme='{scheme}']"


def _all(root: etree._Element, path: str) -> list[etree._Element]:
    found: list[etree._Element] = root.xpath(path, namespaces=NAMESPACES)
    assert found, f"nothing at {path}"
    return found


def _first(root: etree._Element, path: str) -> etree._Element:
    return _all(root, path)[0]


# --- changes -------------------------------------------------------------------------------------


def remove(*paths: str) -> Edit:
    """Remove all elements of the paths."""

    def edit(root: etree._Element) -> None:
        for path in paths:
            for element in _all(root, path):
                element.getparent().remove(element)

    return edit


def repeat(path: str, **attributes: str) -> Edit:
    """Put a copy of an element after it, with some attributes changed."""

    def edit(root: etree._Element) -> None:
        element = _first(root, path)
        copied = deepcopy(element)
        copied.attrib.update(attributes)
        element.addnext(copied)

    return edit


def copy_as(path: str, replaced: Mapping[str, str]) -> Edit:
    """Put a copy of an element after it, in which some attributes have other values."""

    def edit(root: etree._Element) -> None:
        element = _first(root, path)
        copied = deepcopy(element)
        for part in copied.iter(etree.Element):
            for name, value in part.attrib.items():
                part.set(name, replaced.get(value, value))
        element.addnext(copied)

    return edit


def attribute(path: str, name: str, value: str | None) -> Edit:
    """Set an XML attribute of the first element of a path; None removes it."""

    def edit(root: etree._Element) -> None:
        element = _first(root, path)
        if value is None:
            del element.attrib[name]
        else:
            element.set(name, value)

    return edit


def values(path: str, *texts: str) -> Edit:
    """Give a Slot other values."""

    def edit(root: etree._Element) -> None:
        listed = _first(root, f"{path}/rim:ValueList")
        for value in list(listed):
            listed.remove(value)
        for text in texts:
            etree.SubElement(listed, f"{RIM}Value").text = text

    return edit


def another_value(path: str) -> Edit:
    """Give a Slot its first value twice."""

    def edit(root: etree._Element) -> None:
        value = _first(root, f"{path}/rim:ValueList/rim:Value")
        value.addnext(deepcopy(value))

    return edit


def _element(xml: str) -> etree._Element:
    return etree.fromstring(f'<list xmlns:rim="{v.NS_RIM}">{xml}</list>')[0]


def add(path: str, xml: str) -> Edit:
    """Put an element into another one, as its last child."""
    return lambda root: _first(root, path).append(_element(xml))


def before(path: str, xml: str) -> Edit:
    """Put an element before the first one of a path."""
    return lambda root: _first(root, path).addprevious(_element(xml))


def add_slot(path: str, name: str, *texts: str) -> Edit:
    """Give an object one more Slot."""
    listed = "".join(f"<rim:Value>{escape(text)}</rim:Value>" for text in texts)
    xml = f'<rim:Slot name="{escape(name)}"><rim:ValueList>{listed}</rim:ValueList></rim:Slot>'
    return lambda root: _first(root, path).insert(0, _element(xml))


def add_object(xml: str) -> Edit:
    """Add an object to the submission."""
    return add("//rim:RegistryObjectList", xml)


def add_association(
    identifier: str, association_type: str, source: str, target: str, status: str | None = None
) -> Edit:
    """Add an Association to the submission, with a SubmissionSetStatus if need be."""
    inner = (
        f'<rim:Slot name="SubmissionSetStatus"><rim:ValueList><rim:Value>{status}</rim:Value>'
        "</rim:ValueList></rim:Slot>"
        if status
        else ""
    )
    return add_object(
        f'<rim:Association id="{identifier}" associationType="{association_type}" '
        f'sourceObject="{source}" targetObject="{target}">{inner}</rim:Association>'
    )


def has_member(identifier: str, source: str, target: str, status: str | None = None) -> Edit:
    """Add a HasMember Association to the submission."""
    return add_association(identifier, v.HAS_MEMBER, source, target, status)


def replace(old: str, new: str) -> Edit:
    """Replace a text wherever it stands, in attributes and in values."""

    def edit(root: etree._Element) -> None:
        replaced = 0
        for element in root.iter(etree.Element):
            for name, value in element.attrib.items():
                if old in value:
                    element.set(name, value.replace(old, new))
                    replaced += 1
            if element.text and old in element.text:
                element.text = element.text.replace(old, new)
                replaced += 1
        assert replaced, f"{old} stands nowhere"

    return edit


def reverse(path: str) -> Edit:
    """Turn round the order of an element's children."""

    def edit(root: etree._Element) -> None:
        parent = _first(root, path)
        parent[:] = list(reversed(parent))

    return edit


def both(*edits: Edit) -> Edit:
    """Do several changes, one after the other."""

    def edit(root: etree._Element) -> None:
        for one in edits:
            one(root)

    return edit


def nothing(root: etree._Element) -> None:
    """Change nothing."""
