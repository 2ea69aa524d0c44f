"""Results: the ledger of trials, the Pareto front, and what people see of them: tables, reports, exports."""
