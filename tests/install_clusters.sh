#!/bin/sh
# Install the Slurm that the live tests start themselves, and what the Ray ones need: as root, on Debian and its like, and only what is missing.
# Anywhere else nothing happens, and these tests are skipped with the reason.
set -eu
packages="slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge slurmdbd slurm-wlm-mysql-plugin mariadb-server iproute2"

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    exit 0
fi
missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "Installing for the tests with real clusters:$missing"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || { echo "No package list is to be had; the tests that need them are skipped." >&2; exit 0; }
# The daemons are ours to start, in the tests: none is started by its package.
policy=/usr/sbin/policy-rc.d
[ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy"; chmod 755 "$policy"; trap 'rm -f "$policy"' EXIT; }
# shellcheck disable=SC2086 # one word for each package
apt-get install -qq --yes --no-install-recommends $missing >/dev/null || {
    echo "They cannot be installed; the tests that need them are skipped." >&2
}
