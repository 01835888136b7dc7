"""Where messages come in: MLLP, HTTP, a watched folder; each is answered as its sender asks."""
