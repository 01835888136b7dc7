"""What goes out: nothing is fetched but from where the options allow."""
