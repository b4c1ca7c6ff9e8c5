"""What an operator chooses: files, the environment, credentials and keys."""
