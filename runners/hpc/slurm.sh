#!/bin/bash
# A sweep as a job array of Slurm, by hand. Plan it, then submit as many tasks as you like, counted from 0:
#   citytwin sweep scenario.toml --out results/mine --plan-only
#   sbatch --array=0-19 slurm.sh results/mine
# Submit it again for whatever is missing. `citytwin submit --slurm` does all this with tasks packed by measured cost.
#SBATCH --job-name=citytwin
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=02:00:00
#SBATCH --signal=B:USR1@60
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=citytwin-%A-%a.log
set -eu
export NUMBA_CACHE_DIR=${NUMBA_CACHE_DIR-$PWD/.kernels}
exec citytwin work "$1" --part "$SLURM_ARRAY_TASK_ID" --of "$SLURM_ARRAY_TASK_COUNT" \
    --workers "$SLURM_CPUS_PER_TASK" --requeue
