#!/bin/bash
# A sweep as a job array of LSF, by hand. Plan it, then submit as many tasks as you like, counted from 1:
#   citytwin sweep scenario.toml --out results/mine --plan-only
#   results=results/mine bsub -J "citytwin[1-20]" < lsf.sh
# Submit it again for whatever is missing. `citytwin submit --lsf` does all this with tasks packed by measured cost.
#BSUB -n 4
#BSUB -R "span[hosts=1]"
#BSUB -M 8GB
#BSUB -W 120
#BSUB -wa USR1
#BSUB -wt 1
#BSUB -r
#BSUB -o citytwin-%J-%I.log
set -eu
export NUMBA_CACHE_DIR=${NUMBA_CACHE_DIR-$PWD/.kernels}
exec citytwin work "$results" --part "$((LSB_JOBINDEX - 1))" --of "$LSB_JOBINDEX_END" --workers 4 --walltime "2 h"
