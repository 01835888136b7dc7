"""CASES: a row for each thing that `make bench` measures. A new measurement is a row here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench import (
    derivation,
    document_messages,
    feed,
    fhir,
    first_mapping,
    large,
    notifications,
    outbound,
    pages,
    plans,
    removals,
    updates,
)
from bench.calls import Plain, Query, Retrieve, Submit
from bench.clients import Hammer, Load, Prepare
from bench.deployment import (
    DOCUMENT_BYTES,
    ENTRIES,
    MANY_ENTRIES,
    Deployment,
)
from bench.figures import Figure, Measure
from bench.loads import loaded, rate_of, requests
from bench.yardsticks import write_and_commit
from xds.metadata import vocabulary as v

Yardstick = Callable[[Deployment, Sequence[Load]], float]

_WRITES: Final = 400


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure: its name on the command line, its lines in the table, and how."""

    name: str
    measures: tuple[Measure, ...]
    run: Callable[[Deployment], Sequence[Figure]]
    """Makes one round: a figure for each of the measures."""
    under_trust: bool = False
    """Whether it is measured with TLS, users, policy and audit as well."""


# --- yardsticks ----------------------------------------------------------------------------------


def writing(deployment: Deployment, loads: Sequence[Load]) -> float:
    """As many bytes as each request had, written and fsynced, and one SQLite row: how often."""
    size = sum(load.sent for load in loads) // requests(loads)
    return write_and_commit(deployment.folder, size, _WRITES, threads=len(loads))


def reading(deployment: Deployment, loads: Sequence[Load]) -> float:
    """As many bytes as each answer had, from a bare WSGI application: how often."""
    count = requests(loads)
    sent = sum(load.sent for load in loads) // count
    received = sum(load.received for load in loads) // count
    plain = Hammer(Plain(deployment.plain_url, sent, received), deployment.seconds / 2)
    return rate_of(deployment.clients.run(plain, len(loads)))


def storing(deployment: Deployment, loads: Sequence[Load]) -> float:
    """As `writing`; for documents in a bucket, plain puts of as large objects: how often."""
    if deployment.bucket is None:
        return writing(deployment, loads)
    return deployment.bucket.puts(DOCUMENT_BYTES, len(loads))


def fetching(deployment: Deployment, loads: Sequence[Load]) -> float:
    """As `reading`; for documents in a bucket, plain gets of as large objects: how often."""
    if deployment.bucket is None:
        return reading(deployment, loads)
    return deployment.bucket.gets(DOCUMENT_BYTES, len(loads))


# --- loads ---------------------------------------------------------------------------------------


def rate(
    prepare: Callable[[Deployment], Prepare], yardstick: Yardstick, deployment: Deployment
) -> Sequence[Figure]:
    """Measure how many requests all clients together get answered in a second."""
    loads, effort = loaded(deployment, prepare(deployment), count=len(deployment.clients))
    return [Figure(rate_of(loads), yardstick(deployment, loads), effort)]


def duration(
    prepare: Callable[[Deployment], Prepare], yardstick: Yardstick, deployment: Deployment
) -> Sequence[Figure]:
    """Measure how long one client waits for an answer."""
    loads, effort = loaded(deployment, prepare(deployment), count=1)
    return [Figure(effort.p50, 1 / yardstick(deployment, loads), effort)]


def first_asked(deployment: Deployment) -> Sequence[Figure]:
    """Measure how often searches are answered for patients who were not asked about before."""
    loads, effort = first_mapping.asked(deployment)
    return [Figure(rate_of(loads), reading(deployment, loads), effort)]


# --- the cases -----------------------------------------------------------------------------------


def _submit(deployment: Deployment, *, with_document: bool) -> Prepare:
    return Submit(deployment.url, DOCUMENT_BYTES, with_document, trust=deployment.trust)


def _retrieve(deployment: Deployment) -> Prepare:
    return Retrieve(deployment.url, deployment.unique_ids, DOCUMENT_BYTES, deployment.trust)


def _query(deployment: Deployment, *, return_type: str) -> Prepare:
    patients = dict.fromkeys(deployment.patient_ids, ENTRIES)
    return Query(deployment.url, patients, return_type, deployment.trust)


def _query_many(deployment: Deployment) -> Prepare:
    return Query(deployment.url, {deployment.large_patient_id: MANY_ENTRIES}, v.LEAF_CLASS)


def _at_rate(title: str, goal: float) -> tuple[Measure, ...]:
    return (Measure(title=title, unit="/s", goal=goal),)


def _page(of: str, milliseconds: float) -> tuple[Measure, Measure]:
    """Return the measures of a page: its processor time, and the memory that it takes."""
    return (
        Measure(title=f"page of {of}", unit="ms", goal=milliseconds, at_most=True),
        Measure(title="  memory", unit="MB", goal=100, at_most=True),
    )


def _no_more_than(title: str) -> Measure:
    """Return the measure of milliseconds that are to be no more than the yardstick's."""
    return Measure(title=title, unit="ms", goal=1.0, at_most=True, of_yardstick=True)


def _within(title: str, goal: float) -> Measure:
    return Measure(title=title, unit="s", goal=goal, at_most=True)


def _share(title: str) -> Measure:
    return Measure(title=title, unit="/s", goal=0.9, of_yardstick=True)


_EFFORT: Final = Measure(
    title="  processor time of each",
    unit="ms",
    goal=1 / 0.9,
    at_most=True,
    of_yardstick=True,
)
"""What a share of a rate comes to where others use the processors as well."""

UNDER_TRUST: Final = Measure(
    title="  the same, trusting nobody", unit="/s", goal=0.7, of_yardstick=True
)
"""Beside the yardstick of the same thing without TLS, users, policy and audit."""

CASES: Final = (
    Case(
        "iti41",
        _at_rate("ITI-41, 10 KB", 250),
        partial(rate, partial(_submit, with_document=True), storing),
        under_trust=True,
    ),
    Case(
        "iti42",
        _at_rate("ITI-42", 400),
        partial(rate, partial(_submit, with_document=False), writing),
        under_trust=True,
    ),
    Case(
        "iti43",
        _at_rate("ITI-43, 10 KB", 1_500),
        partial(rate, _retrieve, fetching),
        under_trust=True,
    ),
    Case(
        "iti18-objectref",
        _at_rate("ITI-18 ObjectRef, 50 entries", 1_000),
        partial(rate, partial(_query, return_type=v.OBJECT_REF), reading),
        under_trust=True,
    ),
    Case(
        "iti18-leafclass",
        _at_rate("ITI-18 LeafClass, 50 entries", 150),
        partial(rate, partial(_query, return_type=v.LEAF_CLASS), reading),
        under_trust=True,
    ),
    Case(
        "iti18-many",
        (Measure(title="ITI-18 LeafClass, 1,000 entries", unit="s", goal=0.5, at_most=True),),
        partial(duration, _query_many, reading),
    ),
    Case(
        "plans",
        (Measure(title="stored queries that scan a table", unit="", goal=0, at_most=True),),
        plans.plans,
    ),
    Case("feed", _at_rate("ITI-8 on one connection", 500), feed.feed),
    Case(
        "oru",
        _at_rate("ORU with a PDF of 440 KB on one connection", 40),
        document_messages.one_connection,
    ),
    Case(
        "oru-many",
        _at_rate("  the same on 20 connections", 40),
        document_messages.many_connections,
    ),
    Case("oml", _at_rate("OML without a document", 200), document_messages.without_document),
    Case(
        "oru-memory",
        (Measure(title="memory of an ORU with 100 MB", unit="MiB", goal=64, at_most=True),),
        document_messages.memory,
    ),
    Case(
        "outbound",
        (
            *_at_rate("MDM to a fast receiver, 10 KB", 200),
            Measure(title="  processor time of each", unit="ms", goal=5, at_most=True),
        ),
        outbound.outbound,
    ),
    Case(
        "subscriptions",
        (_share("ITI-42, 10,000 subscriptions"), _EFFORT),
        notifications.with_many,
    ),
    Case(
        "told",
        (Measure(title="told after ITI-42, p95", unit="s", goal=0.2, at_most=True),),
        notifications.soon,
    ),
    Case(
        "drained",
        (
            *_at_rate("told after an outage", 1_000),
            Measure(title="  processor time of each", unit="ms", goal=1, at_most=True),
        ),
        notifications.drained,
    ),
    Case(
        "backlog",
        (_share("ITI-42, a million wait"), _EFFORT),
        notifications.with_backlog,
    ),
    Case(
        "gigabyte",
        (
            Measure(title="1 GB in by ITI-41", unit="MB/s", goal=0.5, of_yardstick=True),
            Measure(title="1 GB out by ITI-43", unit="MB/s", goal=0.5, of_yardstick=True),
            Measure(title="memory a process grew by", unit="MB", goal=64, at_most=True),
        ),
        large.gigabyte,
    ),
    Case(
        "iti67",
        _at_rate("ITI-67, 50 entries", 150),
        partial(rate, fhir.search, reading),
        under_trust=True,
    ),
    Case("iti67-first", _at_rate("ITI-67, 50 entries, first asked", 100), first_asked),
    Case(
        "first-mapping",
        (
            Measure(
                title="first mapping, beside LeafClass",
                unit="us",
                goal=3,
                at_most=True,
                of_yardstick=True,
            ),
        ),
        first_mapping.in_process,
    ),
    Case(
        "iti68",
        (Measure(title="ITI-68, 10 KB", unit="/s", goal=0.8, of_yardstick=True),),
        fhir.retrieval,
    ),
    Case("pages", _page("a CDA of 200 KB", 50), partial(pages.pages, 200_000)),
    Case("large-pages", _page("a CDA of 3 MB", 300), partial(pages.pages, 3_000_000)),
    Case(
        "markup-pages",
        _page("200 KB of markup", 50),
        partial(pages.pages, 200_000, make=pages.markup),
    ),
    Case(
        "large-markup-pages",
        _page("3 MB of markup", 300),
        partial(pages.pages, 3_000_000, make=pages.markup),
    ),
    Case(
        "iti105",
        _at_rate("ITI-105, 10 KB", 150),
        partial(rate, fhir.publish, storing),
        under_trust=True,
    ),
    Case(
        "derivation",
        (
            Measure(title="reading adds to an ITI-105 of 10 KB", unit="ms", goal=5, at_most=True),
            Measure(title="  deriving all of it (ITI-106)", unit="ms", goal=5, at_most=True),
        ),
        derivation.derivation,
    ),
    Case(
        "fhir-gigabyte",
        (
            Measure(title="1 GB out by ITI-68", unit="MB/s", goal=0.5, of_yardstick=True),
            Measure(title="memory a process grew by", unit="MB", goal=64, at_most=True),
        ),
        fhir.gigabyte,
    ),
    Case(
        "update",
        (
            _no_more_than("processor time of an ITI-57, beside ITI-42"),
            _no_more_than("  of a PUT, beside ITI-65"),
        ),
        updates.updates,
    ),
    Case(
        "removal",
        (
            _within("ITI-62, 10,000 entries", 5),
            _within("  an ITI-42 waits meanwhile", 0.25),
            _within("ITI-86, their documents", 5),
            _within("  an ITI-42 waits meanwhile", 0.25),
        ),
        removals.large,
    ),
)
