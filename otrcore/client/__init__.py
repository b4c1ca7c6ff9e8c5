"""The chat client's side of the link to its engine: standard library only, for any embedded Python."""
