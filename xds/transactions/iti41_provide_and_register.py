"""ITI-41 Provide and Register Document Set-b (ITI TF-2 3.41)."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from lxml import etree

from xds.affinity_domain import AffinityDomain
from xds.errors import (
    TransactionFailure,
    XDSRepositoryBusy,
    XDSRepositoryError,
    XDSRepositoryMetadataError,
)
from xds.metadata import vocabulary as v
from xds.metadata.catalogue import ITI_41
from xds.metadata.submission import Submission
from xds.metadata.white_space import trimmed
from xds.repository.store import StagedDocument
from xds.security.access import Access
from xds.security.details import SubmissionDetails
from xds.transactions.messages import Documents, Request, Response
from xds.transactions.responses import refused, registry_response
from xds.transactions.transaction import Transaction

_DOCUMENT: Final = f"{{{v.NS_XDS}}}Document"
_INCLUDE: Final = f"{{{v.NS_XOP}}}Include"


def provide_and_register(domain: AffinityDomain, request: Request) -> Response:
    """Store the documents of a submission and register their metadata."""
    content = list(_detached(request.body))
    TRANSACTION.check(request.body)
    _require_distinct(content)
    submission = Submission.read(request.body[0])
    access = request.access
    access.submits(submission, documents=len(content))
    documents = {one[0]: _received(request.documents, *one) for one in content}
    warnings = domain.repository.provide_and_register(
        submission, documents, access.commit, access.visible, read_version=domain.read_version
    )
    return Response([registry_response(warnings, v.SUCCESS)])


def _describe(domain: AffinityDomain, body: etree._Element, access: Access) -> None:
    for _ in _detached(body):
        pass
    TRANSACTION.check(body)
    access.details = SubmissionDetails(Submission.read(body[0]))


def _detached(body: etree._Element) -> Iterator[tuple[str, str | None, str]]:
    """Take each Document's content out of the body: (id, href of its Include, base64 text).

    What is left is valid against the schema, which knows base64 but no Include.
    """
    for element in body.iterchildren(_DOCUMENT):
        children = list(element)
        text = element.text or ""
        href = None
        if len(children) == 1 and children[0].tag == _INCLUDE and not text.strip():
            href = children[0].get("href", "")
            element.remove(children[0])
        element.text = None
        yield trimmed(element.get("id", "")), href, text


def _require_distinct(content: list[tuple[str, str | None, str]]) -> None:
    count = Counter(document_id for document_id, _, _ in content)
    if repeated := [document_id for document_id, times in count.items() if times > 1]:
        raise TransactionFailure(
            XDSRepositoryMetadataError(f"several Documents have the id {one}", one)
            for one in repeated
        )


def _received(
    documents: Documents, document_id: str, href: str | None, text: str
) -> StagedDocument:
    if href is not None:
        return documents.take(href)
    try:
        return documents.stage(text)
    except ValueError as reason:
        raise TransactionFailure(
            [XDSRepositoryMetadataError(f"Document {document_id}: {reason}", document_id)]
        ) from None


TRANSACTION: Final = Transaction(
    catalogued=ITI_41,
    messages=ITI_41.soap[0],
    handler=provide_and_register,
    describer=_describe,
    refusal=refused,
    invalid=XDSRepositoryMetadataError,
    failed=XDSRepositoryError,
    busy=XDSRepositoryBusy,
)
