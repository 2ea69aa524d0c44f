"""The dashboard: a ledger as a live page in the browser. Only files in this folder import dash."""
