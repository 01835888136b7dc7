"""Spyne, made to import on every supported Python, and heard by nobody.

Spyne 2.14 brings its own copy of ``six``, whose import hook Python 3.12 no longer knows: the real
``six`` takes its place. Spyne's loggers print whole messages, patients' names included.
"""

import importlib
import logging
import sys
import warnings
from operator import attrgetter
from types import ModuleType

import six


def _register_six() -> None:
    adapted = ModuleType("spyne.util.six")
    vars(adapted).update(
        vars(six), get_function_name=attrgetter("__name__")
    )  # Spyne's own addition
    sys.modules.setdefault("spyne.util.six", adapted)
    sys.modules.setdefault("spyne.util.six.moves", six.moves)
    for name in ("collections_abc", "http_cookies", "urllib", "urllib.parse", "urllib.request"):
        module = importlib.import_module(f"six.moves.{name}")
        sys.modules.setdefault(f"spyne.util.six.moves.{name}", module)


_register_six()
logging.getLogger("spyne").setLevel(logging.CRITICAL + 1)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Spyne's own: escapes in texts, the cgi module
    from spyne import AnyXml, Application, Service, const, rpc
    from spyne.model.fault import Fault
    from spyne.protocol.soap import Soap12
    from spyne.server.wsgi import WsgiApplication

# Spyne collects garbage once a second, with every thread waiting; Python's own collector will do
const.MIN_GC_INTERVAL = float("inf")

__all__ = ["AnyXml", "Application", "Fault", "Service", "Soap12", "WsgiApplication", "rpc"]
