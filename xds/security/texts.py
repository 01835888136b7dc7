"""Texts that come with a request and are kept: the names of users and nodes."""

import re
from collections.abc import Iterable
from typing import Final

_LONGEST: Final = 1_024
"""Characters of one text."""
_NO_TEXT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What not every database, XML (XML 1.0 2.2) and line of a log can hold."""


class UnacceptableText(ValueError):
    """A text has control characters or half of a surrogate pair, or is too long.

    The message quotes nothing of it.
    """


def require_text(texts: Iterable[str]) -> None:
    """Raise UnacceptableText where one of them cannot be kept and shown everywhere."""
    for text in texts:
        if len(text) > _LONGEST:
            raise UnacceptableText(f"a text has more than {_LONGEST} characters")
        if _NO_TEXT.search(text):
            raise UnacceptableText("a text has a control character or half of a surrogate pair")
