"""The command `otr`."""
