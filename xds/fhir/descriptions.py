"""What the application answers of itself: CapabilityStatement, OpenAPI, SMART configuration."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

import falcon
import orjson

from xds.config import Config
from xds.fhir import capability, openapi, smart
from xds.fhir.http import requests
from xds.fhir.interactions import Interaction
from xds.fhir.r4 import rendering
from xds.fhir.r4.outcome import Refused
from xds.security.requirements import UserRequirements

_BASES: Final = 16
"""How many addresses of the server its descriptions are kept for."""


class _KeptDescription:
    """A description of the interactions, kept as it is sent for each address of the server."""

    _render: Callable[..., bytes]
    """Writes it for an address."""

    def __init__(
        self, config: Config, rows: Sequence[Interaction], requirements: UserRequirements
    ) -> None:
        self._config = config
        self._rows = rows
        self._requirements = requirements
        self._rendered = lru_cache(_BASES)(self._render)


class Statement(_KeptDescription):
    """``GET /fhir/metadata``: the CapabilityStatement, kept as it is sent."""

    def __call__(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer with the statement."""
        form, pretty = requests.wanted(request.env, requests.of_query(request.env))
        response.data = self._rendered(requests.base(request, self._config), form, pretty)
        response.content_type = rendering.content_type(form)
        response.set_header("Vary", "Accept")

    def _render(self, base: str, form: str, pretty: bool) -> bytes:
        stated = capability.statement(base, self._config, self._rows, self._requirements)
        return rendering.render(stated, form, pretty=pretty)


class OpenApiDocument(_KeptDescription):
    """``GET /fhir/openapi.json``: the OpenAPI description, kept as it is sent."""

    def __call__(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer with the description."""
        response.data = self._rendered(requests.base(request, self._config))
        response.content_type = "application/json"

    def _render(self, base: str) -> bytes:
        return orjson.dumps(
            openapi.description(base, self._rows, self._requirements), option=orjson.OPT_INDENT_2
        )


class SmartConfiguration:
    """``GET /fhir/.well-known/smart-configuration``, which is JSON whatever a client takes."""

    def __init__(
        self, config: Config, rows: Sequence[Interaction], requirements: UserRequirements
    ) -> None:
        issuer = smart.authorization_server(config, requirements)
        self._content: bytes | None = None
        if issuer is not None:
            self._content = orjson.dumps(smart.configuration(issuer, config, rows))

    def __call__(self, request: falcon.Request, response: falcon.Response) -> None:
        """Answer with the document; Refused where no authorization server is known."""
        if self._content is None:
            raise Refused.because(
                404,
                "not-found",
                "no tokens are taken here, or no issuer of user_issuers has a token_endpoint",
            )
        response.data = self._content
        response.content_type = "application/json"
