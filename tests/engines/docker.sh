# setup.sh of a machine that runs containers with docker, wherever this computer has it. Sourced by
# machine.sh. No bridge: it would need the kernel's netfilter, and container.sh asks for none.
while read -r program; do
  [ "$program" -ef "/usr/local/bin/${program##*/}" ] || ln -sf "$program" /usr/local/bin
done </run/machine/programs
command -v docker-init >/dev/null || ln -s "$(command -v tini-static)" /usr/local/bin/docker-init
dockerd --data-root=/var/lib/containers/docker --exec-root=/run/docker --pidfile=/run/docker.pid \
  --storage-driver=vfs --bridge=none --iptables=false --ip6tables=false \
  --exec-opt=native.cgroupdriver=cgroupfs --cgroup-parent=docker_parent >/run/dockerd.log 2>&1 &
tries=0
until docker info >/dev/null 2>&1; do
  sleep 0.1
  tries=$((tries + 1))
  [ $tries -lt 600 ] || { cat /run/dockerd.log >&2 && exit 1; }
done
. /run/machine/node.sh
