"""OTR on IRC: what any host (bot, terminal client, chat client script) needs between server and core."""
