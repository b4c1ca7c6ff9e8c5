"""The process that does the OTR of one chat client, spoken with over a private socket."""
