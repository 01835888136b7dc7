"""Messages that come in parts: each part is taken, and the whole filed when the last one comes."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

from xds.hl7v2.continuation import PartPlace, joined
from xds.hl7v2.message import Message, Unreadable
from xds.hl7v2.problems import MessageRefused
from xds.hl7v2.spooled import LimitOf, SpooledMessage
from xds.messaging import raw_messages
from xds.messaging.filing import FilingOutcome, IncomingMessage, MessageFiler
from xds.messaging.flavours.table import FlavourTable
from xds.messaging.fragments import MOST_PARTS, MessageFragments, TooManyParts
from xds.messaging.v2.reading import envelope_of, read, require_header, unreadable
from xds.messaging.verdicts import TOO_LARGE, UNREADABLE, ContentRefused, refused

_NOT_HERE: Final = "the part of the message before it is not here: send it from its beginning"
_MOST_BYTES: Final = 1 << 31


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsOfMessages:
    """Takes parts of messages; safe to use from many threads."""

    filer: MessageFiler
    flavours: FlavourTable
    limit: LimitOf | int
    """Bytes of a whole message."""

    def take(self, part: Message, incoming: IncomingMessage, place: PartPlace) -> FilingOutcome:
        """Put a part on record, or file the whole of which it is the last part; never raises."""

        def act() -> FilingOutcome:
            try:
                return self._taken(part, incoming, place)
            except ContentRefused as refusal:
                if place.awaits:
                    self._fragments.forget(incoming, place.awaits)
                return self.filer.refuse(incoming, refusal.findings)

        outcome = self.filer.guarded(incoming, act)
        if outcome.state in ("partial", "failed"):  # others have been counted
            self.filer.count(incoming, outcome)
        return outcome

    @property
    def _fragments(self) -> MessageFragments:
        return MessageFragments(self.filer.domain.database)

    def _taken(self, part: Message, incoming: IncomingMessage, place: PartPlace) -> FilingOutcome:
        require_header(part, self.flavours)
        before: Sequence[str] = ()
        if place.follows:
            try:
                before = self._fragments.before(incoming, place.follows)
            except TooManyParts:
                limit = f"a message has {MOST_PARTS} parts at most"
                raise refused(TOO_LARGE, place.location, limit) from None
            if not before:
                raise refused(UNREADABLE, place.location, _NOT_HERE)
        if place.awaits:
            return self._fragments.keep(incoming, place.awaits, before[-1] if before else None)
        outcome = self._filed(part, incoming, before)
        if outcome.state != "failed":
            self._fragments.join(before)
        return outcome

    def _filed(
        self, last: Message, incoming: IncomingMessage, before: Sequence[str]
    ) -> FilingOutcome:
        """File the whole, under the header and the control id of its last part."""
        with ExitStack() as opened:
            parts = [opened.enter_context(self._kept(one)) for one in before]
            try:
                read_parts = [*map(Message.read, parts), last]
                source = opened.enter_context(joined(read_parts, self.limit))
                whole = Message.read(source)
            except Unreadable:  # what is kept of one of them is gone
                raise refused(UNREADABLE, "MSH^1^14", _NOT_HERE) from None
            except MessageRefused as error:
                raise unreadable(error) from None
            if source.error:
                raise source.error
            if source.exceeded:
                raise refused(TOO_LARGE, "MSH^1^14", f"together with its parts: {source.exceeded}")
            incoming = replace(
                incoming,
                digest=whole.digest,
                size=whole.size,
                raw=whole.blocks,
                envelope=envelope_of(whole),
            )
            try:
                content = read(whole, self.flavours)
            except ContentRefused as refusal:
                return self.filer.refuse(incoming, refusal.findings)
            told = f"it came in {len(read_parts)} parts"
            content = replace(content, decisions=(*content.decisions, told))
            return self.filer.file(replace(incoming, content=content))

    def _kept(self, record_id: str) -> SpooledMessage:
        """Return a part as it came; the caller closes it."""
        source = SpooledMessage(_MOST_BYTES)
        for block in raw_messages.raw(self.filer.domain.repository, record_id):
            source.write(block)
        source.finish()
        return source
