"""What an operator does with the bot besides running it, and how the parts are put together."""
