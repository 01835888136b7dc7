"""What is called before and after every transaction of any binding: policy, audit, metrics.

An interceptor is an object in the chain that an affinity domain is opened with; none knows of
another.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, Protocol

from xds.errors import Explanation, FailureKind, Violation, kind_of
from xds.security.access import Access
from xds.security.errors import AccessDenied, AuthenticationFailed


class NotRecorded(Exception):
    """The access cannot be recorded now, so that nothing is released."""

    failure_kind = FailureKind.UNAVAILABLE


class Result(StrEnum):
    """What became of a transaction, as its answer says."""

    SUCCESS = "success"
    """All that was asked for was done."""
    PARTIAL = "partial"
    """A part of what was asked for was found (PartialSuccess)."""
    FAILURE = "failure"
    """It was refused, for what was asked: a status Failure, a 4xx of FHIR, an AE or AR."""
    FAULT = "fault"
    """The message could not be read: a SOAP fault of the sender."""
    DENIED = "denied"
    """Nobody vouches for who asked, or the policy does not permit it."""
    ERROR = "error"
    """The server was not able to: busy, full, without its database, or at fault itself."""


_RESULTS: Final[Mapping[FailureKind, Result]] = {
    FailureKind.MALFORMED: Result.FAULT,
    FailureKind.REFUSED: Result.FAILURE,
    FailureKind.DENIED: Result.DENIED,
    FailureKind.SLOW: Result.FAILURE,
    FailureKind.BUSY: Result.ERROR,
    FailureKind.FULL: Result.ERROR,
    FailureKind.UNAVAILABLE: Result.ERROR,
    FailureKind.INTERNAL: Result.ERROR,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a transaction: the one value that metrics, log, trace and audit tell."""

    result: Result = Result.SUCCESS
    violations: tuple[Violation, ...] = ()
    """What was wrong, of a failure."""
    explanations: tuple[Explanation, ...] = ()
    """The same as who asked is told, with values of the message: for no log and no metric."""
    denied: AccessDenied | None = None
    unauthenticated: AuthenticationFailed | None = None
    """Nobody vouches for its user: the request was refused before the first interceptor."""

    @classmethod
    def of(cls, error: BaseException) -> "Outcome":
        """Return the outcome of a request that ended with an exception."""
        return cls(
            _RESULTS[kind_of(error)],
            tuple(getattr(error, "violations", ())),
            tuple(getattr(error, "explanations", ())),
            error if isinstance(error, AccessDenied) else None,
            error if isinstance(error, AuthenticationFailed) else None,
        )

    @classmethod
    def of_answer(cls, access: Access) -> "Outcome":
        """Return the outcome of a request that its handler has answered."""
        if access.refused_as is not None:
            return cls(_RESULTS[access.refused_as], access.violations, access.explanations)
        if access.is_partial:
            return cls(Result.PARTIAL, access.violations, access.explanations)
        return SUCCESS

    @property
    def is_success(self) -> bool:
        """Whether the request was answered as it was meant."""
        return self.result is Result.SUCCESS


SUCCESS: Final = Outcome()


class Interceptor(Protocol):
    """One concern of every transaction."""

    def enter(self, access: Access) -> None:
        """Act before anything is read or written; AccessDenied denies the request."""

    def leave(self, access: Access, outcome: Outcome) -> None:
        """Learn what has become of it before the answer goes; NotRecorded holds it back.

        They are called in the reverse of their order; where one holds the answer back, those
        before it learn that. ``leave`` is called without ``enter`` where an earlier interceptor
        denied the request, or its binding refused it.
        """


@dataclass(frozen=True, slots=True)
class InterceptorChain:
    """The interceptors of one deployment, in the order in which a request comes to them."""

    interceptors: Sequence[Interceptor] = ()

    def passing(self, access: Access) -> AbstractContextManager[None]:
        """Run a block between the two calls of each; it ends with the answer at hand.

        AccessDenied before the block or out of it; NotRecorded after it. ``leave`` of each is
        called, also where an earlier one has denied the request.
        """
        return _Passing(self, access) if self.interceptors else nullcontext()

    def unauthenticated(self, access: Access, failure: AuthenticationFailed) -> None:
        """Tell each of a request whose user nobody vouches for, or whose node is refused.

        Of such a node by NodeAuthenticationFailed; of a user, the caller is the node alone.

        NotRecorded where that cannot be recorded. The request is refused in any case.
        """
        self.leave(access, Outcome.of(failure))

    def unauthorized(self, access: Access, denial: AccessDenied) -> None:
        """Tell each of a request that a binding denies to a user who is known.

        NotRecorded where that cannot be recorded. The request is denied in any case.
        """
        self.leave(access, Outcome.of(denial))

    def unreadable(self, access: Access, error: BaseException) -> None:
        """Tell each of a request that its binding refuses before it comes to any of them.

        It names a transaction, and cannot be read, says something impossible, or could not be taken
        in by the server.

        NotRecorded where that cannot be recorded. The request is refused in any case.
        """
        self.leave(access, Outcome.of(error))

    def leave(self, access: Access, outcome: Outcome) -> None:
        """Tell each what became of a request; NotRecorded where one holds the answer back."""
        unrecorded: NotRecorded | None = None
        for interceptor in reversed(self.interceptors):
            try:
                interceptor.leave(access, outcome)
            except NotRecorded as error:
                unrecorded = error
                outcome = Outcome.of(error)
        if unrecorded is not None:
            try:
                raise unrecorded
            finally:
                del unrecorded  # the exception has this frame, which would have the exception


class _Passing:
    """A request between the two calls of each interceptor."""

    __slots__ = ("access", "chain")

    def __init__(self, chain: InterceptorChain, access: Access) -> None:
        self.chain = chain
        self.access = access

    def __enter__(self) -> None:
        try:
            for interceptor in self.chain.interceptors:
                interceptor.enter(self.access)
        except BaseException as error:
            self.chain.leave(self.access, Outcome.of(error))
            raise
        self.access.describe = None  # from here on the handler sets the details

    def __exit__(
        self, _kind: object, error: BaseException | None, _traceback: object
    ) -> Literal[False]:
        outcome = Outcome.of_answer(self.access) if error is None else Outcome.of(error)
        self.chain.leave(self.access, outcome)
        return False
