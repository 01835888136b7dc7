"""The steps from one schema to the next, for Alembic; each is a file that never changes again.

A revision is MAJOR.MINOR, and so are the names of the files. A step that only adds, so that
programs of before can go on serving, has the next minor number; any other has the next major one.
What is added must have a default or admit NULL, and an index of a large table is made
CONCURRENTLY, in an ``autocommit_block``. There is no way back but a backup.
"""
