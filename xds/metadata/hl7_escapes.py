"""The escape sequences of HL7 v2 in values of metadata (HL7 v2.5 2.7)."""

import re
from types import MappingProxyType
from typing import Final

_SEPARATORS: Final = MappingProxyType({"F": "|", "S": "^", "R": "~", "T": "&", "E": "\\"})
ESCAPES: Final = str.maketrans({text: f"\\{name}\\" for name, text in _SEPARATORS.items()})
"""What ``str.translate`` escapes by, for those who have many texts to escape."""
_ESCAPE_SEQUENCE: Final = re.compile(r"\\([FSRTE])\\")


def escape(text: str) -> str:
    r"""Replace the separators ``| ^ ~ & \`` of HL7 by their escape sequences."""
    return text.translate(ESCAPES)


def unescape(text: str) -> str:
    r"""Replace the escape sequences ``\F\ \S\ \R\ \T\ \E\`` by what they stand for.

    Any other backslash, and a separator that should have been escaped, stays as it is: the
    harm of guessing wrong is an odd name, that of refusing a missing document.
    """
    if "\\" not in text:
        return text
    return _ESCAPE_SEQUENCE.sub(lambda match: _SEPARATORS[match[1]], text)
