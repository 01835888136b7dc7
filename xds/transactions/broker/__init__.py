"""Transactions of the Document Metadata Notification Broker: a module for each (DSUB)."""
