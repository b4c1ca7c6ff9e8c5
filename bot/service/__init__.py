"""One thread for each network, and the process around all of them."""
