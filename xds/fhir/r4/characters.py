"""Characters that a FHIR string may have in both of its forms (R4, 2.24.0.1)."""

import re
from typing import Final

# U+FFFE and U+FFFF are no characters of XML, so that neither form of FHIR could do without it.
_NO_CHARACTER: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def sayable(text: str) -> bool:
    """Tell whether every character may stand in JSON and in XML."""
    return text.isprintable() or not _NO_CHARACTER.search(text)


def legible(text: str) -> str:
    """Return a text with a question mark for each character that may not stand in XML."""
    return text if text.isprintable() else _NO_CHARACTER.sub("?", text)
