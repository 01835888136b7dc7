"""What comes in: messages, submissions, feeds, and what of them was refused."""
