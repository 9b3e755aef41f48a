#!/bin/sh
# The first process of a machine of its own in namespaces: systemd, that knows no units but those in $1, with a fresh /run, /var/lib and
# /var/cache, and an /etc that forgets. $2 is this checkout, which is seen at /opt/windlass.
set -eu
units=$1 top=$2
mount --make-rprivate /
mount -t proc proc /proc
for dir in /run /var/lib /var/cache /usr/lib/systemd/system; do mount -t tmpfs -o mode=755 tmpfs "$dir"; done
mkdir -p /run/test/etc /run/test/work /run/test/opt/windlass
mount -t overlay -o lowerdir=/etc,upperdir=/run/test/etc,workdir=/run/test/work overlay /etc
mount --bind "$top" /run/test/opt/windlass
mount --rbind /run/test/opt /opt
# The old hierarchies belong to the machine outside.
mount -t cgroup2 cgroup2 /sys/fs/cgroup
rm -rf /etc/systemd/system
cp -r "$units" /etc/systemd/system
cp -r "$units/etc/." /etc/
export container=test
exec /lib/systemd/systemd --system --unit=multi-user.target --log-target=console --show-status=no
