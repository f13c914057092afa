#!/bin/sh
# Run the tests with a real Slurm on that of another release of Debian: sh tests/other_slurm.sh trixie [what pytest is told]
# As root, on Linux, with debootstrap and room for 3 GB: the release is put into build/, where it stays for the next time.
set -eu
release=$1
shift
cd "$(dirname "$0")/.."
root=$PWD/build/debian-$release

if [ ! -e "$root/complete" ]; then
    rm -rf "$root"
    mkdir -p "$root"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)
    steps=/usr/share/debootstrap/scripts/$release
    [ -e "$steps" ] || steps=${steps%/*}/sid # a release that is newer than debootstrap
    debootstrap --variant=minbase --include=ca-certificates,gcc,git,libc6-dev,make,procps,python3,python3-dev,python3-venv \
        "$release" "$root" "$mirror" "$steps"
    echo 'Acquire::Check-Valid-Until "false"; # a mirror may be late' >"$root/etc/apt/apt.conf.d/mirror"
    touch "$root/complete"
fi
cp /etc/hosts /etc/resolv.conf "$root/etc/"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
mkdir -p "$root/qjob"
find "$root/qjob" -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +
git ls-files --cached --others --exclude-standard -z | xargs -0 cp --parents --no-dereference --target-directory="$root/qjob"

# Mounts and processes are this call's own, and end with it. A new root by pivot_root: in one by chroot(2) the kernel
# allows no namespaces, which jobs make.
exec unshare --mount --pid --fork sh -eu -c '
    root=$1
    shift
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    cd "$root"
    mkdir -p before
    pivot_root . before
    umount --lazy before
    cd /qjob
    make setup
    sh tests/install_clusters.sh
    slurmctld -V
    exec .venv/bin/python -m pytest -q "$@"
' sh "$root" "${@:-tests/live/slurm}"
