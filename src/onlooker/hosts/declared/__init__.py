"""What each host says of itself: one file for each, plain data, readable without the host's framework."""
