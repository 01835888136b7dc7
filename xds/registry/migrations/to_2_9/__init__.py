"""The steps to schema 2.9, all of them released."""
