"""How it is run: scenario files, the model, single runs, sweeps, results and the command line."""
