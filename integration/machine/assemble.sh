#!/bin/bash
# Puts a machine's disk together in a mount namespace of its own, and keeps it until stdin closes: when
# whoever holds the other end is gone, for whatever reason, the mounts are gone with it.
#
#   assemble.sh DIRECTORY LOWER [ro|rw PATH SOURCE]...
set -euo pipefail
directory=$1 lower=$2
shift 2
disk=$directory/disk

mount -t overlay -o "lowerdir=$lower,upperdir=$directory/upper,workdir=$directory/work" machine "$disk"

while (($#)); do
  access=$1 path=$disk$2 source=$3
  shift 3
  if [[ -d $source ]]; then
    mkdir -p "$path"
  else
    mkdir -p "${path%/*}"
    [[ -e $path ]] || : >"$path"
  fi
  mount --bind "$source" "$path"
  if [[ $access == ro ]]; then mount -o remount,bind,ro "$path"; fi
done

echo assembled
exec cat >/dev/null
