"""What a database may answer with instead of doing what it was asked."""

from xds.errors import FailureKind


class DatabaseUnavailable(Exception):
    """The database cannot be reached or opened, or cannot do this now; nothing has changed."""

    failure_kind = FailureKind.UNAVAILABLE


class CommitUnknown(DatabaseUnavailable):
    """The database went away while it committed: nobody knows whether it has."""


class DatabaseConflict(DatabaseUnavailable):
    """Another transaction was in the way; nothing has changed, and it may be tried again."""
