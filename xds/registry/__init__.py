"""The Document Registry actor: metadata kept, queried, and held to the rules (ITI TF-1 10.1.1.3)."""
