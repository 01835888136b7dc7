"""Hostile documents of each kind, own work: what must not run, and the words that must be there.

``alert`` stands for whatever a script would do: a dialog is seen by the test.
"""

import json
import struct
import zlib
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Final

from tests.pages.documents import PDF, cda, media, unstructured, with_text

XML: Final = "text/xml"
FHIR_JSON: Final = "application/fhir+json"
_JS: Final = "javascript:alert(1)"
_ELSEWHERE: Final = "http://elsewhere.invalid/x.png"


@dataclass(frozen=True, slots=True)
class Hostile:
    """A document, and the words that its page has."""

    name: str
    data: bytes
    media_type: str
    words: tuple[str, ...]


def _picture(width: int, height: int, rest: bytes = b"") -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    lines = zlib.compress(b"\0" * ((width + 7) // 8 + 1) * min(height, 20))
    parts = chunk(b"IHDR", header), chunk(b"IDAT", lines), rest, chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


_SCRIPTS: Final = (
    f'<script>{_JS}</script><x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>'
    '<content onclick="alert(1)" style="x:expression(alert(1))">one</content>'
    f'<linkHtml href="{_JS}">two</linkHtml>'
    '<linkHtml href="java&#10;script:alert(1)">three</linkHtml>'
    f'<linkHtml href=" {_JS}">four</linkHtml><linkHtml href="data:text/html,x">five</linkHtml>'
    '<table onload="alert(1)"><thead onclick="alert(1)"><tr>'
    '<th abbr="&quot; onload=&quot;alert(1)">six</th></tr></thead>'
    '<tr><td headers="&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;">seven</td></tr></table>'
    '<list styleCode="bold&quot;onclick=&quot;alert(1)">'
    '<item ID="&quot;&gt;&lt;img src=x&gt;">eight</item></list>'
    "&lt;script&gt;alert(1)&lt;/script&gt; &lt;img src=x onerror=alert(1)&gt; nine"
    '<paragraph ID="document">ten</paragraph><paragraph ID="section-1">eleven</paragraph>'
)
_FOREIGN: Final = (
    '<h:div xmlns:h="http://www.w3.org/1999/xhtml"><h:iframe src="http://elsewhere.invalid/"/>'
    '<h:b onclick="alert(1)">one</h:b><h:form action="http://elsewhere.invalid/"><h:input/></h:form>'
    '</h:div><s:svg xmlns:s="http://www.w3.org/2000/svg" onload="alert(1)"><s:script>alert(1)'
    '</s:script><s:text>two</s:text></s:svg><m:math xmlns:m="http://www.w3.org/1998/Math/MathML">'
    '<m:mi xlink:href="javascript:alert(1)" xmlns:xlink="http://www.w3.org/1999/xlink">three</m:mi>'
    "</m:math><unknown>four</unknown>"
)
_REFERENCES: Final = (
    f'<img src="{_ELSEWHERE}"/><renderMultiMedia referencedObject="R1"><caption>one</caption>'
    f'</renderMultiMedia><table background="{_ELSEWHERE}"><tr>'
    f'<td style="background:url({_ELSEWHERE})">two</td></tr></table>'
    f'<style>@import "{_ELSEWHERE}"; body {{display: none}}</style>'
    f'<link rel="stylesheet" href="{_ELSEWHERE}"/>'
    f'<meta http-equiv="refresh" content="0;{_ELSEWHERE}"/>'
    f'<base href="http://elsewhere.invalid/"/><object data="{_ELSEWHERE}"/>three'
)
_REFERRED: Final = (
    '<entry><observationMedia classCode="OBS" moodCode="EVN" ID="R1"><value mediaType="image/png">'
    f'<reference value="{_ELSEWHERE}"/></value></observationMedia></entry>'
)
_PDF_ACTIVE: Final = PDF.replace(
    b"/Catalog>>",
    b"/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>/AA<</O<</S/Launch/F(calc)>>>>>>",
)
_HTML: Final = (
    b"<html><head><title>t</title><script>alert(1)</script><meta http-equiv=refresh content='0;"
    b"http://elsewhere.invalid/'><link rel=stylesheet href='http://elsewhere.invalid/a.css'></head>"
    b"<body onload='alert(1)'><h1>one</h1><img src=x onerror='alert(1)'><p style='background:"
    b"url(http://elsewhere.invalid/b)'>two</p><iframe src='http://elsewhere.invalid/'></iframe>"
    b"<form action='http://elsewhere.invalid/'><button>three</button></form></body></html>"
)


def _self_presenting() -> bytes:
    document = with_text("one").decode()
    return (
        '<?xml-stylesheet type="text/xsl" href="#s"?><xsl:stylesheet version="1.0" id="s" '
        'xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><html><script>'
        f"alert(1)</script></html></xsl:template>{document}</xsl:stylesheet>"
    ).encode()


def _in_header() -> bytes:
    found = with_text("one").decode()
    sign = "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"
    found = found.replace("Report of &lt;blood&gt;", f"Title {sign}")
    found = found.replace("<family>Sample</family>", f"<family>Sample {sign}</family>")
    found = found.replace("Example Hospital", f"Hospital {sign} \u202e{sign}")
    return found.replace('displayName="Laboratory report"', f'displayName="Kind {sign}"').encode()


def _fhir(**sections: str) -> bytes:
    """Return a FHIR document with a section for each narrative."""
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "id": "p",
        "identifier": [{"system": "urn:oid:2.999.1.1", "value": "P1"}],
        "name": [{"family": "Sample", "given": ["Ada<script>alert(1)</script>"]}],
    }
    composition: dict[str, Any] = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11502-2"}], "text": "Report"},
        "subject": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000002"},
        "date": "2026-03-12",
        "author": [{"display": "<img src=x onerror=alert(1)>"}],
        "title": "Report <script>alert(1)</script>",
        "section": [
            {"title": title, "text": {"status": "generated", "div": div}}
            for title, div in sections.items()
        ],
    }
    base = "urn:uuid:00000000-0000-4000-8000-00000000000"
    bundle = {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:2.999.3.7"},
        "timestamp": "2026-03-12T14:15:00Z",
        "entry": [
            {"fullUrl": f"{base}1", "resource": composition},
            {"fullUrl": f"{base}2", "resource": patient},
        ],
    }
    return json.dumps(bundle).encode()


_DIV: Final = '<div xmlns="http://www.w3.org/1999/xhtml">'
_FHIR_SECTIONS: Final = {
    "First": f"{_DIV}<script>alert(1)</script><p onclick='alert(1)'>one</p></div>",
    "Second": f"{_DIV}<a href='{_JS}'>two</a><img src='{_ELSEWHERE}' alt='three'/></div>",
    "Third": f"{_DIV}<iframe src='http://elsewhere.invalid/'>four</iframe><p>five</div>",
    "Fourth": f"{_DIV}<style>@import '{_ELSEWHERE}'</style><svg onload='alert(1)'/>six</div>",
}

_MANY_CELLS: Final = "<tr>" + "<td>c</td>" * 60 + "</tr>"
_IMAGES: Final = (
    media("A", "image/png", _picture(60_000, 60_000))
    + media("B", "image/png", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")
    + media("C", "image/gif", b"GIF89a/*\0\0\0\0*/=1;alert(1)")
    + media("D", "image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")
    + media("E", "image/png", _picture(4_000, 10, b"<script>alert(1)</script>"))
    + media("F", "text/html", _HTML)
    + media("G", "application/pdf", _PDF_ACTIVE)
)
_SHOWN: Final = "".join(
    f'<renderMultiMedia referencedObject="{one}"><caption>film-{one}</caption></renderMultiMedia>'
    for one in "ABCDEFG"
)

DOCUMENTS: Final = (
    Hostile(
        "scripts",
        with_text(_SCRIPTS),
        XML,
        (
            *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
            "ten",
            "eleven",
        ),
    ),
    Hostile("header", _in_header(), XML, ("one", "Sample", "<script>alert(1)</script>")),
    Hostile("foreign-markup", with_text(_FOREIGN), XML, ("one", "two", "three", "four")),
    Hostile("external-references", with_text(_REFERENCES, _REFERRED), XML, ("one", "two", "three")),
    Hostile("self-presenting", _self_presenting(), XML, ("one", "Findings")),
    Hostile(
        "stylesheet-instruction",
        b'<?xml-stylesheet type="text/xsl" href="http://elsewhere.invalid/a.xsl"?>'
        + with_text("one"),
        XML,
        ("one",),
    ),
    Hostile(
        "dtd",
        b'<!DOCTYPE a [<!ENTITY b "1"><!ENTITY c SYSTEM "http://elsewhere.invalid/">]>'
        + with_text("&b;&c;"),
        XML,
        ("DTD",),
    ),
    Hostile("depth", b"<a>" * 6_000, XML, ("nested too deeply",)),
    Hostile(
        "deep-narrative",
        with_text("<content>" * 200 + "one" + "</content>" * 200 + " two"),
        XML,
        ("one", "two"),
    ),
    Hostile(
        "wide",
        with_text(
            f"<table><tbody>{_MANY_CELLS}</tbody></table><paragraph>{'w' * 5_000}</paragraph>"
        ),
        XML,
        ("w" * 100,),
    ),
    Hostile(
        "spans",
        with_text('<table><tr><td colspan="1000" rowspan="1000">one</td></tr></table>' * 60),
        XML,
        ("one",),
    ),
    Hostile(
        "flood",
        with_text("<table>" + "<tr><td>one</td><td>two</td></tr>" * 200 + "</table>"),
        XML,
        ("one", "two"),
    ),
    Hostile("too-much-markup", with_text("<br/>" * 310_000), XML, ("more markup",)),
    Hostile(
        "encoding-is-not-as-declared",
        b'<?xml version="1.0" encoding="UTF-8"?>' + with_text("Größe").decode().encode("latin-1"),
        XML,
        ("cannot be shown",),
    ),
    Hostile(
        "encoding-is-unknown",
        b'<?xml version="1.0" encoding="x-own"?>' + with_text("one"),
        XML,
        ("cannot be shown",),
    ),
    Hostile("utf-16", with_text("Größe").decode().encode("utf-16"), XML, ("Größe",)),
    Hostile("images", with_text(_SHOWN, _IMAGES), XML, tuple(f"film-{one}" for one in "ABCDEFG")),
    Hostile("html-body", unstructured("text/html", _HTML), XML, ("one", "two", "three")),
    Hostile(
        "referenced-body",
        cda(f'<nonXMLBody><text><reference value="{_JS}"/></text></nonXMLBody>'),
        XML,
        ("elsewhere",),
    ),
    Hostile("pdf-body", unstructured("application/pdf", _PDF_ACTIVE), XML, ("application/pdf",)),
    Hostile("pdf", _PDF_ACTIVE, "application/pdf", ("Open the PDF",)),
    Hostile("html", _HTML, "text/html", ("one", "two", "three")),
    Hostile(
        "svg",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><text>one</text></svg>",
        "image/svg+xml",
        (),
    ),
    Hostile(
        "text",
        b"one <script>alert(1)</script>\r\n\x1b[31mtwo \xe2\x80\xae three",
        "text/plain",
        ("<script>alert(1)</script>", "two"),
    ),
    Hostile("fhir", _fhir(**_FHIR_SECTIONS), FHIR_JSON, ("one", "two", "three", "five", "six")),
    Hostile(
        "fhir-image",
        _fhir(
            Image=f"{_DIV}<img alt='one' src='data:image/png;base64,"
            f"{b64encode(_picture(8, 8)).decode()}'/></div>"
        ),
        FHIR_JSON,
        ("Image",),
    ),
)
