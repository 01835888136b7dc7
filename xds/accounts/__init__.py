"""People who use the console: their accounts, their sessions, and how often somebody may guess."""
