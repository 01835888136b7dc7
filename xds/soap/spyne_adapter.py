"""Spyne: the definition of a SOAP service, and the dispatch of a request to its method.

Spyne's call cycle is left out: a context with its copies, some thirty events and a WSGI side of its
own cost 100 to 150 microseconds a call, and what they are for (reading, writing, faults) is done
by :mod:`xds.soap.protocol`. This is the one module that knows Spyne.

Spyne 2.14 brings its own copy of ``six``, whose import hook Python 3.12 no longer knows: the real
``six`` takes its place. Spyne's loggers print whole messages, patients' names included.
"""

import importlib
import logging
import sys
import warnings
from collections.abc import Callable, Mapping
from operator import attrgetter
from types import ModuleType
from typing import Any

import six

from xds.metadata import vocabulary as v
from xds.transactions.messages import Request, Response


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
    from spyne import AnyXml, Application, Service, rpc
    from spyne.protocol.soap import Soap12
    from spyne.server import ServerBase

Answer = Callable[[Request], Response]


class SpyneService(ServerBase):
    """A Spyne application of one actor, whose methods take requests and return responses."""

    transport = "http://schemas.xmlsoap.org/soap/http"

    def __init__(self, actor: str, answers: Mapping[str, Answer]) -> None:
        """Define the service by its methods: what answers, by the name of the operation."""
        methods = {name: _method(name, answer) for name, answer in answers.items()}
        service = type(Service)(actor, (Service,), methods)
        application = Application(
            [service], tns=v.NS_XDS, name=actor, in_protocol=Soap12(), out_protocol=Soap12()
        )
        super().__init__(application)
        self._methods = {
            descriptor.name: descriptor.function
            for descriptor, *_ in self.app.interface.service_method_map.values()
        }

    def call(self, operation: str, request: Request) -> Response:
        """Dispatch a request to the method of an operation; raises what the method raises."""
        response: Response = self._methods[operation](None, request)
        return response


def _method(name: str, answer: Answer) -> Any:
    def method(ctx: Any, request: Request) -> Response:
        return answer(request)

    method.__name__ = name
    return rpc(AnyXml, _returns=AnyXml, _body_style="bare")(method)
