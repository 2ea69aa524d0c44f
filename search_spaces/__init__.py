"""What an architecture is, what it costs, and which ones are allowed. Imports neither torch nor ray."""
