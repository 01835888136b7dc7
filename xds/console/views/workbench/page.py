"""The page of the workbench: a query is chosen, asked, and shown with how it was answered."""

import time
from collections.abc import Sequence
from typing import Final

from xds.accounts.roles import ConsoleRole
from xds.console.views.workbench import fhir_searches, stored_queries
from xds.console.views.workbench.asked import (
    FIELDS,
    USUAL_RESULTS,
    AnsweredError,
    AskedParameter,
    AskingCommand,
    WorkbenchAnswer,
)
from xds.console.visits import Answer, PageContent, PageNotFound, Visit
from xds.database.plans import StatementPlan, noting, plans
from xds.fhir.interactions import Interaction
from xds.registry.queries.steps import StoredQuery

READERS: Final = frozenset({ConsoleRole.INTEGRATION})
ASKED: Final = ("query", "return", "more", "size", "start", *FIELDS)


def show(visit: Visit) -> Answer:
    """Show what can be asked, and the form of what is chosen."""
    return _content(visit, _chosen(visit))


def ask(visit: Visit) -> Answer:
    """Ask what the form has, and show the answer as a client gets it."""
    chosen = _chosen(visit)
    if chosen is None:
        return _content(visit, None)
    began = time.perf_counter()
    with noting() as noted:
        answer, commands = _answer(visit, chosen)
    milliseconds = (time.perf_counter() - began) * 1000
    found = plans(visit.domain.database, noted)
    return _content(visit, chosen, answer, commands, milliseconds, found, len(noted))


def _chosen(visit: Visit) -> StoredQuery | Interaction | None:
    if visit.domain.registry_here is None:
        raise PageNotFound
    name = visit.given["query"]
    return stored_queries.QUERIES.get(name) or fhir_searches.searches(visit).get(name)


def _answer(
    visit: Visit, chosen: StoredQuery | Interaction
) -> tuple[WorkbenchAnswer, Sequence[AskingCommand]]:
    """Ask, and return the answer and how programs ask the same."""
    if isinstance(chosen, Interaction):
        return fhir_searches.ask(visit, chosen), fhir_searches.commands(visit, chosen)
    try:
        text = stored_queries.message(visit, chosen)
    except ValueError:
        told = "a value has characters that no XML can carry: it was not asked"
        error = AnsweredError("", told, "Error")
        return WorkbenchAnswer(
            status="not asked", is_success=False, errors=[error], objects=(), total="", raw=""
        ), ()
    answer = stored_queries.ask(visit, chosen, text)
    return answer, stored_queries.commands(visit, chosen, text)


def _content(
    visit: Visit,
    chosen: StoredQuery | Interaction | None,
    answer: WorkbenchAnswer | None = None,
    commands: Sequence[AskingCommand] = (),
    milliseconds: float = 0,
    found: Sequence[StatementPlan] = (),
    statements: int = 0,
) -> Answer:
    given = visit.given
    asked: Sequence[AskedParameter] = ()
    about = ""
    if isinstance(chosen, Interaction):
        asked = fhir_searches.parameters(chosen, given)
        about = f"{chosen.name}: {chosen.summary}"
    elif chosen is not None:
        asked = stored_queries.parameters(chosen, given)
        about = f"{chosen.transaction}, {chosen.section}"
    return PageContent(
        {
            "stored_queries": [*stored_queries.QUERIES],
            "searches_of_fhir": sorted(fhir_searches.searches(visit)),
            "chosen": given["query"] if chosen else "",
            "is_search": isinstance(chosen, Interaction),
            "about": about,
            "asked": asked,
            "return_types": stored_queries.RETURN_TYPES,
            "return_type": given.get("return", ""),
            "more": given.get("more", ""),
            "size": given.get("size") or str(USUAL_RESULTS),
            "answer": answer,
            "milliseconds": f"{milliseconds:.1f}",
            "statements": statements,
            "plans": found,
            "commands": commands,
        },
        title=f"{given['query']}: query workbench" if chosen else "",
    )
