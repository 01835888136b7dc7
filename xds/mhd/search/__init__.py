"""What can be searched for (MHD 2:3.66, 2:3.67), and how it is compared."""
