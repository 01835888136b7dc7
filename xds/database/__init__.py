"""The relational database: SQLite embedded in a process, or a PostgreSQL server.

The same tables and statements serve on both. What differs is how concurrent writers are kept
apart, and is written down in :mod:`xds.database.sqlite` and :mod:`xds.database.postgresql`.
"""
