"""Export: an architecture leaves as files that need nothing of this project."""
