"""Documents within a document, on its page: pictures and PDF by own addresses, else a line.

What is shown is decided by the bytes, not by the type that a sender has declared; what is somewhere
else is told and never fetched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from markupsafe import Markup

from xds.content.pages import shown
from xds.content.pages.pictures import Picture, picture_of
from xds.content.pages.templates import template
from xds.content.pages.xhtml import sanitised_html
from xds.content.reading import kinds
from xds.content.reading.model import ContentAttachment

AttachmentKind = Literal["image", "pdf", "text", "html", "file", "elsewhere", "unreadable"]

_MOST_SHOWN: Final = 100
"""Attachments whose bytes are looked at; those beyond are lines."""
_MOST_FRAMES: Final = 10
"""PDF that are shown within the page."""
_MOST_PIXELS: Final = 200_000_000
"""Of all pictures of a page."""
_MOST_TEXT: Final = 1_000_000
"""Characters of a text that is shown."""
_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})


@dataclass(frozen=True, slots=True)
class ServedAttachment:
    """An attachment as it is given out at its own address."""

    kind: AttachmentKind
    media_type: str
    """By its bytes; of what a browser does not show, as it is declared."""
    data: bytes = b""
    picture: Picture | None = None
    text: str = ""


def served_attachment(attachment: ContentAttachment) -> ServedAttachment:
    """Tell what an attachment is, by its bytes."""
    declared = attachment.media_type.partition(";")[0].strip().lower()
    if attachment.data is None:
        return ServedAttachment("elsewhere", declared)
    try:
        data = attachment.data()
    except ValueError:
        return ServedAttachment("unreadable", declared)
    if picture := picture_of(data):
        return ServedAttachment("image", picture.media_type, data, picture)
    if kinds.media_type(data) == "application/pdf":
        return ServedAttachment("pdf", "application/pdf", data)
    if declared in ("text/plain", *_HTML) and not kinds.is_binary(data):
        text, _ = kinds.decoded(data)
        return ServedAttachment("html" if declared in _HTML else "text", declared, data, text=text)
    return ServedAttachment("file", declared, data)


@dataclass(frozen=True, slots=True)
class AttachmentView:
    """An attachment as the template has it."""

    number: int
    kind: AttachmentKind
    name: str
    href: str
    told: str
    """Its type and size."""
    is_body: bool
    picture: Picture | None = None
    text: str = ""
    markup: Markup = field(default_factory=Markup)


class ShownAttachments:
    """The attachments of one document, each looked at once, when the page comes to it."""

    def __init__(
        self, attachments: Sequence[ContentAttachment], media: Mapping[str, str], href: str
    ) -> None:
        self._attachments = attachments
        self._href = href
        self._numbers = {one.id: number for number, one in enumerate(attachments, 1)}
        self._media = media
        self._views: dict[int, AttachmentView] = {}
        self._shown: set[int] = set()
        self._pixels_left = _MOST_PIXELS
        self._frames_left = _MOST_FRAMES
        self.is_cut = False

    def markup(self, reference: str, caption: str) -> Markup:
        """Return what shows the attachment that a narrative refers to."""
        number = self._numbers.get(self._media.get(reference, reference))
        if number is None:
            return Markup('<span class="aside">[image left out]</span>')
        self._shown.add(number)
        return Markup(template("media.html").render(one=self._view(number), caption=caption))

    def listed(self) -> Sequence[AttachmentView]:
        """Return those that no narrative has shown, the body of the document first.

        A narrative shows a PDF as a link, so it is here as well.
        """
        numbers = range(1, len(self._attachments) + 1)
        views = [
            view
            for view in map(self._view, numbers)
            if view.kind == "pdf" or view.number not in self._shown
        ]
        return sorted(views, key=lambda one: not one.is_body)

    def _view(self, number: int) -> AttachmentView:
        if number not in self._views:
            self._views[number] = self._looked_at(number, self._attachments[number - 1])
        return self._views[number]

    def _looked_at(self, number: int, attachment: ContentAttachment) -> AttachmentView:
        name = attachment.title or f"Attachment {number}"
        href = f"{self._href}/attachment/{number}"
        if len(self._views) >= _MOST_SHOWN:
            told = attachment.media_type
            return AttachmentView(number, "file", name, href, told, attachment.is_body)
        served = served_attachment(attachment)
        kind, picture = served.kind, served.picture
        if picture is not None:
            self._pixels_left -= picture.width * picture.height
            if self._pixels_left < 0:
                kind = "file"
        told = served.media_type
        if served.data:
            told = f"{told}, {shown.shown_size(len(served.data))}".lstrip(", ")
        if kind == "elsewhere":
            told = attachment.reference
        if kind == "pdf":
            self._frames_left -= 1
            kind = "pdf" if self._frames_left >= 0 else "file"
        if len(served.text) > _MOST_TEXT:
            self.is_cut = True
        return AttachmentView(
            number=number,
            kind=kind,
            name=name,
            href=href,
            told=told,
            is_body=attachment.is_body,
            picture=picture,
            text=served.text[:_MOST_TEXT] if kind == "text" else "",
            markup=sanitised_html(served.text[:_MOST_TEXT]) if kind == "html" else Markup(),
        )
