"""What cannot be read, said once for every door: pages, transactions, messages, the store."""

from xds.parsing import MalformedXML


class ContentUnreadable(ValueError):
    """A document that is not what it begins as; the sentence is plain English without its values.

    ``line`` and ``column`` are counted from one; None where no place can be told.
    """

    def __init__(
        self,
        told: str,
        *,
        line: int | None = None,
        column: int | None = None,
        place: str = "",
    ) -> None:
        super().__init__(told)
        self.line, self.column = line, column
        self.place = place
        """An XPath or a FHIRPath, where one can be told."""

    @classmethod
    def of_xml(cls, error: MalformedXML) -> "ContentUnreadable":
        """Say what the one parser of XML refuses: no XML, a DTD, too deep, too much markup."""
        return cls(str(error), line=error.line, column=error.column)
