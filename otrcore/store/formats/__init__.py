"""The files of other OTR programs, read and written as text: pure, without a look at the disk."""
