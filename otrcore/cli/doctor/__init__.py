"""`otr doctor`: what is installed where, what would fail, and the mend for each."""
