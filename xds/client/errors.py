"""What can go wrong between a client and a server.

    ClientError
    ├── TransportFailed         the server broke off, or does not speak SOAP
    │   └── NotReached          no connection came about: it has not heard of the request
    ├── MalformedAnswer         its answer cannot be read
    ├── SoapFaultReceived       it refused the message
    ├── TransactionRefused      it refused the transaction: .response has the errors
    ├── FhirRefused             a FHIR server refused the request
    └── DocumentDiffers         a document came that is not the one registered

After TransportFailed (but NotReached) and MalformedAnswer nobody but the server knows whether a
submission was registered. The text of TransactionRefused is its codes alone, because a code context
may name a patient and exceptions end up in logs; ``explain`` tells a person everything.
"""

from collections.abc import Sequence

from xds.client.answers import RegistryResponse
from xds.outgoing.errors import ClientError as ClientError
from xds.outgoing.errors import NotReached as NotReached
from xds.outgoing.errors import TransportFailed as TransportFailed


class MalformedAnswer(ClientError):
    """What came back is not an answer to the request."""


class SoapFaultReceived(ClientError):
    """The server answered with a SOAP fault (SOAP 1.2 part 1, 5.4).

    ``code`` and ``subcodes`` are local names such as ``Sender`` and ``ActionNotSupported``, the
    subcodes from outer to inner; ``detail`` is the fault's own XML, or empty.
    """

    def __init__(
        self, code: str, reason: str, subcodes: Sequence[str] = (), detail: str = ""
    ) -> None:
        super().__init__(f"SOAP fault {'/'.join((code, *subcodes))}: {reason or 'no reason given'}")
        self.code = code
        self.subcodes = tuple(subcodes)
        self.reason = reason
        self.detail = detail


class DocumentDiffers(ClientError):
    """A document is not the one that its DocumentEntry describes (ITI TF-3 4.2.3.2)."""

    def __init__(self, differences: Sequence[str]) -> None:
        super().__init__(f"The document is not the one registered: {' and '.join(differences)}.")


class TransactionRefused(ClientError):
    """The server understood the request and did not do it, or did not do all of it."""

    def __init__(self, transaction: str, response: RegistryResponse) -> None:
        self.transaction = transaction
        self.response = response
        codes = ", ".join(error.code for error in response.errors)
        super().__init__(f"{transaction} was refused: {codes or 'no error is named'}")

    def explain(self) -> str:
        """Tell every error, a line each."""
        lines = [f"  {error}" for error in self.response.errors]
        return "\n".join([f"{self.transaction} was refused:", *lines]) if lines else str(self)
