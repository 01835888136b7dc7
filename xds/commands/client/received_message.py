"""An HL7 v2 message for people: each field by its name, a document by its type and size."""

from collections.abc import Iterator

from xds.commands.terminal import human_size
from xds.hl7v2.described import DescribedField, described_segments
from xds.hl7v2.message import Message


def described_message(message: Message) -> Iterator[str]:
    """Yield lines that say what a message holds; fields that are empty are left out."""
    yield f"HL7 v2 {message.version} {message.header.raw(9)}, {human_size(message.size)}"
    for segment in described_segments(message):
        yield segment.name if segment.sequence == 1 else f"{segment.name} ({segment.sequence})"
        for one in segment.fields:
            name = f" {one.name}" if one.name else ""
            yield f"  {segment.name}-{one.number}{name}: {_text(one)}"


def _text(one: DescribedField) -> str:
    return one.text if one.size is None else f"{one.text}, {human_size(one.size)}"
