"""How what was found of a message is told: the judgement, and the form of acknowledgements."""

from collections.abc import Sequence

from xds.hl7v2.acknowledgement import ACCEPTED, AcknowledgementHabits, Judgement
from xds.hl7v2.problems import Problem
from xds.messaging.flavours.flavour import Flavour
from xds.messaging.verdicts import AcknowledgementReading, MessageFinding, MessageVerdict


def habits_of(flavour: Flavour) -> AcknowledgementHabits:
    """Return what a flavour says of acknowledgements."""
    return AcknowledgementHabits(
        mode=flavour.acknowledge,
        error_segment=flavour.error_segment,
        warnings=flavour.warnings,
        parts_application=bool(flavour.acknowledge_to),
    )


def judgement_of(findings: Sequence[MessageFinding], reading: AcknowledgementReading) -> Judgement:
    """Return how findings are told: by the one that is final, where there is one."""
    verdicts = [one.verdict for one in findings if not one.is_warning]
    problems = [_problem(one) for one in findings]
    if not verdicts:
        return Judgement(original=ACCEPTED, commit="CA", problems=problems)
    decisive = min(verdicts, key=_weight)
    return Judgement(
        original=decisive.code(reading),
        commit=decisive.commit,
        problems=problems,
        is_transient=decisive.is_transient,
    )


def _weight(verdict: MessageVerdict) -> tuple[bool, bool]:
    """Return what puts verdicts in order: those on headers, those on content, passing ones."""
    return verdict.is_transient, verdict.commit != "CR"


def _problem(finding: MessageFinding) -> Problem:
    return Problem(
        finding.verdict.error_code,
        finding.location or "MSH^1",
        finding.reason,
        "W" if finding.is_warning else "E",
        finding.verdict.name,
    )
