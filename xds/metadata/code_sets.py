"""The code sets of an affinity domain: which codes and mime types its metadata may use.

Three forms are read (ITI TF-3 4.2.3.1.2): TOML and JSON with the attributes by their TF names, and
the ``codes.xml`` that conformance tools of IHE ship::

    mime_types = ["application/pdf", "text/xml"]

    [codes]
    classCode = ["18842-5^^2.16.840.1.113883.6.1"]

Attributes that are not named accept every code.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Final

from lxml import etree

from xds.metadata.attributes import Code, CodeAttribute, CodeListAttribute
from xds.metadata.objects import Association, DocumentEntry, Folder, SubmissionSet
from xds.metadata.white_space import trimmed
from xds.parsing import MalformedXML, parse


class CodeSetsError(ValueError):
    """A file of code sets cannot be read; the sentence names the place."""


@dataclass(frozen=True, slots=True)
class CodeSets:
    """What may be used; an empty instance accepts everything."""

    codes: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    """By classificationScheme: (code, codingScheme)."""
    mime_types: frozenset[str] | None = None

    def accepts(self, scheme: str, code: Code) -> bool:
        """Tell whether a code may stand in the attribute of this classificationScheme."""
        allowed = self.codes.get(scheme)
        return allowed is None or (code.code, code.coding_scheme) in allowed

    def accepts_mime_type(self, mime_type: str) -> bool:
        """Tell whether documents may be of this type."""
        return self.mime_types is None or mime_type in self.mime_types


def _schemes() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for kind in (DocumentEntry, SubmissionSet, Folder, Association):
        for attribute in kind.attributes().values():
            if isinstance(attribute, CodeAttribute | CodeListAttribute):
                name = attribute.tf_name
                found[name] = (*found.get(name, ()), attribute.scheme)
    return found


SCHEMES: Final = _schemes()
"""The classificationSchemes of each coded attribute, by its TF name."""
_OTHER_NAMES: Final[Mapping[str, str]] = {
    "folderCodeList": "codeList",
    "associationDocumentation": "documentation",
}


def read(name: str, content: bytes) -> CodeSets:
    """Read a file of code sets, its form being told by the name's suffix; CodeSetsError."""
    try:
        match PurePath(name).suffix.lower():
            case ".toml":
                return _from_table(tomllib.loads(content.decode()))
            case ".json":
                return _from_table(json.loads(content))
            case ".xml":
                return _from_codes_xml(parse(content))
    except CodeSetsError:
        raise
    except (MalformedXML, ValueError) as error:
        raise CodeSetsError(f"{name}: {error}") from error
    raise CodeSetsError(f"{name}: the name must end in .toml, .json or .xml")


def _from_table(table: Mapping[str, Any]) -> CodeSets:
    if unknown := table.keys() - {"codes", "mime_types"}:
        raise CodeSetsError(f"unknown key {min(unknown)}; known are codes and mime_types")
    codes: dict[str, frozenset[tuple[str, str]]] = {}
    for name, values in table.get("codes", {}).items():
        allowed = frozenset(_split(name, value) for value in values)
        codes.update(dict.fromkeys(_schemes_of(name), allowed))
    mime_types = table.get("mime_types")
    return CodeSets(codes, None if mime_types is None else frozenset(map(trimmed, mime_types)))


def _schemes_of(name: str) -> Iterable[str]:
    schemes = SCHEMES.get(_OTHER_NAMES.get(name, name))
    if schemes is None:
        raise CodeSetsError(f"{name} is no coded attribute; known are {', '.join(sorted(SCHEMES))}")
    return schemes


def _split(name: str, value: str) -> tuple[str, str]:
    code, separator, scheme = map(trimmed, value.partition("^^"))
    if not (code and separator and scheme):
        raise CodeSetsError(f"{name}: {value} is not of the form code^^codingScheme")
    return code, scheme


def _from_codes_xml(root: etree._Element) -> CodeSets:
    """Read ``Codes/CodeType[@name, @classScheme]/Code[@code, @codingScheme]``."""
    codes: dict[str, frozenset[tuple[str, str]]] = {}
    mime_types: frozenset[str] | None = None
    for code_type in root.iterfind("{*}CodeType"):
        codes_of = code_type.iterfind("{*}Code")
        values = [
            (trimmed(c.get("code", "")), trimmed(c.get("codingScheme", ""))) for c in codes_of
        ]
        name = code_type.get("name", "")
        if name == "mimeType":
            mime_types = frozenset(code for code, _ in values)
        for scheme in _schemes_in_xml(code_type):
            codes[scheme] = frozenset(values) | codes.get(scheme, frozenset())
    return CodeSets(codes, mime_types)


def _schemes_in_xml(code_type: etree._Element) -> Iterable[str]:
    """Return the schemes that a CodeType names; those of attributes without codes are passed."""
    given = code_type.get("classScheme")
    known = {scheme for schemes in SCHEMES.values() for scheme in schemes}
    if given in known:
        return (given,)
    name = code_type.get("name", "")
    return SCHEMES.get(_OTHER_NAMES.get(name, name), ())
