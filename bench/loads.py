"""Putting a load on a server, and what it took."""

from collections.abc import Sequence
from statistics import median, quantiles
from typing import Final

from bench import machine
from bench.clients import Hammer, Load, Prepare
from bench.deployment import Deployment
from bench.figures import Effort

_WARM_UP_SECONDS: Final = 0.3


def loaded(
    deployment: Deployment, prepare: Prepare, *, count: int
) -> tuple[Sequence[Load], Effort]:
    """Have so many clients make calls for a while; return what they did, and what it took."""
    deployment.clients.run(Hammer(prepare, _WARM_UP_SECONDS), count)
    return worked(deployment, Hammer(prepare, deployment.seconds), count=count)


def worked(deployment: Deployment, work: Hammer, *, count: int) -> tuple[Sequence[Load], Effort]:
    """Have so many clients do some work; return what they did, and what it took."""
    before = machine.cpu_seconds(deployment.processes)
    loads = deployment.clients.run(work, count)
    used = machine.cpu_seconds(deployment.processes) - before
    return loads, _effort(loads, used)


def _effort(loads: Sequence[Load], server_seconds: float) -> Effort:
    latencies = [latency for load in loads for latency in load.latencies]
    return Effort(
        p50=median(latencies),
        p95=quantiles(latencies, n=20)[-1] if len(latencies) > 1 else latencies[0],
        server=server_seconds / len(latencies),
        client=sum(load.cpu_seconds for load in loads) / len(latencies),
    )


def rate_of(loads: Sequence[Load]) -> float:
    """Return how many calls there were in a second, of all clients together."""
    return sum(len(load.latencies) / load.seconds for load in loads)


def requests(loads: Sequence[Load]) -> int:
    """Return how many calls there were."""
    return sum(len(load.latencies) for load in loads)
