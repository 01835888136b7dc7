"""Logging in: by a local account, at a provider, by the word of a proxy."""
