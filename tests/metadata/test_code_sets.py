"""The three forms of code sets, and what is refused of them."""

import json

import pytest

from xds.metadata import vocabulary as v
from xds.metadata.code_sets import CodeSets, CodeSetsError, read
from xds.metadata.objects import Code

NOTE = Code("34109-9", "2.16.840.1.113883.6.1", "any name will do")
OTHER = Code("34109-9", "2.999.5", "the same code of another scheme")

TOML = b"""
mime_types = ["application/pdf"]
[codes]
classCode = ["34109-9^^2.16.840.1.113883.6.1"]
"""
JSON = json.dumps(
    {
        "mime_types": ["application/pdf"],
        "codes": {"classCode": ["34109-9^^2.16.840.1.113883.6.1"]},
    }
).encode()
CODES_XML = f"""
<Codes>
  <CodeType name="mimeType"><Code code="application/pdf" display="PDF"/></CodeType>
  <CodeType name="classCode" classScheme="{v.DOCUMENT_ENTRY_CLASS_CODE}">
    <Code code="34109-9" display="Note" codingScheme="2.16.840.1.113883.6.1"/>
  </CodeType>
  <CodeType name="languageCode"><Code code="en-GB" codingScheme="BCP 47"/></CodeType>
</Codes>
""".encode()


@pytest.mark.parametrize(
    ("name", "content"), [("c.toml", TOML), ("c.json", JSON), ("codes.xml", CODES_XML)]
)
def test_each_form_says_the_same(name: str, content: bytes) -> None:
    sets = read(name, content)
    assert sets.accepts(v.DOCUMENT_ENTRY_CLASS_CODE, NOTE)
    assert not sets.accepts(v.DOCUMENT_ENTRY_CLASS_CODE, OTHER)
    assert sets.accepts(v.DOCUMENT_ENTRY_TYPE_CODE, OTHER), "an attribute not named accepts all"
    assert sets.accepts_mime_type("application/pdf")
    assert not sets.accepts_mime_type("text/plain")


def test_without_a_file_everything_is_accepted() -> None:
    assert CodeSets().accepts(v.DOCUMENT_ENTRY_CLASS_CODE, OTHER)
    assert CodeSets().accepts_mime_type("text/plain")


def test_folder_codes_go_by_the_scheme_of_codes_xml() -> None:
    content = (
        f'<Codes><CodeType name="folderCodeList" classScheme="{v.FOLDER_CODE_LIST}">'
        '<Code code="a" codingScheme="b"/></CodeType></Codes>'
    )
    sets = read("codes.xml", content.encode())
    assert sets.accepts(v.FOLDER_CODE_LIST, Code("a", "b"))
    assert not sets.accepts(v.FOLDER_CODE_LIST, Code("b", "b"))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("c.yaml", b"", ".toml, .json or .xml"),
        ("c.toml", b"=", "c.toml"),
        ("c.toml", b"codez = 1", "unknown key codez"),
        ("c.toml", b'[codes]\nclassKode = ["a^^b"]', "classKode is no coded attribute"),
        ("c.toml", b'[codes]\nclassCode = ["a"]', "code^^codingScheme"),
        ("c.json", b"{", "c.json"),
        ("codes.xml", b"<Codes>", "not well-formed"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(name: str, content: bytes, words: str) -> None:
    with pytest.raises(CodeSetsError, match=words.replace("^", r"\^").replace(".", r"\.")):
        read(name, content)
