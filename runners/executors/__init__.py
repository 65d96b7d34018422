"""Where runs are made beyond this machine: job arrays of Slurm, PBS and LSF, Dask, any ``concurrent.futures`` executor."""
