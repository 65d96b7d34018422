"""Points of a sweep: designs of experiments, seeds, replicates until an interval is narrow, budgets, what a sweep costs."""
