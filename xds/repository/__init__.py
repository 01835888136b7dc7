"""The Document Repository actor: keeps documents, registers their metadata (TF-1 10.1.1.3)."""
