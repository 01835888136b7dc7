"""What a database may answer with instead of doing what it was asked."""


class DatabaseUnavailable(Exception):
    """The database cannot be reached or opened, or cannot do this now."""


class DatabaseConflict(DatabaseUnavailable):
    """Another transaction was in the way; nothing has changed, and it may be tried again."""
