"""What tests share until the end of a run: databases, servers, and what is registered there.

A fixture that depends on `databases` is set up anew whenever a test is run on the other kind of
them. What is kept here stays, and is there again when its kind comes round.
"""

from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from tests.databases import Databases
from tests.serving import Server, serving

T = TypeVar("T")
Options = Mapping[str, str]
_NONE: Final[Options] = MappingProxyType({})


class Kept:
    """Things by keys, each made when it is first asked for, and closed when the run ends."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._things: dict[Hashable, Any] = {}

    def opened(self, key: Hashable, make: Callable[[], AbstractContextManager[T]]) -> T:
        """Return the thing of a key, which is open until the run ends."""
        if key not in self._things:
            self._things[key] = self._stack.enter_context(make())
        found: T = self._things[key]
        return found

    def made(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the thing of a key, which needs no end."""
        if key not in self._things:
            self._things[key] = make()
        found: T = self._things[key]
        return found


class SharedServers:
    """Servers by names, on databases of one kind.

    Tests keep out of each other's way by patient ids and uniqueIds of their own.
    """

    def __init__(self, kept: Kept, databases: Databases, folder: Callable[[str], Path]) -> None:
        self._kept = kept
        self._databases = databases
        self._folder = folder

    def __call__(self, name: str, options: Options | Callable[[Path], Options] = _NONE) -> Server:
        """Return the server of a name, started with options, which may be made in its folder.

        It has one worker, unless the options say otherwise.
        """

        def start() -> AbstractContextManager[Server]:
            data = self._folder(name)
            told = options(data) if callable(options) else options
            own = {"workers": "1", "database": self._databases.url(data)}
            return serving(data, {**own, **told})

        return self._kept.opened(("server", name, self._databases.kind), start)
