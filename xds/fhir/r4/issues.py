"""Everything that is wrong with a request, collected so that a client learns it all at once."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from xds.fhir.r4.elements import Place, expression
from xds.fhir.r4.outcome import Issue, Refused

MOST: Final = 100
"""Errors that are told of the structure of one resource, and warnings."""
_ERRORS: Final = frozenset({"error", "fatal"})


class IssueCollector:
    """The errors of a request or of one of its resources, and the warnings.

    ``path`` is the FHIRPath of the resource that places are told within. Of errors and of warnings
    no more than ``most`` are kept, where that is given.
    """

    def __init__(self, path: str = "", *, most: int | None = None) -> None:
        self._path = path
        self._most = most
        self._errors: list[tuple[int, Issue]] = []
        self._counts: Counter[str] = Counter()
        self.issues: list[Issue] = []
        """In the order in which they were found."""
        self.warnings: list[Issue] = []

    def error(
        self, code: str, diagnostics: str, *where: str, status: int = 400, error_code: str = ""
    ) -> None:
        """Note what refuses the request, with the HTTP status that it deserves."""
        issue = Issue(
            code=code, diagnostics=diagnostics, expression=self._at(where), error_code=error_code
        )
        self._note(issue, status)

    def warn(self, diagnostics: str, *where: str, code: str = "informational") -> None:
        """Note something worth telling that does not stand in the way."""
        self._note(
            Issue(
                code=code,
                diagnostics=diagnostics,
                expression=self._at(where),
                severity="warning",
            )
        )

    def lost(self, diagnostics: str, *where: str, code: str = "incomplete") -> None:
        """Note what of a resource is not kept, or guessed: a warning."""
        self.warn(diagnostics, *where, code=code)

    def tell(self, code: str, place: Place, told: str, *, severity: str = "error") -> None:
        """Note a problem of structure: where it is, and the rest of the sentence."""
        if self._most is not None and self._counts[severity] == self._most:
            return
        self._counts[severity] += 1
        where = expression(place)
        self._note(
            Issue(
                code=code,
                diagnostics=f"{where} {told}.",
                expression=(where,),
                severity=severity,
            )
        )

    def add(self, issues: Iterable[Issue]) -> None:
        """Note issues of either kind by their severity."""
        for issue in issues:
            self._note(issue)

    def take(self, refused: Refused) -> None:
        """Note everything that a refusal is for."""
        for issue in refused.issues:
            self.issues.append(issue)
            self._errors.append((refused.status, issue))

    def gathering(self) -> "_Gathering":
        """Go on after a refusal within a ``with`` block, for what else there is to find."""
        return _Gathering(self)

    @property
    def has_errors(self) -> bool:
        """Whether something was found for which the request is refused."""
        return bool(self._errors)

    def raise_if_any(self) -> None:
        """Raise Refused with the errors, if any: with the status of all, or 400 if they differ.

        A reference that fails for several objects is told once for each, nothing twice.
        """
        if not self._errors:
            return
        statuses = {status for status, _ in self._errors}
        issues = list(dict.fromkeys(issue for _, issue in self._errors))
        raise Refused(statuses.pop() if len(statuses) == 1 else 400, issues)

    def _at(self, where: tuple[str, ...]) -> tuple[str, ...]:
        if not self._path:
            return where
        return tuple(f"{self._path}.{one}" if one else self._path for one in where)

    def _note(self, issue: Issue, status: int = 400) -> None:
        self.issues.append(issue)
        if issue.severity in _ERRORS:
            self._errors.append((status, issue))
        else:
            self.warnings.append(issue)


@dataclass(frozen=True, slots=True)
class _Gathering:
    collector: IssueCollector

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if isinstance(error, Refused):
            self.collector.take(error)
            return True
        return False
