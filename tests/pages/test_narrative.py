"""The narrative block of CDA becomes HTML by a table, whatever there is in it."""

import re

import pytest

from tests.pages.narratives import rendered, scope_of, text_element, tree, words
from xds.content.pages.markup import MarkupRenderer
from xds.content.pages.narrative import CDA_NARRATIVE

ROW = "<tr><td>1</td></tr>"


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("a &lt;b&gt; &amp; c", "a &lt;b&gt; &amp; c"),
        ("<paragraph>a</paragraph>", "<p>a</p>"),
        ("<content>a</content>", "<span>a</span>"),
        (
            '<content styleCode="Bold Italics xOwn">a</content>',
            '<span class="bold italics">a</span>',
        ),
        ('<content revised="insert">a</content>', "<ins>a</ins>"),
        ('<content revised="delete">a</content>', "<del>a</del>"),
        ('<content revised="other">a</content>', "<span>a</span>"),
        ('<content language="fr-FR">a</content>', '<span lang="fr-FR">a</span>'),
        ('<content language="x y">a</content>', "<span>a</span>"),
        ('<content ID="a1">a</content>', '<span id="d-a1">a</span>'),
        ('<content ID="a &quot;1">a</content>', "<span>a</span>"),
        ("H<sub>2</sub>O<sup>+</sup><br/>x", "H<sub>2</sub>O<sup>+</sup><br>x"),
        ("<br>lost?</br>", "<br>lost?"),
        ("<caption>a</caption>b", '<span class="caption">a</span> b'),
        ("<list><item>a</item></list>", "<ul><li>a</li></ul>"),
        (
            '<list listType="ordered" styleCode="LittleRoman"><item>a</item></list>',
            '<ol class="little-roman"><li>a</li></ol>',
        ),
        (
            "<list><caption>c</caption><item>a</item></list>",
            '<div class="caption">c</div><ul><li>a</li></ul>',
        ),
        ("<list>x<item>a</item>y</list>", "<ul><li>x</li><li>a</li><li>y</li></ul>"),
        ("<list><content>x</content></list>", "<ul><li><span>x</span></li></ul>"),
        ("a<item>b</item>c", 'a <span class="block">b</span> c'),
        (
            "<paragraph><list><item>a</item></list></paragraph>",
            '<div class="paragraph"><ul><li>a</li></ul></div>',
        ),
    ],
)
def test_elements_of_the_narrative_block(markup: str, expected: str) -> None:
    assert rendered(markup) == expected


def test_a_table_scrolls_by_itself_and_is_named() -> None:
    found = rendered(f"<table><caption>Blood</caption><tbody>{ROW}</tbody></table>")
    assert found == (
        '<div class="wide" tabindex="0" role="region" aria-label="Table 1: Blood">'
        "<table><caption>Blood</caption><tbody><tr><td>1</td></tr></tbody></table></div>"
    )
    (inner,) = tree(rendered(f"<table><tr><td><table>{ROW}</table></td></tr></table>")).xpath(
        "//td//table"
    )
    assert inner.getparent().tag == "td"


def test_header_cells_say_of_what_they_are() -> None:
    table = tree(
        rendered(
            "<table><thead><tr><th>a</th><th/><th> </th></tr></thead>"
            "<tbody><tr><th>b</th><td>1</td></tr><tr><th>c</th><th scope='rowgroup'>d</th></tr>"
            "</tbody></table>"
        )
    )
    scopes = {cell.text: cell.get("scope") for cell in table.iter("th")}
    assert scopes == {"a": "col", "b": "row", "c": "col", "d": "rowgroup"}
    assert len(table.xpath("//thead//td")) == 2


def test_cells_name_header_cells_of_their_own_table_alone() -> None:
    (cell,) = tree(
        rendered(
            '<content ID="out"/><table><thead><tr><th ID="h1">a</th><th ID="h2"/></tr></thead>'
            '<tr><td ID="c" headers="h1 h2 out c nowhere">1</td></tr></table>'
        )
    ).xpath("//tr[2]/td | //table/tr/td | //tbody/tr/td")
    assert cell.get("headers") == "d-h1"


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        *(("2", "2"), (" 3 ", "3"), ("1000", "1000"), ("1", None), ("0", None), ("-1", None)),
        *(("1001", None), ("9999999999", None), ("2px", None), ("", None), ("٣", None)),
    ],
)
def test_spans_are_small_numbers(span: str, expected: str | None) -> None:
    (cell,) = tree(rendered(f'<table><tr><td colspan="{span}">1</td></tr></table>')).iter("td")
    assert cell.get("colspan") == expected


def test_spans_of_a_page_make_no_flood_of_cells() -> None:
    cells = '<td colspan="1000" rowspan="1000">1</td>' * 50
    assert "colspan" not in rendered(f"<table><tr>{cells}</tr></table>")
    cells = '<td colspan="1000">1</td>' * 60
    assert rendered(f"<table><tr>{cells}</tr></table>").count("colspan") == 50


@pytest.mark.parametrize(
    "markup",
    [
        "<table>x</table>",
        "<table><paragraph>x</paragraph></table>",
        "<table><tbody>x</tbody></table>",
        "<table><tr>x</tr></table>",
        "<table><tr><content>x</content></tr></table>",
        "<table><td>x</td></table>",
        "<table><tbody><td>x</td></tbody></table>",
        "<table><tr><tr><td>x</td></tr></tr></table>",
        "<table><colgroup>x</colgroup></table>",
        "<table><col>x</col></table>",
        "<table><tr><td>1</td></tr><caption>x</caption></table>",
        "<table><x:row><tr><td>x</td></tr></x:row></table>",
        "<tr><td>x</td></tr>",
        "<thead><tr><th>x</th></tr></thead>",
        "<list><caption>c</caption><caption>x</caption></list>",
        "<linkHtml href='#nowhere'><linkHtml>x</linkHtml></linkHtml>",
    ],
)
def test_words_out_of_their_place_stand_in_the_page(markup: str) -> None:
    """In the page as a browser reads it, which moves out of tables what cannot be in one."""
    written = rendered(f"<content>before</content>{markup}<content>after</content>")
    found, told = tree(written), words(written)
    assert re.fullmatch(r"before.*\bx\b.*after", told), told
    assert found.xpath("//table") == [] or not found.xpath("//table/text()[normalize-space()]")


def test_words_of_elements_that_are_none_do_not_grow_together() -> None:
    assert words(rendered("5<x:div>mg</x:div>7")) == "5 mg 7"
    assert "<x" not in rendered("5<x:div onclick='f()'>mg</x:div>7")


@pytest.mark.parametrize(
    "markup",
    [
        "<script>alert(1)</script>",
        '<h:script xmlns:h="http://www.w3.org/1999/xhtml">alert(1)</h:script>',
        '<s:svg xmlns:s="http://www.w3.org/2000/svg" onload="alert(1)"><s:a>alert(1)</s:a></s:svg>',
        '<content onclick="alert(1)" style="background:url(//e)">alert(1)</content>',
        '<table onmouseover="f()" border="x"><tr onload="f()"><td>alert(1)</td></tr></table>',
        '<img src="//e" onerror="f()">alert(1)</img>',
        '<a href="javascript:f()">alert(1)</a>',
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        '<content ID="x&quot; onclick=&quot;f()">alert(1)</content>',
        '<content styleCode="bold&quot; onclick=&quot;f()">alert(1)</content>',
        '<td headers="&quot;&gt;&lt;script&gt;">alert(1)</td>',
        "<style>@import '//e'</style>alert(1)",
        "<base href='//e'/><meta http-equiv='refresh'/><iframe src='//e'/>alert(1)",
    ],
)
def test_nothing_but_own_elements_and_attributes_is_written(markup: str) -> None:
    found = tree(rendered(markup))
    own = {"div", "p", "span", "table", "tbody", "tr", "td"}
    for element in found.iter():
        assert element.tag in own
        assert element.keys() == [] or {*element.keys()} <= {
            *("class", "tabindex", "role", "aria-label")
        }
    assert "alert(1)" in "".join(found.itertext())


# --- links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("href", "host"),
    [
        ("https://example.org", "example.org"),
        ("HTTPS://Example.org/a?b=c&amp;d#e", "example.org"),
        ("http://10.0.0.1:8080/x", "10.0.0.1"),
        (" https://example.org/ ", "example.org"),
    ],
)
def test_links_to_pages_show_their_host(href: str, host: str) -> None:
    found = tree(rendered(f'<linkHtml href="{href}">more</linkHtml>'))
    (link,) = found.iter("a")
    assert link.get("href") == href.strip().replace("&amp;", "&")
    assert link.get("rel") == "noopener noreferrer nofollow"
    assert "".join(found.itertext()).split() == ["more", f"[{host}]"]


@pytest.mark.parametrize(
    "href",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java&#9;script:alert(1)",
        " javascript:alert(1)",
        "&#160;javascript:alert(1)",
        "vbscript:x",
        "data:text/html,x",
        "file:///etc/passwd",
        "//example.org/x",
        "/fhir/Patient",
        "report.pdf",
        "https://example.org\\@example.com",
        "https://user@example.com/",
        "https://exa mple.org",
        "https://example.org/&quot;onclick=&quot;f()",
        "https://exämple.org/",
        "https:example.org",
        "https:///example.org",
        "mailto:a@b?subject=&#10;x",
        "https://example.org/" + "a" * 3000,
    ],
)
def test_other_links_are_their_text(href: str) -> None:
    found = tree(rendered(f'<linkHtml href="{href}">more</linkHtml>'))
    assert not found.xpath("//a")
    assert "".join(found.itertext()).split() == ["more", "[link", "left", "out]"]


def test_links_within_the_document_lead_to_what_is_there() -> None:
    found = tree(
        rendered(
            '<linkHtml href="#there">a</linkHtml><content ID="there">b</content>'
            '<linkHtml href="#nowhere">c</linkHtml>'
        )
    )
    assert [link.get("href") for link in found.iter("a")] == ["#d-there"]
    assert words(rendered('<linkHtml href="mailto:a@b.org">x</linkHtml>')) == "x"


def test_a_link_without_words_shows_its_address() -> None:
    assert words(rendered('<linkHtml href="https://example.org/a"/>')) == (
        "https://example.org/a [example.org]"
    )


def test_no_link_is_within_a_link() -> None:
    found = tree(
        rendered(
            '<linkHtml href="https://a.org">x<linkHtml href="https://b.org">y</linkHtml>'
            "<footnote>note</footnote></linkHtml>"
        )
    )
    assert not found.xpath("//a//a")
    assert len(found.xpath("//a")) == 1


def test_an_id_is_written_once() -> None:
    found = tree(rendered('<content ID="a">1</content><content ID="a">2</content>'))
    assert [one.text for one in found.xpath("//*[@id='d-a']")] == ["1"]


# --- notes and media -----------------------------------------------------------------------------


def test_footnotes_are_numbered_and_stand_below() -> None:
    found = tree(
        rendered(
            "a<footnote>first</footnote> b<footnote ID='f'>second</footnote> "
            "c<footnoteRef IDREF='f'/> d<footnoteRef IDREF='nowhere'/>"
        )
    )
    assert [link.text for link in found.iter("a")] == ["[1]", "[2]", "[2]"]
    (notes,) = found.xpath("//div[@class='notes']")
    assert [" ".join(one.itertext()).split() for one in notes] == [
        ["[1]", "first"],
        ["[2]", "second"],
    ]
    for link in found.iter("a"):
        assert found.xpath(f"//*[@id='{link.get('href')[1:]}']")


def test_footnotes_are_numbered_through_all_narratives() -> None:
    texts = [text_element("<footnote>a</footnote>"), text_element("<footnote ID='b'>b</footnote>")]
    scope = scope_of(*texts)
    second = str(MarkupRenderer(CDA_NARRATIVE, scope).render(texts[1]))
    assert "[2]" in second
    assert "[1]" not in second


def test_media_are_shown_where_they_are_referred_to() -> None:
    found = rendered(
        '<renderMultiMedia referencedObject="M1 M2"><caption>Film</caption></renderMultiMedia>'
    )
    assert words(found) == "[M1][M2] Film"


# --- limits --------------------------------------------------------------------------------------


def test_what_is_nested_too_deeply_is_flattened() -> None:
    depth = 180
    markup = "<content>" * depth + "deep<br/>er" + "</content>" * depth
    found = rendered(f"{markup} after")
    assert found.count("<span") < 70
    assert words(found) == "deep er after"


def test_a_narrative_of_too_many_elements_is_cut_and_says_so() -> None:
    text = text_element("<content>a</content>" * 20)
    scope = scope_of(text, elements_left=5)
    assert str(MarkupRenderer(CDA_NARRATIVE, scope).render(text)) == "<span>a</span>" * 5
    assert scope.is_cut


def test_a_cut_table_is_whole_html() -> None:
    table = "<table>" + "<tr><td>a</td></tr>" * 20 + "</table>"
    found = rendered(table, elements_left=6)
    assert found.count("<tr>") == found.count("</tr>") == 3
    assert found.endswith("</table></div>")
