"""The options of websockets."""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, Field

from xds.options.values import Origins

_SCHEMES: Final = ("ws://", "wss://")


def _check_url(url: str) -> str:
    if not url.startswith(_SCHEMES) or not url.partition("://")[2].partition("/")[0]:
        raise ValueError("not a URL of the form wss://host/path")
    return url


WebsocketUrl = Annotated[str, AfterValidator(_check_url)]


class WebsocketOptions(BaseModel):
    """Subscriptions of FHIR whose clients are told by a websocket; TLS is as for HTTP."""

    websocket_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port of websockets of FHIR subscriptions; unset: there are none.",
        examples=[8444],
    )
    websocket_host: str | None = Field(
        None,
        min_length=1,
        description="Address of websockets; unset: as host.",
        examples=["192.0.2.7"],
    )
    websocket_url: WebsocketUrl | None = Field(
        None,
        description="URL at which clients reach them, also those of another server on the same "
        "database; unset: the host of the FHIR base with websocket_port.",
        examples=["wss://xds.hospital.example/websocket"],
    )
    websocket_origins: Origins | None = Field(
        None,
        description="Origins, separated by spaces, whose pages may connect, or *; unset: none may, "
        "only what is no browser.",
        examples=["https://portal.hospital.example"],
    )
    websocket_token_seconds: int = Field(
        300, ge=1, le=3600, description="How long a binding token can be used.", examples=[60]
    )
    websocket_connections: int = Field(
        1_000, ge=1, description="Websockets at once; more are closed.", examples=[5_000]
    )
    websocket_client_connections: int | None = Field(
        None, ge=1, description="Websockets from one address; unset: half.", examples=[20]
    )

    @property
    def has_websockets(self) -> bool:
        """Whether there are websockets, of this server or of one that shares its database."""
        return self.websocket_port is not None or self.websocket_url is not None
