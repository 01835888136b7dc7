"""Feeds that an operator has paused: their senders are told to send again later."""
