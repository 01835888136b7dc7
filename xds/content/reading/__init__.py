"""Documents read: one interface for each kind, and one shape of what they say."""
