"""How the runs of a sweep are made: what is wanted, who works on it, worker processes, what came of every run."""
