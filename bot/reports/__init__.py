"""What is told: to the log, to Prometheus, and by one thread to another."""
