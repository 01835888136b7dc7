"""Everything that is wrong with one request, gathered so that a client learns it all at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType

from xds.fhir.r4.outcome import Issue, Refused


class Problems:
    """The errors of a request, which refuse it in the end, and its warnings, which do not."""

    def __init__(self) -> None:
        self._errors: list[tuple[int, Issue]] = []
        self.warnings: list[Issue] = []

    def add(
        self, code: str, diagnostics: str, *expression: str, status: int = 400, error_code: str = ""
    ) -> None:
        """Note one error."""
        issue = Issue(
            code=code, diagnostics=diagnostics, expression=expression, error_code=error_code
        )
        self._errors.append((status, issue))

    def warn(self, diagnostics: str, *expression: str, code: str = "informational") -> None:
        """Note something worth telling that does not stand in the way."""
        self.warnings.append(
            Issue(code=code, diagnostics=diagnostics, expression=expression, severity="warning")
        )

    def sort(self, issues: Iterable[Issue]) -> None:
        """Note issues of either kind by their severity."""
        for issue in issues:
            if issue.severity in ("error", "fatal"):
                self._errors.append((400, issue))
            else:
                self.warnings.append(issue)

    def gathering(self) -> "_Gathering":
        """Go on after a refusal within a ``with`` block, for what else there is to find."""
        return _Gathering(self)

    def take(self, refused: Refused) -> None:
        """Note everything that a refusal is for."""
        self._errors.extend((refused.status, issue) for issue in refused.issues)

    def settle(self) -> None:
        """Refuse the request if anything is wrong: with the status of all, or 400 if they differ.

        A reference that fails for several objects is told once for each, nothing twice.
        """
        if not self._errors:
            return
        statuses = {status for status, _ in self._errors}
        issues = list(dict.fromkeys(issue for _, issue in self._errors))
        raise Refused(statuses.pop() if len(statuses) == 1 else 400, issues)


@dataclass(frozen=True, slots=True)
class _Gathering:
    problems: Problems

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if isinstance(error, Refused):
            self.problems.take(error)
            return True
        return False
