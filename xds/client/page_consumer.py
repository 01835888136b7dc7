"""A browser's half of ITI-68: the page of a document, as text for a terminal or as it came."""

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from http import HTTPStatus
from typing import Final

from xds.client.errors import MalformedAnswer
from xds.client.fhir_subscriber import FhirRefused
from xds.closing import Closing
from xds.outgoing.transport import HttpEndpoint, HttpRequest, Settings

_HTML: Final = "text/html"
_MOST: Final = 64 << 20
_BLOCK: Final = 256 * 1024


class PageConsumer(Closing):
    """Asks a server for the pages of documents. Close it, or use it as a context manager."""

    def __init__(self, fhir_url: str, *, settings: Settings | None = None) -> None:
        """``fhir_url`` is the base; ValueError for what is no URL."""
        self._base = f"{fhir_url.rstrip('/')}/document"
        self._endpoint = HttpEndpoint(self._base, settings or Settings())

    def url(self, entry_uuid: str) -> str:
        """Return the URL of a document's page."""
        return f"{self._base}/{entry_uuid.removeprefix('urn:uuid:')}"

    def page(self, entry_uuid: str) -> bytes:
        """Return the page of a document; FhirRefused, TransportFailed, MalformedAnswer."""
        message = HttpRequest(
            content_type="",
            length=0,
            blocks=[],
            headers={"Accept": _HTML},
            method="GET",
            path=entry_uuid.removeprefix("urn:uuid:"),
            repeatable=True,
        )
        with self._endpoint.post(message) as answer:
            found = bytearray()
            while block := answer.read(_BLOCK):
                found += block
                if len(found) > _MOST:
                    raise MalformedAnswer("The page is larger than 64 MiB.")
            if answer.status != HTTPStatus.OK:
                raise FhirRefused(answer.status, [])
            if not answer.content_type.startswith(_HTML):
                raise MalformedAnswer("The server has no pages of documents.")
            return bytes(found)

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()


_BLOCKS: Final = frozenset(
    {"div", "p", "pre", "li", "tr", "caption", "figure", "figcaption", "section", "header", "main"}
    | {"footer", "nav", "ul", "ol", "dl", "table", "details", "summary", "br", "hr", "blockquote"}
)
_HEADINGS: Final = {"h1": "=", "h2": "-", "h3": "-", "h4": "", "h5": "", "h6": ""}
_HIDDEN: Final = frozenset({"style", "title", "nav"})
_CELLS: Final = frozenset({"td", "th"})


class _PageText(HTMLParser):
    """Collects the lines of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._words: list[str] = []
        self._hidden_by = ""
        self._depth = 0
        self._pre = 0
        self._cells = 0

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        """Begin a line where an element of its own begins."""
        if self._hidden_by:
            self._depth += tag == self._hidden_by
        elif tag in _HIDDEN or ("class", "skip") in attrs:
            self._hidden_by, self._depth = tag, 1
        else:
            self._begin(tag, attrs)

    def _begin(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        if tag in _HEADINGS:
            self._end_line()
            self.lines.append("")
        elif tag in _CELLS:
            if self._cells:
                self._words.append(" | ")
            self._cells += 1
        elif tag in _BLOCKS and not self._cells:
            self._end_line()
            if tag == "li":
                self._words.append("- ")
        elif tag in _BLOCKS:
            self._words.append(" ")
        self._pre += tag == "pre"
        if tag == "img":
            self._words.append(f"[image: {dict(attrs).get('alt') or ''}]")

    def handle_endtag(self, tag: str) -> None:
        """End a line where an element of its own ends."""
        if self._hidden_by:
            self._depth -= tag == self._hidden_by
            self._hidden_by = self._hidden_by if self._depth else ""
        else:
            self._end(tag)

    def _end(self, tag: str) -> None:
        self._pre -= tag == "pre"
        if tag in _HEADINGS:
            self._end_line()
            if sign := _HEADINGS[tag]:
                self.lines.append(sign * len(self.lines[-1]))
        elif tag == "tr":
            self._cells = 0
            self._end_line()
        elif tag in _BLOCKS and not self._cells:
            self._end_line()

    def handle_data(self, data: str) -> None:
        """Add words."""
        if self._hidden_by:
            return
        if self._pre:
            *whole, rest = data.split("\n")
            for line in whole:
                self.lines.append("".join(self._words) + line)
                self._words = []
            self._words.append(rest)
        else:
            self._words.append(re.sub(r"\s+", " ", data))

    def _end_line(self) -> None:
        line = re.sub(r" +", " ", "".join(self._words)).strip()
        self._words = []
        if line:
            self.lines.append(line)


def page_text(page: bytes) -> list[str]:
    """Return the lines of a page: a line for each row of a table, with its cells."""
    reader = _PageText()
    reader.feed(page.decode("utf-8", "replace"))
    reader.close()
    return reader.lines
