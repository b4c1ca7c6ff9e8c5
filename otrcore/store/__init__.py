"""What outlives a process: one SQLite file in the data folder, the only file I/O besides IRC."""
