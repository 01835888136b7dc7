"""Commands of those who run a server: its database, its documents, its audit records."""
