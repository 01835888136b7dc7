"""Versions: of metadata (ITI TF-3 4.1.5), and of documents, as these say themselves."""
