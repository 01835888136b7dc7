"""What transactions have in common that submit metadata alone: ITI-42, ITI-57, ITI-61, ITI-92."""

from lxml import etree

from xds.affinity_domain import AffinityDomain
from xds.errors import RegistryError, XDSRegistryBusy, XDSRegistryError, XDSRegistryMetadataError
from xds.metadata.catalogue import TransactionRow
from xds.metadata.submission import Submission
from xds.security.access import Access
from xds.security.details import SubmissionDetails
from xds.transactions.messages import Request, Response
from xds.transactions.responses import refused, registry_response
from xds.transactions.transaction import Transaction


def submission_of(
    row: TransactionRow, invalid: type[RegistryError] = XDSRegistryMetadataError
) -> Transaction:
    """Return the transaction of a row whose message is an ``lcm:SubmitObjectsRequest``.

    ``invalid`` is the error for a request that the schema refuses. The rules of metadata tell the
    transactions apart by their names.
    """

    def register(domain: AffinityDomain, request: Request) -> Response:
        transaction.check(request.body)
        submission = Submission.read(request.body)
        access = request.access
        access.submits(submission)
        domain.registry.register(
            submission, transaction=row.name, in_commit=access.commit, visible=access.visible
        )
        return Response([registry_response()])

    def describe(domain: AffinityDomain, body: etree._Element, access: Access) -> None:
        transaction.check(body)
        access.details = SubmissionDetails(Submission.read(body))

    transaction = Transaction(
        catalogued=row,
        messages=row.soap[0],
        handler=register,
        describer=describe,
        refusal=refused,
        invalid=invalid,
        failed=XDSRegistryError,
        busy=XDSRegistryBusy,
    )
    return transaction
