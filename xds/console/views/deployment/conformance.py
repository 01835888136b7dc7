"""Conformance: what is answered here, by the tables that it is answered from."""

from collections.abc import Iterator
from dataclasses import dataclass

from xds.console.visits import Answer, PageContent, Visit
from xds.fhir.interactions import answered
from xds.metadata.catalogue import CATALOGUE, TransactionRow
from xds.metadata.rules.submission_rules import SUBMISSION_RULES, Rule
from xds.registry.queries.stored_queries import STORED_QUERIES


@dataclass(frozen=True, slots=True)
class AnsweredMessage:
    """One message of a transaction."""

    transaction: str
    title: str
    message: str
    actor: str
    is_here: bool
    """Whether the options have it answered."""


def show(visit: Visit) -> Answer:
    """Show what is answered, and which rules submissions are held to."""
    config = visit.console.config
    rules: dict[str, list[Rule]] = {}
    for rule in SUBMISSION_RULES:
        rules.setdefault(rule.name, []).append(rule)
    return PageContent(
        {
            "messages": [one for row in CATALOGUE for one in _messages(visit, row)],
            "queries": [
                (one.name, one.transaction, one.query_id, one.section)
                for one in STORED_QUERIES.values()
            ],
            "interactions": [
                (f"{one.method} /fhir{one.path}", one.summary, one.name)
                for one in answered(visit.console.interactions, config)
            ],
            "rules": [_rule(name, each) for name, each in rules.items()],
        }
    )


def _messages(visit: Visit, row: TransactionRow) -> Iterator[AnsweredMessage]:
    is_here = row.name not in visit.domain.excluded_transactions
    for one in row.soap:
        title = f"{row.title}: {one.title}" if one.title else row.title
        element = one.element.rpartition("}")[2]
        yield AnsweredMessage(row.name, title, element, row.actor, is_here)
    for event in row.hl7v2:
        name = f"{event.code}^{event.trigger}"
        yield AnsweredMessage(row.name, event.title, name, row.actor, is_here)
    if row.fhir is not None:
        yield AnsweredMessage(row.name, row.title, f"/fhir{row.fhir}", row.actor, is_here)


def _rule(name: str, each: list[Rule]) -> tuple[str, str, str, str, str]:
    said = (each[0].check.__doc__ or "").partition("\n")[0].partition(" (ITI")[0].rstrip(".")
    codes = ", ".join(rule.error.code for rule in each)
    transactions = ", ".join(sorted({one for rule in each for one in rule.transactions}))
    sections = ", ".join(dict.fromkeys(rule.section for rule in each))
    return name, said, codes, transactions, sections
