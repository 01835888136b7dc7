"""The options of the server: where it listens, and its processes."""

import os
import sys
from typing import Final

from pydantic import BaseModel, Field

from xds.options.values import (
    PublicUrl,
)

_WORKERS_A_CORE: Final = 2
"""A connection stays with the worker that took it: with few, some cores would have no work."""
_MOST_WORKERS: Final = 8


def _workers() -> int:
    """Return how many workers keep the cores busy that this process may use."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(cores * _WORKERS_A_CORE, _MOST_WORKERS)


class ServerOptions(BaseModel):
    """Where the server listens, and the processes that answer."""

    host: str = Field(
        "127.0.0.1", min_length=1, description="Address to listen at.", examples=["0.0.0.0"]
    )
    port: int = Field(
        8080, ge=0, le=65535, description="Port to listen at; 0: any free one.", examples=[8443]
    )
    public_url: PublicUrl | None = Field(
        None,
        description="URL at which clients reach this server, for links of FHIR and addresses of "
        "subscriptions; unset: as their requests say.",
        examples=["https://xds.hospital.example"],
    )
    workers: int = Field(
        default_factory=_workers,
        ge=1,
        description="Processes that serve; unset: two a core.",
        examples=[4],
    )
    threads: int = Field(
        4, ge=1, description="Requests that one worker handles at once.", examples=[8]
    )
    grace_seconds: int = Field(
        30,
        ge=1,
        description="Time for what is under way to end when the server is stopped.",
        examples=[60],
    )
