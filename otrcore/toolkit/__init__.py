"""What makes OTR deniable, for everybody to use: taking messages apart, and forging them.  Without I/O."""
