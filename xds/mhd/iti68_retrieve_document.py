"""ITI-68 Retrieve Document: the bytes of a document over plain HTTP (MHD 2:3.68; RFC 9110).

The URL is that of the DocumentReference's attachment, ``/fhir/document/{id}``, which says nothing
but the entryUUID. ``/fhir/Binary/{id}`` is the same document for a client that follows FHIR: it is
a Binary resource where a FHIR type is asked for, else the bytes. Deprecated documents are given out
as they are by ITI-43.

A browser, which asks for text/html first, gets the page of the document (:mod:`.document_pages`) at
both. What a page shows of the document has addresses below: ``original`` are its bytes, whatever is
asked for, and ``attachment/{number}`` a document within it.

This is a WSGI application beside Falcon's, so that a small document costs no more than a route of
Falcon that returns its bytes. For that, what never changes of a registered document is remembered:
see :mod:`xds.mhd.served_documents`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from xds import logs
from xds.affinity_domain import AffinityDomain
from xds.content.pages.page import MEDIA_TYPE
from xds.content.reading.deployment import rules_of
from xds.content.reading.rules import ReadingRules
from xds.fhir.authorization import Authorization
from xds.fhir.facade import Facade
from xds.fhir.http import conditional, failures, negotiation
from xds.fhir.http.bodies import Body
from xds.fhir.http.requests import PAGE_FORMATS, ROOT
from xds.fhir.http.versions import require_current
from xds.fhir.r4.outcome import Issue, Refused
from xds.fhir.r4.rendering import content_type
from xds.fhir.vocabulary import FHIR_JSON, FHIR_XML
from xds.metadata.catalogue import ITI_68
from xds.mhd.binaries import BinaryResource
from xds.mhd.document_pages import SECURITY, DocumentPages, page_headers, refusal_page
from xds.mhd.served_documents import ServedDocument, ServedDocuments, extension_of
from xds.repository.store import DocumentReader
from xds.security.access import Access
from xds.security.scopes import permissions

Headers = list[tuple[str, str]]
StartResponse = Callable[..., Any]

PERMISSIONS: Final = permissions(Binary="r")
"""What it needs of SMART's scopes."""
_ROOT: Final = f"{ROOT}/"
_SMALL: Final = 64 * 1024
"""Bytes that are read at once, and not streamed."""
_CONDITIONS: Final = frozenset(
    {
        "HTTP_RANGE",
        "HTTP_IF_NONE_MATCH",
        "HTTP_IF_MODIFIED_SINCE",
        "HTTP_IF_MATCH",
        "HTTP_IF_UNMODIFIED_SINCE",
    }
)
_OF_LIBRARIES: Final = frozenset({"*/*", FHIR_JSON, FHIR_XML, "application/json"})
"""What libraries for FHIR send with every request, told apart without parsing."""
_ALLOWED: Final = "GET, HEAD, OPTIONS"
_OK: Final = "200 OK"
_HISTORY: Final = "/_history/"
_ONLY_VERSION: Final = "1"
_ORIGINAL: Final = "/original"
_ATTACHMENT: Final = "/attachment/"
_UP: Final = "../"
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,5}")
_INLINE: Final = frozenset({"image", "pdf"})
_OF_NOT_MODIFIED: Final = frozenset({"ETag", "Last-Modified", "Cache-Control", "Vary"})


class Sent(NamedTuple):
    """What is handed to the server."""

    status: str
    headers: Headers
    blocks: Iterable[bytes]


class _DocumentPath(NamedTuple):
    """What the path of a request names."""

    identifier: str
    is_binary: bool = False
    version: str = ""
    is_original: bool = False
    attachment: int = 0
    """Its number; 0 for the document itself."""
    up: str = ""
    """Leads from the path to the base of FHIR, as a browser resolves it."""

    @classmethod
    def of(cls, path: str) -> "_DocumentPath":
        """Read a path; what it does not end with is a part of the id, and so of none."""
        below = path[len(_ROOT) :]
        resource, _, rest = below.partition("/")
        if "/" not in rest and resource != "Binary":
            return cls(rest, up=_UP)
        up = _UP * below.count("/")
        rest = rest.removesuffix("/")
        if resource == "Binary":
            identifier, _, version = rest.partition(_HISTORY)
            return cls(identifier, is_binary=True, version=version, up=up)
        if rest.endswith(_ORIGINAL):
            return cls(rest.removesuffix(_ORIGINAL), is_original=True, up=up)
        identifier, _, number = rest.partition(_ATTACHMENT)
        if _NUMBER.fullmatch(number):
            return cls(identifier, attachment=int(number), up=up)
        return cls(rest, up=up)


class RetrieveDocument:
    """The WSGI application of ``/fhir/document/{id}`` and ``/fhir/Binary/{id}``."""

    def __init__(
        self, domain: AffinityDomain, rules: ReadingRules, authorization: Authorization
    ) -> None:
        self._documents = ServedDocuments(domain)
        self._pages = DocumentPages(domain, self._documents, rules)
        self._authorization = authorization
        self._interceptors = domain.interceptors

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        try:
            status, headers, blocks = self._answer(environ)
            if request_id := failures.request_id(environ):
                headers.append((failures.REQUEST_ID, request_id))
        except Exception as error:
            status, headers, blocks = _failure(error, environ)
        start_response(status, headers)
        return blocks

    def _answer(self, environ: dict[str, Any]) -> Sent:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _other_method(environ["REQUEST_METHOD"])
        environ[failures.INTERACTION] = ITI_68.name
        describe = partial(self._describe, environ["PATH_INFO"])
        access = self._authorization.access(environ, ITI_68.name, PERMISSIONS, describe)
        with self._interceptors.passing(access):
            return self._retrieved(environ, access)

    def _describe(self, path: str, access: Access) -> None:
        """Note which document a denied request is about."""
        self._documents.note(_DocumentPath.of(path).identifier, access)

    def _retrieved(self, environ: Mapping[str, Any], access: Access) -> Sent:
        asked = _DocumentPath.of(environ["PATH_INFO"])
        accept: str = environ.get("HTTP_ACCEPT", "*/*")
        found = self._documents.find(asked.identifier, access)
        if asked.is_binary:
            require_current(asked.version, _ONLY_VERSION, found.etag.strip('"'))
        if asked.is_original:
            return self._bytes(found, environ)
        if asked.attachment:
            return self._attachment(found, asked.attachment, environ)
        if asked.is_binary:
            given = dict(negotiation.parameters(environ.get("QUERY_STRING", "").encode("latin-1")))
            wanted = given.get("_format")
            if wanted in PAGE_FORMATS or (
                not wanted and negotiation.wants_page(accept, found.mime_type)
            ):
                return self._page(found, asked, environ, access)
            return self._binary(found, accept, given, environ)
        if accept in _OF_LIBRARIES:
            return self._bytes(found, environ)
        if negotiation.wants_page(accept, found.mime_type):
            return self._page(found, asked, environ, access)
        if negotiation.admits(accept, found.mime_type) or negotiation.is_of_library(accept):
            return self._bytes(found, environ)
        raise Refused.because(
            406, "not-supported", f"the document can be had as {found.mime_type}, or as text/html"
        )

    def _page(
        self,
        found: ServedDocument,
        asked: "_DocumentPath",
        environ: Mapping[str, Any],
        access: Access,
    ) -> Sent:
        # as the browser sees it, whatever stands before the root
        href = f"{asked.up}document/{found.identifier}"
        body = self._pages.page(found, access, href)
        headers = [*_of_page(body).items(), ("Vary", "Accept")]
        return Sent(_OK, headers, [body] if environ["REQUEST_METHOD"] == "GET" else [])

    def _attachment(self, found: ServedDocument, number: int, environ: Mapping[str, Any]) -> Sent:
        served = self._pages.attachment(found, number)
        is_inline = served.kind in _INLINE
        media_type = served.media_type if is_inline else "application/octet-stream"
        name = f"{found.identifier}-{number}{extension_of(served.media_type)}"
        disposition = "inline" if is_inline else "attachment"
        headers = [
            ("Content-Type", media_type),
            ("Content-Length", str(len(served.data))),
            ("Content-Disposition", f'{disposition}; filename="{name}"'),
            ("Cache-Control", "private, no-store"),
            *SECURITY.items(),
        ]
        if served.kind != "pdf":  # the viewer of a browser does not open in a sandbox
            headers.append(("Content-Security-Policy", "sandbox; default-src 'none'"))
        return Sent(_OK, headers, [served.data] if environ["REQUEST_METHOD"] == "GET" else [])

    def _bytes(self, found: ServedDocument, environ: Mapping[str, Any]) -> Sent:
        is_get = environ["REQUEST_METHOD"] == "GET"
        if is_get and found.size <= _SMALL and environ.keys().isdisjoint(_CONDITIONS):
            return Sent(_OK, [*found.headers], [self._documents.whole(found)])
        verdict = conditional.precondition(environ, found.etag, found.registered)
        part = _part(found, environ) if is_get and verdict is None else None
        if part is None:
            reader = self._documents.open(found)
            sent = Sent(_OK, [*found.headers], reader)
        else:
            reader = self._documents.open(found, *part)
            sent = Sent(_status(206), _of_part(found, *part), reader)
        return _settled(sent, reader, verdict, is_get=is_get)

    def _binary(
        self,
        found: ServedDocument,
        accept: str,
        given: Mapping[str, str],
        environ: Mapping[str, Any],
    ) -> Sent:
        if wanted := given.get("_format"):
            form: str | None = negotiation.answer_form(accept, wanted)
        else:
            form = negotiation.binary_form(accept, found.mime_type)
        if form is None:
            return self._bytes(found, environ)
        pretty = given.get("_pretty") == "true"
        resource = BinaryResource.around(
            found.identifier, found.mime_type, found.registered, found.size, form, pretty=pretty
        )
        return self._resource(found, resource, form, environ)

    def _resource(
        self, found: ServedDocument, resource: BinaryResource, form: str, environ: Mapping[str, Any]
    ) -> Sent:
        headers = [
            ("Content-Type", content_type(form)),
            ("Content-Length", str(resource.length(found.size))),
            ("ETag", found.resource_etag),
            ("Last-Modified", formatdate(found.registered, usegmt=True)),
            ("Cache-Control", "private"),
            ("Vary", "Accept"),
        ]
        verdict = conditional.precondition(environ, found.resource_etag, found.registered)
        reader = self._documents.open(found)
        sent = Sent(_OK, headers, resource.blocks(reader))
        return _settled(sent, reader, verdict, is_get=environ["REQUEST_METHOD"] == "GET")


def _settled(sent: Sent, reader: DocumentReader, verdict: int | None, *, is_get: bool) -> Sent:
    """Send all, or the headers alone to HEAD, or what a precondition demands."""
    if is_get and verdict is None:
        return sent
    reader.close()
    if verdict == conditional.PRECONDITION_FAILED:
        raise Refused.because(412, "conflict", "the document is not as the request demands it")
    if verdict == conditional.NOT_MODIFIED:
        kept = [header for header in sent.headers if header[0] in _OF_NOT_MODIFIED]
        return Sent(_status(304), kept, [])
    return Sent(sent.status, sent.headers, [])


def _part(found: ServedDocument, environ: Mapping[str, Any]) -> tuple[int, int] | None:
    try:
        return conditional.part(environ, found.size, found.etag, found.registered)
    except conditional.RangeNotSatisfiable:
        issue = Issue(code="value", diagnostics=f"the document has {found.size} bytes")
        raise Refused(416, [issue], {"Content-Range": f"bytes */{found.size}"}) from None


def _of_part(found: ServedDocument, start: int, length: int) -> Headers:
    kept = [header for header in found.headers if header[0] != "Content-Length"]
    where = f"bytes {start}-{start + length - 1}/{found.size}"
    return [*kept, ("Content-Length", str(length)), ("Content-Range", where)]


def _other_method(method: str) -> Sent:
    if method == "OPTIONS":
        return Sent(_status(204), [("Allow", _ALLOWED)], [])
    issue = Issue(code="not-supported", diagnostics="a document is there to be read alone")
    raise Refused(405, [issue], {"Allow": _ALLOWED})


def _failure(error: Exception, environ: dict[str, Any]) -> Sent:
    with logs.correlation(failures.request_id(environ)):
        Body(environ).drain()
        told = failures.tell(error, environ)
    headers, body = dict(told.headers), told.body
    if negotiation.wants_page(environ.get("HTTP_ACCEPT", ""), FHIR_JSON):
        body = refusal_page(told.status, headers[failures.REQUEST_ID])
        headers |= _of_page(body)
    headers["Content-Length"] = str(len(body))
    blocks = [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
    return Sent(_status(told.status), [*headers.items()], blocks)


def _of_page(body: bytes) -> dict[str, str]:
    return {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)), **page_headers()}


def _status(code: int) -> str:
    return f"{code} {HTTPStatus(code).phrase}"


def serve(facade: Facade, authorization: Authorization) -> RetrieveDocument:
    """Make the application for the paths of documents and Binary resources."""
    rules = rules_of(facade.config, facade.domain.systems, with_schema=True)
    return RetrieveDocument(facade.domain, rules, authorization)
