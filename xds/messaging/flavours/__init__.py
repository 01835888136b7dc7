"""Flavours: what is peculiar to a sender or a receiver of messages, as data."""
