"""Rules that submissions are held to: ``submission_rules`` has the table, the others the checks."""
