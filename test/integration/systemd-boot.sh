#!/bin/sh
# The first process of a machine of its own in namespaces: systemd, that knows no units but those in $1, with a fresh /run, /var/lib and
# /var/cache, and an /etc, a /usr and packages that forget. $2 is a release, which is seen at /opt/windlass.
set -eu
units=$1 top=$2
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/test/dpkg.lower /run/test/opt/windlass
if [ -d /var/lib/dpkg ]; then mount --bind /var/lib/dpkg /run/test/dpkg.lower; fi
# What is below, where it is seen, a name.
forgetful() {
  mkdir -p "/run/test/$3.upper" "/run/test/$3.work"
  mount -t overlay -o "lowerdir=$1,upperdir=/run/test/$3.upper,workdir=/run/test/$3.work" overlay "$2"
}
forgetful /etc /etc etc
forgetful /usr /usr usr
for dir in /var/lib /var/cache /usr/lib/systemd/system; do mount -t tmpfs -o mode=755 tmpfs "$dir"; done
mkdir /var/lib/dpkg
forgetful /run/test/dpkg.lower /var/lib/dpkg dpkg
mount --bind "$top" /run/test/opt/windlass
mount --rbind /run/test/opt /opt
# The old hierarchies belong to the machine outside.
mount -t cgroup2 cgroup2 /sys/fs/cgroup
rm -rf /etc/systemd/system
cp -r "$units" /etc/systemd/system
cp -r "$units/etc/." /etc/
export container=test
exec /lib/systemd/systemd --system --unit=multi-user.target --log-target=console --show-status=no
