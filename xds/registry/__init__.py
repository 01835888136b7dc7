"""The Document Registry actor: metadata kept, queried, held to rules (ITI TF-1 10.1.1.3)."""
