"""What a server tells of itself: metrics, and the observer that counts and logs transactions."""
