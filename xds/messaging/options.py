"""The options of messages: those that come in, and those that go out."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ByteSize, Field

from xds.options.values import Targets


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
        description="Days for which it is kept what was sent to destinations, and what was not; "
        "what was given up stays, and the last message of each document that was not withdrawn.",
        examples=[400],
    )


class MessagingOptions(BaseModel):
    """Messages that bring reports, documents and orders."""

    flavours: Path | None = Field(
        None,
        description="Folder of flavours (.toml): how messages of senders are read.",
        examples=["/etc/xds/flavours"],
    )
    messages: Literal["yes", "no"] | None = Field(
        None,
        description="Whether reports, documents and orders are taken as HL7 v2 messages, by MLLP "
        "and at /hl7v2; unset: yes where there is a patient feed (mllp_port) beside registry and "
        "repository.",
        examples=["yes"],
    )
    message_folder: Path | None = Field(
        None,
        description="Folder whose files are taken as HL7 v2 messages, and moved to done or refused "
        "in it, beside their acknowledgements; unset: none. It needs mllp_port.",
        examples=["/var/spool/xds/messages"],
    )
    message_response_targets: Targets | None = Field(
        None,
        description="URLs, separated by spaces, below which responses to asynchronous FHIR "
        "messages may be sent; unset: none.",
        examples=["https://engine.hospital.example/fhir"],
    )
    message_senders: Literal["any", "known"] = Field(
        "any",
        description="Whose messages are taken: any, or those of senders with a flavour.",
        examples=["known"],
    )
    max_hl7v2_bytes: ByteSize = Field(
        ByteSize(192 << 20),
        gt=0,
        description="Largest HL7 v2 message that brings reports, documents or orders, or batch.",
        examples=["64MiB"],
    )
    messages_kept_days: int = Field(
        400,
        ge=1,
        description="Days for which HL7 v2 messages that were accepted are kept as they came; what "
        "is known of them and of what they made stays.",
        examples=[90],
    )
