"""Structured results of documents: stored beside their entries, and read by patient and code."""
