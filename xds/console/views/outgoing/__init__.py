"""What goes out: the queue, destinations of messages, subscriptions."""
