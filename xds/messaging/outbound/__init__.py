"""Documents go out as messages: destinations, the rules that choose, building and sending."""
