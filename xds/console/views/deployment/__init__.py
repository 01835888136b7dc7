"""What this deployment answers, and how it is configured."""
