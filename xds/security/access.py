"""One request for access: who asks for what, what they may see, and what it turned out to touch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from xds.errors import Explanation, FailureKind, RegistryError, Violation, kind_of_errors
from xds.metadata.criteria import ANYTHING, Criterion
from xds.metadata.submission import Submission
from xds.security.caller import UNKNOWN, Caller
from xds.security.details import Details, SubmissionDetails

Committing = Callable[[Any], None]
"""Writes by the connection it is handed, in the commit of a change."""


@dataclass(frozen=True, slots=True)
class MessageHeader:
    """What the header of a message says of itself and of its two ends; empty where it is silent."""

    message_id: str = ""
    """The id of an HL7 message: MSH-10, or root and extension of HL7 V3 with ^ between."""
    sender: str = ""
    """wsa:ReplyTo, or MSH-4 and MSH-3 with | between."""
    receiver: str = ""
    """MSH-6 and MSH-5 with | between."""


NO_HEADER: Final = MessageHeader()


@dataclass(slots=True, kw_only=True)
class Access:
    """One request; belongs to one thread. InterceptorChain fill in what the handlers go by."""

    transaction: str
    """As in the TF: ``ITI-42``."""
    caller: Caller = UNKNOWN
    visible: Criterion = ANYTHING
    """The demand on DocumentEntries that the caller may know of."""
    permitted_by: tuple[str, ...] = ()
    """The names of the rules of the policy that permit it."""
    break_glass: bool = False
    """Whether one of them permits it as an emergency access, which the record has to say."""
    message: MessageHeader = NO_HEADER
    interaction: str = ""
    """The code of FHIR's interaction (R4, restful-interaction): ``read``, ``search-type``."""
    details: Details | None = None
    """What the request is about, as far as the handler has read it."""
    checks: list["Check"] = field(default_factory=list)
    """What interceptors want asked of a submission before anything of it is stored."""
    describe: "Describe | None" = None
    """Sets the details before a handler has read the request: for the record of one that is
    denied. Where the handler has begun, there is none any more."""
    on_commit: list[Committing] = field(default_factory=list)
    """What interceptors want written in the same commit as what the request changes."""
    on_prepare: list[Callable[[], object]] = field(default_factory=list)
    """What interceptors can do of that before the commit begins."""

    refused_as: FailureKind | None = None
    """What kind of refusal the answer is, of handlers that answer with one themselves."""
    violations: tuple[Violation, ...] = ()
    """What that answer tells to be wrong."""
    explanations: tuple[Explanation, ...] = ()
    """The same as who asked is told."""
    is_partial: bool = False
    """Whether the answer has a part of what was asked for, and errors (PartialSuccess)."""
    began: float = 0.0
    """When the first interceptor was called, by time.perf_counter; 0 where none was."""
    span: Any = None
    """The span of the transaction, where spans are recorded."""
    is_recorded: bool = False
    """Whether a commit has the record of this access, once it is durable."""
    is_forwarded: bool = False
    """Whether the submission was sent on to a registry elsewhere, as far as is known."""

    def submits(self, submission: Submission, *, documents: int = 0) -> None:
        """Say what is submitted, once it is read, and how many documents came with it.

        AccessDenied where an interceptor does not let it in.
        """
        self.details = SubmissionDetails(submission, documents)
        for check in self.checks:
            check(self, submission)

    def answers_with(self, errors: Sequence[RegistryError], *, partial: bool) -> None:
        """Say that the answer tells of errors: a failure, unless it has a part of what was asked.

        For handlers that answer with errors, where others raise TransactionFailure.
        """
        self.violations = tuple(error.violation for error in errors)
        self.explanations = tuple(error.explanation for error in errors)
        if partial:
            self.is_partial = True
        else:
            self.refused_as = kind_of_errors(errors)

    def prepare(self) -> None:
        """Have made ready what goes into the commit; the details are complete.

        For changes of many objects, whose record would take long while others wait to write.
        """
        for make_ready in self.on_prepare:
            make_ready()

    def commit(self, connection: Any) -> None:
        """Write what goes into the commit of the change; called within it, again on a retry."""
        for write in self.on_commit:
            write(connection)


Describe = Callable[[Access], object]
"""Reads a request no further than its details need; raises whatever is wrong with it."""

Check = Callable[[Access, Submission], None]
"""Looks at a submission; raises AccessDenied."""
