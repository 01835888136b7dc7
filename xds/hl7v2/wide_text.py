"""Messages in UTF-16 or UTF-32, as a body or a file may have them (HL7 table 0211).

They are kept and read as UTF-8. MLLP cannot carry them: bytes of its frames are within characters.
"""

import codecs
from typing import Final

from xds.hl7v2.spooled import SpooledMessage

_LONGEST_MARK: Final = 4
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    *((sign.encode(name), name) for name in ("utf-32-le", "utf-32-be") for sign in "MBF"),
    *((sign.encode("utf-16-le"), "utf-16-le") for sign in ("MS", "BH", "FH")),
    *((sign.encode("utf-16-be"), "utf-16-be") for sign in ("MS", "BH", "FH")),
)
"""How they begin: with a byte order mark, or with the first letters of a header."""


class WideText:
    """Writes what comes into a message, and answers in the character set in which it came."""

    def __init__(self, source: SpooledMessage) -> None:
        self._source = source
        self._start: bytes | None = b""
        """What came, until it is enough to tell the character set."""
        self._decoder: codecs.IncrementalDecoder | None = None
        self.charset = ""
        """``utf-16`` or ``utf-32`` where it is one of them; empty else."""

    def write(self, data: bytes) -> None:
        """Take in some bytes."""
        if self._start is not None:
            self._start += data
            if len(self._start) < _LONGEST_MARK:
                return
            data = self._begun()
        self._pass_on(data)

    def finish(self) -> None:
        """Note that nothing more comes."""
        if self._start is not None:
            self._pass_on(self._begun())
        if self._decoder:
            self._source.write(self._decoder.decode(b"", final=True).encode())
        self._source.finish()

    def answered(self, content: bytes) -> bytes:
        """Return an answer in the character set of what came, with a byte order mark."""
        if not self.charset:
            return content
        return content.decode("utf-8", "replace").encode(self.charset)

    def _begun(self) -> bytes:
        """Tell the character set, and return what came before it was known."""
        start, self._start = self._start or b"", None
        if name := next((name for mark, name in _MARKS if start.startswith(mark)), ""):
            self.charset = name[: len("utf-16")]
            self._source.charset = "utf-8"
            self._decoder = codecs.getincrementaldecoder(name)("replace")
        return start

    def _pass_on(self, data: bytes) -> None:
        if self._decoder:
            # half of a pair of surrogates is a character of no text
            data = self._decoder.decode(data).encode("utf-8", "replace")
        self._source.write(data)
