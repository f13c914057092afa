#!/bin/sh
#SBATCH --job-name=qjob-1k0w965g5r0sc7b
#SBATCH --chdir=/
#SBATCH --output=/dev/null
#SBATCH --export=ALL
#SBATCH --signal=B:USR1@25
#SBATCH --requeue
#SBATCH --ntasks=2
# contract-finish, submitted by qjob: the nodes need the state directory and a Python, and no network.
folder='/lustre/a'"'"'; echo "foo" ü/jobs'/1k0w965g5r0sc7b
[ -w "$folder" ] || exit 66
exec >>"$folder/runner.log" 2>&1
python='/lustre/a'"'"'; echo "foo" ü/bin/python3'
[ -x "$(command -v "$python")" ] || { echo "qjob: $(uname -n) has no $python"; exit 67; }
export PYTHONPATH='/lustre/a'"'"'; echo "foo" ü/runners/0123456789abcdef'
[ -z "$SLURM_CPUS_PER_TASK" ] || export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"
exec "$python" -P -m qjob.runner "$folder" --attempt "$((${SLURM_RESTART_COUNT:-0} + 1))" --lease '/lustre/a'"'"'; echo "foo" ü/devices/acme' --launcher 'srun --ntasks=2 --input=none --kill-on-bad-exit=1 --export=ALL '"'"'/lustre/a'"'"'"'"'"'"'"'"'; echo "foo" ü/bin/python3'"'"' -P -m qjob.runner.keeper'
