"""The commands of messages: what came in, what would become of one, and sending."""
