"""Who asks for what: the caller of a transaction, and the gates that every transaction passes."""
