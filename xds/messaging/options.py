"""The options of messages: those that come in, and those that go out."""

from pathlib import Path

from pydantic import BaseModel, Field


class OutboundOptions(BaseModel):
    """Where documents go as messages."""

    destinations: Path | None = Field(
        None,
        description="File (TOML) of the destinations to which documents are sent as messages, "
        "with the rules that choose them; unset: none.",
        examples=["destinations.toml"],
    )
    outbound_kept_days: int = Field(
        90,
        ge=1,
        description="Days for which it is kept what was sent to destinations, and what was not.",
        examples=[400],
    )


class MessagingOptions(BaseModel):
    """Messages that bring reports, documents and orders."""

    flavours: Path | None = Field(
        None,
        description="Folder of flavours (.toml): how messages of senders are read.",
        examples=["/etc/xds/flavours"],
    )
