"""What values of options are, and the options that belong to several rooms or to all."""
