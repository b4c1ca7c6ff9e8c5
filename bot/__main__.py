"""`python -m otrbot` is `otr-bot`."""

from otrbot.cli import main

main()
