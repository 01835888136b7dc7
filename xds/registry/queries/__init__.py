"""How objects are found: stored queries, their parameters and steps, and the one SQL builder."""
