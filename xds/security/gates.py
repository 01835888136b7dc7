"""What every transaction passes, by whatever binding it comes: policy before it, audit after it.

A gate is an object in the tuple that an affinity domain is opened with; none knows of another.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final, Protocol

from xds.errors import RegistryError, RequestRefused, TransactionFailure
from xds.security.access import Access, AccessDenied, AuthenticationFailed


class NotRecorded(Exception):
    """The access cannot be recorded now, so that nothing is released."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request: nothing amiss, errors of the protocol, or a failure."""

    errors: tuple[RegistryError, ...] = ()
    denied: AccessDenied | None = None
    unauthenticated: AuthenticationFailed | None = None
    """The request was turned away before any gate was entered: no one vouches for its user."""
    refused: bool = False
    """The binding has refused it, for what is wrong with it."""
    failed: bool = False
    """Whether the server could not answer."""

    @property
    def is_success(self) -> bool:
        """Whether the request was answered as it was meant."""
        return not (
            self.errors or self.denied or self.unauthenticated or self.refused or self.failed
        )


SUCCESS: Final = Outcome()


class Gate(Protocol):
    """One concern of every transaction."""

    def enter(self, access: Access) -> None:
        """Decide before anything is read or written; AccessDenied closes the gate."""

    def leave(self, access: Access, outcome: Outcome) -> None:
        """Learn what has become of it before the answer goes; NotRecorded holds it back.

        A gate is left that was not entered where an earlier one denied, or nobody was let in.
        """


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates of one deployment, in the order in which a request comes to them."""

    gates: Sequence[Gate] = ()

    def passing(self, access: Access) -> AbstractContextManager[None]:
        """Pass every gate for the length of a block, which ends with the answer at hand.

        AccessDenied before the block or out of it; NotRecorded after it. Every gate is left that
        stands, also where an earlier one has denied.
        """
        return self._passing(access) if self.gates else nullcontext()

    def refused(self, access: Access, failure: AuthenticationFailed) -> None:
        """Tell every gate of a request whose user nobody vouches for; its caller has a node alone.

        So are they told of a node that is refused, by NodeAuthenticationFailed.

        NotRecorded where that cannot be recorded. The request is refused in any case.
        """
        self._leave(access, Outcome(unauthenticated=failure))

    def denied(self, access: Access, denial: AccessDenied) -> None:
        """Tell every gate of a request that a binding denies to a user who is known.

        NotRecorded where that cannot be recorded. The request is denied in any case.
        """
        self._leave(access, Outcome(denied=denial))

    def turned_away(self, access: Access, *, failed: bool = False) -> None:
        """Tell every gate of a request that its binding refuses before it comes to any of them.

        It names a transaction, and cannot be read or says something impossible; ``failed``: the
        server was not able to take it in.

        NotRecorded where that cannot be recorded. The request is refused in any case.
        """
        self._leave(access, Outcome(refused=not failed, failed=failed))

    @contextmanager
    def _passing(self, access: Access) -> Iterator[None]:
        try:
            for gate in self.gates:
                gate.enter(access)
            yield
        except BaseException as error:
            self._leave(access, _outcome(error))
            raise
        self._leave(access, Outcome(refused=True) if access.is_refused else SUCCESS)

    def _leave(self, access: Access, outcome: Outcome) -> None:
        for gate in self.gates:
            gate.leave(access, outcome)


def _outcome(error: BaseException) -> Outcome:
    if isinstance(error, AccessDenied):
        return Outcome(denied=error)
    if isinstance(error, TransactionFailure):
        return Outcome(errors=error.errors)
    if isinstance(error, RequestRefused):
        return Outcome(refused=True)
    return Outcome(failed=True)
