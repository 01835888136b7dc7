"""Documents as pages that a browser shows: read, rendered, with what the registry knows of them.

Whatever a document is, its page takes a bounded time and memory: one that is larger, or has more
markup, than can be shown has a page that says so, and leads to the document as it is stored.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from xds.affinity_domain import AffinityDomain
from xds.content.pages.attachments import ServedAttachment, served_attachment
from xds.content.pages.facts import RegistryFacts, RelatedPage, Relation, facts_of
from xds.content.pages.page import MEDIA_TYPE, render_not_shown, render_page, render_refusal
from xds.content.pages.templates import content_security_policy
from xds.content.reading.errors import ContentUnreadable
from xds.content.reading.model import ReadDocument
from xds.content.reading.reader import read
from xds.content.reading.rules import ReadingRules
from xds.fhir.exchange import Answer, RawContent
from xds.fhir.r4.outcome import Refused
from xds.fhir.vocabulary import UUID_URN
from xds.metadata import vocabulary as v
from xds.metadata.criteria import Comparison, Criterion, Operator, equal
from xds.metadata.objects import DocumentEntry
from xds.mhd.served_documents import ServedDocument, ServedDocuments
from xds.one_at_a_time import OneAtATime
from xds.registry.queries.views import Found, RegistryView
from xds.security.access import Access

MOST_BYTES: Final = 16 * 1024 * 1024
"""Of a document that is read to be shown; base64 makes up most of such a one."""
MOST_MARKUP: Final = 300_000
"""Tags, or members of JSON: each takes some hundred bytes of memory, and a microsecond or two."""
_MOST_VERSIONS: Final = 100
"""Newer versions that are followed to the newest one."""
_TOO_LARGE: Final = (
    "The document is too large to be shown as a page; it can be had as it is stored."
)
_TOO_MUCH: Final = (
    "The document has more markup than can be shown as a page; it can be had as it is stored."
)


_REFUSALS: Final[Mapping[int, tuple[str, str]]] = {
    401: ("Sign in first", "The server has to know who you are before it shows a document."),
    403: ("Not allowed", "You may not open this document."),
    404: ("Not found", "There is no such document here, or it is not for you to see."),
    406: ("Not in this form", "The document cannot be had in the form that was asked for."),
    410: ("No longer there", "The document is registered, but its content is gone."),
    503: ("Not available", "The server cannot answer at the moment. Try again later."),
}
_FAILED: Final = ("Something went wrong", "The server could not answer.")
SECURITY: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def page_headers() -> dict[str, str]:
    """Return the headers of a page: what it may do, and that nobody keeps it."""
    return {
        "Cache-Control": "private, no-store",
        "Content-Security-Policy": content_security_policy(),
        **SECURITY,
    }


def refusal_page(status: int, request_id: str) -> bytes:
    """Return the page of an error, which says nothing of a document or a patient."""
    return render_refusal(*_REFUSALS.get(status, _FAILED), request_id=request_id)


def page_answer(body: bytes) -> Answer:
    """Return a page as the answer to a request of FHIR."""
    return Answer(content=RawContent(MEDIA_TYPE, body), headers=page_headers())


def page_of(data: bytes, media_type: str, facts: RegistryFacts, rules: ReadingRules) -> bytes:
    """Return the page of a document, or one that says why it cannot be shown."""
    if len(data) > MOST_BYTES:
        return render_not_shown(facts, _TOO_LARGE)
    if _has_much_markup(data):
        return render_not_shown(facts, _TOO_MUCH)
    try:
        document = read(data, media_type, rules)
    except ContentUnreadable as error:
        return render_not_shown(facts, f"The document cannot be shown. {error}")
    return render_page(document, facts, data)


@dataclass(frozen=True, slots=True)
class DocumentPages:
    """The pages of the documents of an affinity domain, which a process makes one at a time."""

    domain: AffinityDomain
    documents: ServedDocuments
    rules: ReadingRules
    _made: OneAtATime = field(default_factory=OneAtATime, compare=False, repr=False)

    def page(self, found: ServedDocument, access: Access, href: str) -> bytes:
        """Return the page of a document; ``href`` is the document as the page refers to it.

        Raises Refused 404 where the entry is not there any more, 410 where the document is not.
        """
        facts = self._facts(found, access.visible, href)
        if found.size > MOST_BYTES:
            return render_not_shown(facts, _TOO_LARGE)
        return self._made(partial(self._page, found, facts))

    def _page(self, found: ServedDocument, facts: RegistryFacts) -> bytes:
        return page_of(self.documents.whole(found), found.mime_type, facts, self.rules)

    def attachment(self, found: ServedDocument, number: int) -> ServedAttachment:
        """Return an attachment of a document, counted from 1; Refused 404 where it has none."""
        unknown = Refused.because(404, "not-found", "the document has no such attachment")
        if found.size > MOST_BYTES:
            raise unknown
        return self._made(partial(self._attachment, found, number, unknown))

    def _attachment(self, found: ServedDocument, number: int, unknown: Refused) -> ServedAttachment:
        data = self.documents.whole(found)
        if _has_much_markup(data):
            raise unknown
        try:
            attachments = self._read(data, found).attachments
        except ContentUnreadable:
            raise unknown from None
        if not 1 <= number <= len(attachments):
            raise unknown
        served = served_attachment(attachments[number - 1])
        if not served.data:
            raise unknown
        return served

    def _read(self, data: bytes, found: ServedDocument) -> ReadDocument:
        return read(data, found.mime_type, self.rules)

    def _facts(self, found: ServedDocument, visible: Criterion, href: str) -> RegistryFacts:
        identifier = found.identifier
        root = href.removesuffix(identifier)
        with self.domain.registry.view(visible) as view:
            entries = view.every_version.find(DocumentEntry, [_one_of("entry_uuid", [identifier])])
            if not entries:
                raise Refused.because(404, "not-found", "there is no document of this id")
            entry = entries[0].thing
            related = _related(view, entry, root)
            # a form of one document has that among what is related to it
            several = found.made_of if not related else ()
            sources = source_pages(view, self.domain.repository.unique_id, several, root)
        return replace(facts_of(entry, href, related), sources=sources)


def source_pages(
    view: RegistryView, repository_unique_id: str, unique_ids: Sequence[str], root: str
) -> tuple[RelatedPage, ...]:
    """Return the documents that another one was made of, in their order; ``root`` leads to them."""
    criteria = [
        equal("unique_id", unique_ids),
        equal("repository_unique_id", [repository_unique_id]),
    ]
    found = view.find(DocumentEntry, criteria) if unique_ids else ()
    pages: dict[str, RelatedPage] = {}
    for one in found:
        entry, page = one.thing, _page(root, "source", one)
        kind = entry.type_code.display_name if entry.type_code is not None else ""
        pages[entry.unique_id or ""] = replace(page, title=page.title or kind)
    return tuple(pages[one] for one in unique_ids if one in pages)


def _has_much_markup(data: bytes) -> bool:
    return data.count(b"<") > MOST_MARKUP or data.count(b'":') > MOST_MARKUP


def _one_of(attribute: str, identifiers: Iterable[str]) -> Comparison:
    urns = (UUID_URN + one.removeprefix(UUID_URN).lower() for one in identifiers)
    return Comparison(attribute, Operator.EQUAL, tuple(urns))


# --- other documents -----------------------------------------------------------------------------

_OF_SOURCE: Final[Mapping[str, Relation]] = {
    v.RPLC: "older",
    v.XFRM_RPLC: "older",
    v.APND: "amended",
    v.XFRM: "source",
    v.SIGNS: "signed",
}
"""What the target of an Association is to its source."""
_OF_TARGET: Final[Mapping[str, Relation]] = {
    v.APND: "addendum",
    v.XFRM: "transform",
    v.SIGNS: "signature",
}
"""What the source of an Association is to its target."""


def _related(view: RegistryView, entry: DocumentEntry, root: str) -> tuple[RelatedPage, ...]:
    """Return the documents that a reader may open beside this one."""
    page = partial(_page, root)
    logical_id = _logical_id(entry)
    pages = [page("newer", one) for one in _newest(view, logical_id)]
    for relation in view.relations([entry.entry_uuid]):
        if kind := _OF_SOURCE.get(relation.association_type):
            targets = view.find(DocumentEntry, [_one_of("logical_id", [relation.target])])
            pages += [page(kind, one) for one in targets]
    for relation in view.relating([logical_id]):
        if kind := _OF_TARGET.get(relation.association_type):
            pages += [page(kind, one) for one in _entries(view, [relation.source])]
    return tuple(dict.fromkeys(pages))


def _logical_id(entry: DocumentEntry) -> str:
    return entry.logical_id or entry.entry_uuid


def _page(root: str, relation: Relation, found: Found[DocumentEntry]) -> RelatedPage:
    entry = found.thing
    href = root + entry.entry_uuid.removeprefix(UUID_URN)
    return RelatedPage(relation, href, entry.title or "", entry.creation_time or "")


def _newest(view: RegistryView, logical_id: str) -> Iterator[Found[DocumentEntry]]:
    """Follow replacements to the newest documents that are visible, of which there may be several.

    A document that has not been replaced has none.
    """
    seen = {logical_id}
    pending: list[tuple[str, Found[DocumentEntry] | None]] = [(logical_id, None)]
    while pending and len(seen) < _MOST_VERSIONS:
        here, found = pending.pop()
        relating = view.relating([here])
        sources = [one.source for one in relating if one.association_type in v.REPLACEMENTS]
        following = {_logical_id(one.thing): one for one in _entries(view, sources)}
        for newer, one in following.items():
            if newer not in seen:
                seen.add(newer)
                pending.append((newer, one))
        if found is not None and not following:
            yield found


def _entries(view: RegistryView, entry_uuids: Sequence[str]) -> Sequence[Found[DocumentEntry]]:
    if not entry_uuids:
        return ()
    return view.every_version.find(DocumentEntry, [_one_of("entry_uuid", entry_uuids)])
