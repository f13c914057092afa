#!/bin/sh
#SBATCH --job-name=qjob-1k0w965g5r0swee.1
#SBATCH --chdir=/
#SBATCH --output=/dev/null
#SBATCH --export=ALL
#SBATCH --signal=B:USR1@25
#SBATCH --requeue
#SBATCH --array=0-2,7%2
#SBATCH --dependency=afterany:4711,afterok:17
# contract-finish, submitted by qjob: the nodes need the state directory and a Python, and no network.
case "$SLURM_ARRAY_TASK_ID" in
0) job=job0 ;;
1) job=job1 ;;
2) job=job2 ;;
7) job=job7 ;;
esac
folder=/home/ada/.qjob/jobs/"$job"
[ -w "$folder" ] || exit 66
exec >>"$folder/runner.log" 2>&1
python=/usr/bin/python3.12
[ -x "$(command -v "$python")" ] || { echo "qjob: $(uname -n) has no $python"; exit 67; }
export PYTHONPATH=/home/ada/.qjob/runners/0123456789abcdef
exec "$python" -P -m qjob.runner "$folder" --attempt "$((${SLURM_RESTART_COUNT:-0} + 1))"
