#!/bin/bash
# A sweep as a job array of PBS (OpenPBS, PBS Professional), by hand. Plan it, then submit as many tasks as you like:
#   citytwin sweep scenario.toml --out results/mine --plan-only
#   qsub -J 0-19 -v results=results/mine,parts=20 pbs.sh
# Submit it again for whatever is missing. `citytwin submit --pbs` does all this with tasks packed by measured cost.
#PBS -N citytwin
#PBS -l select=1:ncpus=4:mem=8gb
#PBS -l walltime=02:00:00
#PBS -r y
#PBS -j oe
set -eu
cd "$PBS_O_WORKDIR"
export NUMBA_CACHE_DIR=${NUMBA_CACHE_DIR-$PWD/.kernels}
exec citytwin work "$results" --part "$PBS_ARRAY_INDEX" --of "$parts" --workers 4 --walltime "2 h"
