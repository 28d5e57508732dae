# setup.sh of a machine that runs containers with podman. Sourced by machine.sh.
mkdir -p /etc/containers
cat >/etc/containers/containers.conf <<'END'
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
END
cat >/etc/containers/storage.conf <<'END'
[storage]
driver = "vfs"
graphroot = "/var/lib/containers/storage"
runroot = "/run/containers/storage"
END
. /run/machine/node.sh
