#!/bin/bash
# Becomes systemd as pid 1 of a machine. Runs in new pid, mount, uts, ipc, net and cgroup namespaces, as
# their first process, on a disk that assemble.sh has put together.
#
#   boot.sh DIRECTORY
set -euo pipefail
directory=$1
cd "$directory/disk"

mount -t proc -o nosuid,nodev,noexec proc proc
# systemd-sysctl would change the real kernel's settings, for not all of them belong to a namespace.
for kernel in proc/sys proc/sysrq-trigger; do
  [[ -e $kernel ]] || continue
  mount --bind "$kernel" "$kernel"
  mount -o remount,bind,ro "$kernel"
done
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup

mount -t tmpfs -o mode=755,size=1m,nosuid tmpfs dev
for device in null zero full random urandom tty; do
  cp --archive "/dev/$device" "dev/$device"
done
mkdir -p dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr

mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs tmp
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mkdir -p run/host
mount --bind "$directory/host" run/host

# The other side moves our parent out of this cgroup and then says go: systemd cannot hand controllers to
# its children while a process that it cannot even see sits beside them.
read -r _

pivot_root . mnt
exec chroot . /bin/sh -c '
  umount -l /mnt
  exec env -i container=darlingbuilder NOTIFY_SOCKET=/run/host/notify \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin LANG=C.UTF-8 \
    /usr/lib/systemd/systemd --system --unit=multi-user.target' </dev/null
