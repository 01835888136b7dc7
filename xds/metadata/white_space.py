"""White space round a value is no part of it: the one rule for every binding.

Senders break lines round the text of an element to indent their XML, and systems with columns of
fixed width pad identifiers with blanks. Nobody means or sees them, so a value is kept without, and
looked for without. White space is all that Unicode calls so, hence a no-break space too: it comes
of tables that were copied, and looks the same. Inside of a value it stays as it is.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final

_BEFORE_AUTHORITY: Final = re.compile(r"\s+(?=\^\^\^&)")


trimmed: Final[Callable[[str], str]] = str.strip
"""Returns a text without the white space round it."""


def trimmed_value(text: str) -> str:
    """Return a value without the white space round it, and round the id where it is a CX.

    Of ``ID^^^&OID&ISO`` (ITI TF-3 4.2.3.1.7) the id is a value of its own, which a feed or a query
    may bring without the rest.
    """
    text = text.strip()
    return _BEFORE_AUTHORITY.sub("", text) if "^^^&" in text else text


def trimmed_values(texts: Iterable[str | None]) -> tuple[str, ...]:
    """Return the values of a list without white space; those that are empty then say nothing."""
    return tuple(
        [
            trimmed_value(value) if "^^^&" in value else value
            for text in texts
            if text and (value := text.strip())
        ]
    )
