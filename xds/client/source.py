"""The Document Source: provides documents to a repository, and metadata to a registry."""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from xds.client import messages
from xds.client.answers import RegistryResponse
from xds.client.documents import Content
from xds.client.errors import TransactionRefused
from xds.client.messages import PROVIDE_AND_REGISTER, REGISTER, Operation
from xds.closing import Closing
from xds.metadata import vocabulary as v
from xds.metadata.ebrim import escape
from xds.metadata.submission import Submission
from xds.outgoing.transport import HttpEndpoint, Settings
from xds.wire import mtom


class DocumentSource(Closing):
    """The Document Source of any XDS.b server (ITI TF-1 10.1.1.1); usable from many threads.

    ``registry_url`` is needed for ``register`` alone, which is the part of a repository. Close it,
    or use it as a context manager.
    """

    def __init__(
        self,
        repository_url: str | None = None,
        registry_url: str | None = None,
        *,
        settings: Settings | None = None,
    ) -> None:
        settings = settings or Settings()
        self._repository = HttpEndpoint(repository_url, settings) if repository_url else None
        self._registry = HttpEndpoint(registry_url, settings) if registry_url else None

    def provide_and_register(
        self, submission: Submission, documents: Mapping[str, Content | Path]
    ) -> RegistryResponse:
        """Send a submission with its documents, by the entryUUID of their entries (ITI-41).

        On return everything is registered; the response may hold warnings. Raises ClientError;
        after TransportFailed the registry may have registered the submission or not.
        """
        if self._repository is None:
            raise ValueError("a DocumentSource without repository_url cannot provide documents")
        contents = {
            entry_uuid: Content.of_file(given) if isinstance(given, Path) else given
            for entry_uuid, given in documents.items()
        }
        token = secrets.token_hex(16)
        content_ids = {uuid: f"document{n}.{token}@xds" for n, uuid in enumerate(contents)}
        attachments = list(_attachments(submission, contents, content_ids))
        body = _provide_and_register_request(submission, content_ids)
        return _sent(self._repository, PROVIDE_AND_REGISTER, body, attachments)

    def register(self, submission: Submission) -> RegistryResponse:
        """Send metadata alone, whose documents a repository holds already (ITI-42)."""
        if self._registry is None:
            raise ValueError("a DocumentSource without registry_url cannot register")
        return _sent(self._registry, REGISTER, submission.render())

    def close(self) -> None:
        """Close the connections."""
        for endpoint in (self._repository, self._registry):
            if endpoint is not None:
                endpoint.close()


def _sent(
    endpoint: HttpEndpoint,
    operation: Operation,
    body: str,
    attachments: Iterable[mtom.Attachment] = (),
) -> RegistryResponse:
    with messages.posted(endpoint, operation, body, list(attachments)) as received:
        response = RegistryResponse.read(received.body)
        received.finish()
        if not response.is_success:
            raise TransactionRefused(operation.name, response)
    return response


def _provide_and_register_request(submission: Submission, content_ids: Mapping[str, str]) -> str:
    documents = "".join(
        f'<xds:Document id="{escape(entry_uuid)}"><xop:Include xmlns:xop="{v.NS_XOP}" '
        f'href="{mtom.href_of(content_id)}"/></xds:Document>'
        for entry_uuid, content_id in content_ids.items()
    )
    return (
        f'<xds:ProvideAndRegisterDocumentSetRequest xmlns:xds="{v.NS_XDS}">'
        f"{submission.render()}{documents}</xds:ProvideAndRegisterDocumentSetRequest>"
    )


def _attachments(
    submission: Submission, contents: Mapping[str, Content], content_ids: Mapping[str, str]
) -> Iterator[mtom.Attachment]:
    mime_types = {entry.id: entry.mime_type or "" for entry in submission.document_entries}
    for entry_uuid, content in contents.items():
        mime_type = mime_types.get(entry_uuid, "")
        if not mtom.is_content_type(mime_type):
            mime_type = "application/octet-stream"
        yield mtom.Attachment(content_ids[entry_uuid], mime_type, content.chunks, content.size)
