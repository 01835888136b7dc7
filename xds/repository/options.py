"""The options of storage: the database and the document store."""

from pathlib import Path

from pydantic import BaseModel, Field

from xds.options.values import Settings, Url, settings
from xds.sqlite_file import url_of


class StorageOptions(BaseModel):
    """Where metadata and documents are kept."""

    data: Path = Field(
        Path("var"),
        description="Folder of the embedded database and documents.",
        examples=["/var/lib/xds"],
    )
    database: Url | None = Field(
        None,
        repr=False,
        description="URL of the database; unset: SQLite in the data folder.",
        examples=["postgresql://xds@db.hospital.example/xds"],
    )
    documents: Url | None = Field(
        None,
        repr=False,
        description="URL of the document store; unset: files in the data folder.",
        examples=["s3://xds-documents/production"],
    )
    documents_options: Settings | None = Field(
        None,
        repr=False,
        description="How an object store is reached: NAME=value, separated by spaces, or a table.",
        examples=["endpoint=https://s3.hospital.example region=eu-west-2"],
    )

    @property
    def database_url(self) -> str:
        """The URL of the database, with its default."""
        return self.database or url_of(self.data / "registry.sqlite3")

    @property
    def documents_url(self) -> str:
        """The URL of the document store, with its default."""
        return self.documents or (self.data.absolute() / "documents").as_uri()

    @property
    def documents_settings(self) -> dict[str, str]:
        """How an object store is reached: endpoint, credentials and such."""
        return settings(self.documents_options or "")
