"""Transactions over SOAP: a module for each, and one row for each message in ``table``."""
