"""`otr install` and `otr uninstall`: the scripts for chat clients, put where those look for them."""
