#!/bin/bash
# Process 1 of a machine of its own: called by machines.py in new namespaces, never by hand.
# machine.sh NAME FOLDER: what it reads of this computer is there, what it writes is in memory and
# goes with it. FOLDER holds sshd's files and setup.sh, which is what tells one kind from another.
set -eu
name=$1 folder=$2
new=/run/v32-machine
mount -t tmpfs -o size=40g,mode=755 none /run # also the room that upper and work lie in
mkdir -p $new /run/upper /run/work
mount -t overlay overlay -o lowerdir=/,upperdir=/run/upper,workdir=/run/work $new
mount -t proc proc $new/proc
mount -t sysfs sysfs $new/sys
[ ! -d /sys/fs/cgroup ] || mount --rbind /sys/fs/cgroup $new/sys/fs/cgroup
for own in root run tmp var/tmp var/lib/containers; do # nobody's files but the machine's own
  mkdir -p $new/$own
  mount -t tmpfs -o size=40g none $new/$own
done
chmod 700 $new/root
chmod 1777 $new/tmp $new/var/tmp
mount -t tmpfs -o mode=755 none $new/dev
mkdir $new/dev/pts $new/dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts $new/dev/pts
mount -t tmpfs -o mode=1777 none $new/dev/shm
ln -s pts/ptmx $new/dev/ptmx
ln -s /proc/self/fd $new/dev/fd
for number in 0:stdin 1:stdout 2:stderr; do ln -s fd/${number%:*} $new/dev/${number#*:}; done
for device in null:3 zero:5 full:7 random:8 urandom:9; do
  mknod -m 666 $new/dev/${device%:*} c 1 ${device#*:}
done
mknod -m 666 $new/dev/tty c 5 0
mkdir -p $new/run/sshd $new/run/machine
cp -r "$folder"/. $new/run/machine
if [ -e "$folder/shares" ]; then
  while read -r share; do # folders of this computer that it sees where they are
    mkdir -p "$new$share"
    mount --bind "$share" "$new$share"
    mount -o remount,bind,ro "$new$share"
  done <"$folder/shares"
fi
cd $new
mkdir -p run/old
pivot_root . run/old
cd /
umount -l /run/old
hostname "$name"
ip link set lo up
echo up
read -r _ # until the cable is in
. /run/machine/setup.sh
/usr/sbin/sshd -D -e -f /run/machine/sshd_config &
echo ready
wait $!
