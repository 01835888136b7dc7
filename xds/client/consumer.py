"""The Document Consumer: asks a registry what there is, and repositories for documents."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Final, Unpack

from lxml import etree

from xds.client import messages
from xds.client.answers import QueryResponse, RegistryResponse, ReportedError
from xds.client.documents import RetrievedDocument
from xds.client.errors import MalformedAnswer, TransactionRefused
from xds.client.messages import RETRIEVE, STORED_QUERY, ReceivedMessage
from xds.client.parameters import DocumentFilters, QueryValue, document_parameters, slots
from xds.closing import Closing
from xds.metadata import vocabulary as v
from xds.metadata.document_request import DocumentRequest
from xds.metadata.ebrim import Slot, escape
from xds.metadata.objects import DocumentEntry
from xds.outgoing.transport import HttpEndpoint, Settings
from xds.wire import mtom
from xds.wire.mime import MalformedMessage

_XDS: Final = f"{{{v.NS_XDS}}}"
_INCLUDE: Final = f"{{{v.NS_XOP}}}Include"


class DocumentConsumer(Closing):
    """The Document Consumer of any XDS.b server (ITI TF-1 10.1.1.2); usable from many threads.

    ``repository_urls`` is the URL of the one repository, or the URL of each by its
    repositoryUniqueId. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        registry_url: str | None = None,
        repository_urls: str | Mapping[str, str] | None = None,
        *,
        settings: Settings | None = None,
    ) -> None:
        settings = settings or Settings()
        self._registry = HttpEndpoint(registry_url, settings) if registry_url else None
        self._only_repository: HttpEndpoint | None = None
        self._repositories: Mapping[str, HttpEndpoint] = {}
        if isinstance(repository_urls, str):
            self._only_repository = HttpEndpoint(repository_urls, settings)
        elif repository_urls is not None:
            self._repositories = _endpoints(repository_urls, settings)

    # --- ITI-18 ---

    def stored_query(
        self,
        query_id: str,
        parameters: Mapping[str, QueryValue],
        return_type: str = v.LEAF_CLASS,
        *,
        home_community_id: str | None = None,
    ) -> QueryResponse:
        """Ask a stored query, by its id and parameters of the TF (ITI TF-2 3.18.4.1.2.3).

        What the TF lets have several values is to be given as a list, of one value too; texts are
        quoted here. Raises ClientError where the query failed as a whole.
        """
        if self._registry is None:
            raise ValueError("a DocumentConsumer without registry_url cannot query")
        body = query_request(query_id, slots(parameters), return_type, home_community_id)
        with messages.posted(self._registry, STORED_QUERY, body) as received:
            found = QueryResponse.read(received.body)
            received.finish()
            if found.response.is_failure:
                raise TransactionRefused(STORED_QUERY.name, found.response)
        return found

    def find_documents(
        self,
        patient_id: str,
        *,
        status: str | Sequence[str] = v.APPROVED,
        return_type: str = v.LEAF_CLASS,
        **filters: Unpack[DocumentFilters],
    ) -> QueryResponse:
        """Find a patient's documents (FindDocuments, ITI TF-2 3.18.4.1.2.3.7.1)."""
        parameters: dict[str, QueryValue] = {
            "$XDSDocumentEntryPatientId": patient_id,
            "$XDSDocumentEntryStatus": (status,) if isinstance(status, str) else status,
            **dict(document_parameters(filters)),
        }
        return self.stored_query(v.FIND_DOCUMENTS, parameters, return_type)

    def get_documents(
        self,
        *,
        unique_ids: Sequence[str] = (),
        entry_uuids: Sequence[str] = (),
        return_type: str = v.LEAF_CLASS,
        home_community_id: str | None = None,
    ) -> QueryResponse:
        """Get entries by their uniqueIds, or else by their entryUUIDs (GetDocuments)."""
        if bool(unique_ids) == bool(entry_uuids):
            raise ValueError("GetDocuments takes uniqueIds or entryUUIDs")
        name = "$XDSDocumentEntryUniqueId" if unique_ids else "$XDSDocumentEntryEntryUUID"
        return self.stored_query(
            v.GET_DOCUMENTS,
            {name: unique_ids or entry_uuids},
            return_type,
            home_community_id=home_community_id,
        )

    # --- ITI-43 ---

    def retrieve(
        self,
        requests: Iterable[DocumentRequest | DocumentEntry],
        *,
        allow_partial: bool = False,
    ) -> "Retrieval":
        """Retrieve documents in the order in which their repositories send them (ITI-43).

        They stream: each is to be read before the next one is asked for. Where a repository does
        not have all of them, TransactionRefused is raised before its first document; with
        ``allow_partial`` only where it has none, and ``errors`` tells what is missing.
        """
        groups: dict[HttpEndpoint, list[DocumentRequest]] = {}
        for asked in requests:
            request = DocumentRequest.of(asked) if isinstance(asked, DocumentEntry) else asked
            groups.setdefault(self._repository(request), []).append(request)
        return Retrieval(groups, allow_partial=allow_partial)

    def _repository(self, request: DocumentRequest) -> HttpEndpoint:
        found = self._only_repository or self._repositories.get(request.repository_unique_id)
        if found is None:
            raise ValueError(f"no URL is given for the repository {request.repository_unique_id}")
        return found

    def close(self) -> None:
        """Close the connections."""
        for endpoint in (self._registry, self._only_repository, *self._repositories.values()):
            if endpoint is not None:
                endpoint.close()


def _endpoints(urls: Mapping[str, str], settings: Settings) -> dict[str, HttpEndpoint]:
    """Make an Endpoint a URL, which several repositories may share."""
    by_url = {url: HttpEndpoint(url, settings) for url in set(urls.values())}
    return {repository_unique_id: by_url[url] for repository_unique_id, url in urls.items()}


def query_request(
    query_id: str,
    parameters: Iterable[Slot],
    return_type: str = v.LEAF_CLASS,
    home: str | None = None,
    page: tuple[int, int] | None = None,
) -> str:
    """Return a ``query:AdhocQueryRequest``; ``page`` is startIndex and maxResults of ebRS."""
    rendered = "".join(_slot(parameter) for parameter in parameters)
    home_attribute = f' home="{escape(home)}"' if home else ""
    paging = f' startIndex="{page[0]}" maxResults="{page[1]}"' if page else ""
    return (
        f'<query:AdhocQueryRequest xmlns:query="{v.NS_QUERY}" xmlns:rim="{v.NS_RIM}"{paging}>'
        f'<query:ResponseOption returnComposedObjects="true" returnType="{escape(return_type)}"/>'
        f'<rim:AdhocQuery id="{escape(query_id)}"{home_attribute}>{rendered}</rim:AdhocQuery>'
        "</query:AdhocQueryRequest>"
    )


def _slot(parameter: Slot) -> str:
    values = "".join(f"<rim:Value>{escape(value)}</rim:Value>" for value in parameter.values)
    return (
        f'<rim:Slot name="{escape(parameter.name)}">'
        f"<rim:ValueList>{values}</rim:ValueList></rim:Slot>"
    )


class Retrieval(Closing):
    """Documents under way, to be iterated once; ``errors`` grows while they come.

    Repositories are asked one after the other. Close it when not all documents are wanted.
    """

    def __init__(
        self, groups: Mapping[HttpEndpoint, Sequence[DocumentRequest]], *, allow_partial: bool
    ) -> None:
        self.errors: list[ReportedError] = []
        self._groups = groups
        self._allow_partial = allow_partial
        self._documents = self._received()

    def __iter__(self) -> Iterator[RetrievedDocument]:
        return self._documents

    def close(self) -> None:
        """Break off; documents that have not been read are not received."""
        self._documents.close()

    def _received(self) -> Generator[RetrievedDocument, None, None]:
        for endpoint, requests in self._groups.items():
            with messages.posted(endpoint, RETRIEVE, _retrieve_request(requests)) as received:
                response = RegistryResponse.read(_registry_response(received.body))
                self._note(response)
                count = 0
                for count, document in enumerate(_documents(received), 1):  # noqa: B007
                    yield document
                if response.is_success and count < len(requests):
                    raise MalformedAnswer(f"The answer has {count} of {len(requests)} documents.")
                received.finish()

    def _note(self, response: RegistryResponse) -> None:
        self.errors.extend(response.errors)
        partial = self._allow_partial and not response.is_failure
        if not (response.is_success or partial):
            raise TransactionRefused(RETRIEVE.name, response)


def _retrieve_request(requests: Sequence[DocumentRequest]) -> str:
    rendered = "".join(_document_request(request) for request in requests)
    return (
        f'<xds:RetrieveDocumentSetRequest xmlns:xds="{v.NS_XDS}">{rendered}'
        "</xds:RetrieveDocumentSetRequest>"
    )


def _document_request(request: DocumentRequest) -> str:
    home = request.home_community_id
    home_element = f"<xds:HomeCommunityId>{escape(home)}</xds:HomeCommunityId>" if home else ""
    return (
        f"<xds:DocumentRequest>{home_element}"
        f"<xds:RepositoryUniqueId>{escape(request.repository_unique_id)}</xds:RepositoryUniqueId>"
        f"<xds:DocumentUniqueId>{escape(request.document_unique_id)}</xds:DocumentUniqueId>"
        "</xds:DocumentRequest>"
    )


def _registry_response(body: etree._Element) -> etree._Element:
    found = body.find(f"{{{v.NS_RS}}}RegistryResponse")
    if found is None:
        raise MalformedAnswer("The answer lacks its RegistryResponse.")
    return found


def _documents(received: ReceivedMessage) -> Iterator[RetrievedDocument]:
    """Yield first the documents that stand in the envelope, then the others as they come."""
    attached: dict[str, etree._Element] = {}
    for element in received.body.iterchildren(f"{_XDS}DocumentResponse"):
        href = _href(element)
        if href is None:
            yield _document(element, _inline(element))
        elif attached.setdefault(_cid(href), element) is not element:
            raise MalformedAnswer("Two documents of the answer refer to the same part.")
    for content_id, blocks in received.attachments():
        response = _claimed(attached, content_id)
        if response is not None:
            yield _document(response, blocks)
    if attached:
        raise MalformedAnswer("A document of the answer refers to a part that did not come.")


def _claimed(attached: dict[str, etree._Element], content_id: str) -> etree._Element | None:
    """Find what an xop:Include means; some stacks percent-encode the Content-ID as well."""
    for name in (content_id, _cid(f"cid:{content_id}")):
        if name in attached:
            return attached.pop(name)
    return None


def _href(element: etree._Element) -> str | None:
    include = element.find(f"{_XDS}Document/{_INCLUDE}")
    return None if include is None else include.get("href", "")


def _cid(href: str) -> str:
    try:
        return mtom.cid_of(href)
    except MalformedMessage as error:
        raise MalformedAnswer(str(error)) from error


def _inline(element: etree._Element) -> Iterator[bytes]:
    try:
        yield from mtom.inline_chunks(element.findtext(f"{_XDS}Document") or "")
    except MalformedMessage as error:
        raise MalformedAnswer(f"A document of the answer is not base64. {error}") from error


def _document(element: etree._Element, blocks: Iterator[bytes]) -> RetrievedDocument:
    def text(name: str) -> str:
        return (element.findtext(f"{_XDS}{name}") or "").strip()

    return RetrievedDocument(
        repository_unique_id=text("RepositoryUniqueId"),
        document_unique_id=text("DocumentUniqueId"),
        mime_type=text("mimeType") or "application/octet-stream",
        home_community_id=text("HomeCommunityId") or None,
        new_repository_unique_id=text("NewRepositoryUniqueId") or None,
        new_document_unique_id=text("NewDocumentUniqueId") or None,
        blocks=blocks,
    )
