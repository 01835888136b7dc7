"""What ITI-43 asks for: one document of one repository."""

from typing import NamedTuple, Self

from xds.metadata.objects import DocumentEntry


class DocumentRequest(NamedTuple):
    """One document asked for (ITI TF-2 3.43.4.1.2)."""

    repository_unique_id: str
    document_unique_id: str
    home_community_id: str | None = None

    @classmethod
    def of(cls, entry: DocumentEntry) -> Self:
        """Ask for the document of an entry that a query found; ValueError where it names none."""
        if not entry.repository_unique_id or not entry.unique_id:
            raise ValueError("a DocumentEntry without repositoryUniqueId or uniqueId leads nowhere")
        return cls(entry.repository_unique_id, entry.unique_id, entry.home_community_id)
