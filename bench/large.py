"""One document of 1 GB on its way in and out: how fast, and what memory the server takes for it."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import machine, messages, samples
from bench.deployment import Deployment
from bench.figures import Figure
from bench.wire import Wire
from xds.metadata import vocabulary as v

SIZE: Final = 1 << 30
_MEGABYTE: Final = 1_000_000
_BLOCK: Final = 1 << 20
