"""TOPICS: what can be subscribed to, and what each notification of it is called and holds.

(ITI TF-2 3.52.4.1.2.1, 3.53.4.1; DSUB Extensions Rev 2.1, Extended and Update Events.)
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from xds.dsub.faults import InvalidTopicExpressionFault, TopicNotSupportedFault
from xds.metadata import vocabulary as v
from xds.metadata.objects import DocumentEntry, Folder, MetadataObject, SubmissionSet
from xds.notification.model import SubscribedTopic
from xds.registry import events

SIMPLE: Final = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Simple"
"""The one dialect of topics that IHE has."""

_PREFIX: Final = "ihe"
_NAMESPACES: Final = frozenset({v.NS_DSUB, "urn:ihe:iti:pub-sub:2008"})
_NAME: Final = re.compile(r"(?:([^\W\d][\w.-]*):)?([^\W\d][\w.-]*)")


_PUBLISHED: Final = events.PUBLISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class DsubTopic:
    """One row of TOPICS."""

    name: str
    """Without the prefix ``ihe:``."""
    kind: type[MetadataObject]
    suffixes: Mapping[str, str]
    """What the topic of a notification ends with, by the kind of event; what is not there is not
    told of."""
    is_minimal: bool = False
    """Whether references are told, not metadata."""

    @property
    def text(self) -> str:
        """The topic as messages have it."""
        return f"{_PREFIX}:{self.name}"

    def subscribed(self) -> SubscribedTopic:
        """Return the topic as the engine of notifications matches it.

        DocumentEntries of one submission are one notification. There is but one SubmissionSet or
        Folder in each (ITI TF-2 3.53.4.1.2).
        """
        return SubscribedTopic(
            self.text,
            self.kind,
            frozenset((*self.suffixes, *(_PUBLISHED[one] for one in self._published()))),
            is_grouped=self.kind is DocumentEntry,
        )

    def _published(self) -> set[str]:
        return _PUBLISHED.keys() & self.suffixes.keys()

    def of(self, change: str) -> str:
        """Return the topic of a notification of a kind of event, here or published by others."""
        return self.text + self.suffixes[events.happened(change)]


_CREATED: Final = {events.REGISTERED: ""}
_UPDATED: Final = {
    events.UPDATED: "/UpdateMetadata",
    events.APPROVED: "/UpdateMetadata",
    events.DEPRECATED: "/Deprecate",
}
_REMOVED: Final = {events.REMOVED: "/Delete"}
_CONTENT: Final = {
    events.CONTENT_UPDATED: "/UpdateContent",
    events.CONTENT_REMOVED: "/RemoveDocument",
}

_ROWS: Final = (
    DsubTopic(name="FullDocumentEntry", kind=DocumentEntry, suffixes=_CREATED),
    DsubTopic(name="MinimalDocumentEntry", kind=DocumentEntry, suffixes=_CREATED, is_minimal=True),
    DsubTopic(name="SubmissionSetMetadata", kind=SubmissionSet, suffixes=_CREATED),
    # told also of a DocumentEntry that is added or replaced, without a suffix
    DsubTopic(
        name="FolderMetadata", kind=Folder, suffixes={**_CREATED, events.CONTENT_UPDATED: ""}
    ),
    DsubTopic(
        name="ExtendedFullDocumentEntry",
        kind=DocumentEntry,
        suffixes={**_CREATED, **_UPDATED, **_REMOVED},
    ),
    DsubTopic(
        name="ExtendedMinimalDocumentEntry",
        kind=DocumentEntry,
        suffixes={**_CREATED, **_UPDATED, **_REMOVED},
        is_minimal=True,
    ),
    DsubTopic(name="UpdateFolder", kind=Folder, suffixes={**_CREATED, **_CONTENT, **_UPDATED}),
    DsubTopic(
        name="ExtendedFolder",
        kind=Folder,
        suffixes={**_CREATED, **_CONTENT, **_UPDATED, **_REMOVED},
    ),
)

TOPICS: Final[Mapping[str, DsubTopic]] = {row.text: row for row in _ROWS}
"""By their texts."""

_OTHER_NAMES: Final[Mapping[str, str]] = {
    "ExtendedMinimalDocumentExtry": "ExtendedMinimalDocumentEntry",
    "ExtendedFolderMetadata": "ExtendedFolder",
    "ExtendedEventsFullDocumentEntry": "ExtendedFullDocumentEntry",
}
"""What the supplement calls some of them elsewhere."""


def topic_of(text: str, namespaces: Mapping[str | None, str]) -> DsubTopic:
    """Return the topic of a simple expression; InvalidTopicExpression-, TopicNotSupportedFault.

    ``namespaces`` are those of its element by prefix. The prefix ``ihe`` counts as a text, since
    texts and examples bind it to different namespaces or to none; another one counts where it is
    bound to one of them.
    """
    found = _NAME.fullmatch(text.strip())
    if found is None:
        raise InvalidTopicExpressionFault(
            "The topic is not a name, as the dialect Simple wants: a prefix, a colon and a name."
        )
    prefix, name = found.groups()
    is_of_ihe = prefix == _PREFIX or namespaces.get(prefix) in _NAMESPACES
    topic = TOPICS.get(f"{_PREFIX}:{_OTHER_NAMES.get(name, name)}") if is_of_ihe else None
    if topic is None:
        raise TopicNotSupportedFault(f"The topic is none of {', '.join(TOPICS)}.")
    return topic


_CHANGES: Final[Mapping[str, str]] = {
    suffix: kind for kind, suffix in {**_CREATED, **_CONTENT, **_UPDATED, **_REMOVED}.items()
} | {"/UpdateMetadata": events.UPDATED}


def change_of(text: str | None) -> str | None:
    """Return the kind of event that the topic of a publication tells of; None for what is none.

    A publication without a topic tells of what is new (ITI TF-2 3.54.4.1.2).
    """
    _, slash, suffix = (text or "").strip().partition("/")
    return _CHANGES.get(slash + suffix)
