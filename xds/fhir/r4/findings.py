"""Problems of a resource as they are found: told with their places, and not without end."""

from dataclasses import dataclass, field
from typing import Final

from xds.fhir.r4.elements import Place, expression
from xds.fhir.r4.outcome import Issue

MOST: Final = 100
"""Errors that are told of one resource, and warnings."""


@dataclass(slots=True)
class Findings:
    """What is wrong with one resource."""

    issues: list[Issue] = field(default_factory=list)
    _room: dict[str, int] = field(default_factory=lambda: {"error": MOST, "warning": MOST})

    def tell(self, code: str, place: Place, told: str, *, severity: str = "error") -> None:
        """Add a problem: a code of IssueType, where it is, and the rest of the sentence."""
        if self._room[severity] == 0:
            return
        self._room[severity] -= 1
        where = expression(place)
        self.issues.append(
            Issue(
                code=code,
                diagnostics=f"{where} {told}.",
                expression=(where,),
                severity=severity,
            )
        )

    @property
    def refused(self) -> bool:
        """Whether something was found for which the resource cannot be taken."""
        return self._room["error"] < MOST
