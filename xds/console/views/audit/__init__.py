"""The audit records, and the chain that they stand in."""
