#!/bin/sh
#SBATCH --job-name=qjob-1k0w965g5r0sc7b
#SBATCH --chdir=/
#SBATCH --output=/dev/null
#SBATCH --export=ALL
#SBATCH --signal=B:USR1@25
#SBATCH --requeue
# contract-finish, submitted by qjob: the nodes need the state directory and a Python, and no network.
folder=/home/ada/.qjob/jobs/1k0w965g5r0sc7b
[ -w "$folder" ] || exit 66
exec >>"$folder/runner.log" 2>&1
python=/usr/bin/python3.12
[ -x "$(command -v "$python")" ] || { echo "qjob: $(uname -n) has no $python"; exit 67; }
export PYTHONPATH=/home/ada/.qjob/runners/0123456789abcdef
exec "$python" -P -m qjob.runner "$folder" --attempt "$((${SLURM_RESTART_COUNT:-0} + 1))"
