"""Narratives of FHIR, and HTML, are made safe: own markup, and nh3 behind it."""

import base64
import struct

import pytest

from tests.pages.narratives import rendered_xhtml, tree, words
from xds.content.pages.pictures import MOST_PIXELS
from xds.content.pages.xhtml import sanitised_html

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 3, 2) + b"\x08\x02\0\0\0"


def data_image(width: int, height: int) -> str:
    data = PNG[:16] + struct.pack(">II", width, height) + PNG[24:]
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<p>a <b>b</b></p>", "<p>a <b>b</b></p>"),
        ("<p/><a name='x'/>b", '<p></p><span></span><span id="d-x"></span>b'),
        ("<p class='bold own' style='color:red'>a</p>", '<p class="bold">a</p>'),
        ("<p lang='fr' xml:lang='fr'>a</p>", '<p lang="fr">a</p>'),
        ("<h1>a</h1>", '<div class="heading">a</div>'),
        ("<tt>a</tt><br/><hr/>", "<code>a</code><br><hr>"),
        ("<ul>x<li>a</li></ul>", "<ul><li>x</li><li>a</li></ul>"),
        ("<dl><dt>a</dt><dd>b</dd>c</dl>", "<dl><dt>a</dt><dd>b</dd><dd>c</dd></dl>"),
        ("<p id='a'>b</p>", '<p id="d-a">b</p>'),
        ("<pre>a\n b</pre>", "<pre>a\n b</pre>"),
    ],
)
def test_elements_of_narratives(markup: str, expected: str) -> None:
    assert rendered_xhtml(markup) == expected


def test_a_table_scrolls_by_itself() -> None:
    found = rendered_xhtml("<table><tr><th>a</th><td colspan='2'>b</td></tr></table>")
    (region,) = tree(found).xpath("div")
    assert dict(region.attrib) == {
        "class": "wide",
        "tabindex": "0",
        "role": "region",
        "aria-label": "Table 1",
    }
    assert [cell.get("colspan") for cell in region.iter("td")] == ["2"]


HOSTILE = [
    "<script>f()</script>words",
    "<p onclick='f()'>words</p>",
    "<a href='javascript:f()'>words</a>",
    "<a href='data:text/html,x'>words</a>",
    "<iframe src='https://e.org'>words</iframe>",
    "<object data='https://e.org'>words</object>",
    "<form action='https://e.org'><input value='x'/>words</form>",
    "<img src='https://e.org/x.png' alt='words'/>",
    "<img src='javascript:f()' alt='words'/>",
    "<img src='data:image/svg+xml;base64,PHN2Zz4=' alt='words'/>",
    "<img src='data:image/png;base64,PGh0bWw+' alt='words'/>",
    "<svg xmlns='http://www.w3.org/2000/svg' onload='f()'><text>words</text></svg>",
    "<math xmlns='http://www.w3.org/1998/Math/MathML'><mi>words</mi></math>",
    "<style>@import 'https://e.org'</style>words",
    "<link rel='stylesheet' href='https://e.org'/><meta http-equiv='refresh'/>words",
    "<div role='alert' tabindex='5' aria-label='x'>words</div>",
    "<noscript><p title='&lt;/noscript>&lt;img src=x onerror=f()>'>words</p></noscript>",
]


@pytest.mark.parametrize("markup", HOSTILE)
@pytest.mark.parametrize("is_xhtml", [True, False])
def test_nothing_active_is_written(markup: str, is_xhtml: bool) -> None:
    # what is not well-formed goes to nh3 as it is
    found = rendered_xhtml(markup if is_xhtml else f"{markup}<p>no end")
    for element in tree(found).iter():
        assert element.tag in {"div", "p", "span", "a", "b"}
        assert {*element.keys()} <= {"class"}
    # it drops images, and the text of drawings and formulas
    if is_xhtml or not any(one in markup for one in ("alt=", "<svg", "<math")):
        assert "words" in words(found)


def test_images_of_the_narrative_itself_are_looked_at() -> None:
    small = data_image(3, 2)
    (image,) = tree(rendered_xhtml(f"<img src='{small}' alt='a &quot;b'/>")).iter("img")
    assert dict(image.attrib) == {"src": small, "alt": 'a "b', "width": "3", "height": "2"}
    bomb = data_image(MOST_PIXELS, 2)
    assert "<img" not in rendered_xhtml(f"<img src='{bomb}' alt='a'/>")


def test_links_show_their_host() -> None:
    found = tree(rendered_xhtml("<a href='https://e.org/x'>more</a>"))
    (link,) = found.iter("a")
    assert link.get("rel") == "noopener noreferrer nofollow"
    assert "".join(found.itertext()).split() == ["more", "[e.org]"]


def test_html_is_shown_without_links_images_and_styles() -> None:
    page = (
        "<html><head><title>t</title><style>p{}</style><script>f()</script></head>"
        "<body background='//e'><h2>Head</h2><p style='x'>a <img src='//e'><a href='//e'>b</a>"
        "<table border=1><td colspan=2>c</table>"
    )
    found = sanitised_html(page)
    assert words(found) == "Head a b c"
    written = {"div", "h2", "p", "table", "tbody", "tr", "td"}
    assert {element.tag for element in tree(found).iter()} == written
