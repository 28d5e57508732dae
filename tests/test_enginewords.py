"""What docker and podman really said, and what is made of it for people."""

from __future__ import annotations

import pytest

from wizard.enginewords import Trouble, complaint

SAYS = "Error response from daemon: "
PODMAN_PULL = "Error: initializing source docker://r.lab:5000/x:1: "
DIAL = (
    'pinging container registry r.lab:5000: Get "https://r.lab:5000/v2/": dial tcp 10.0.0.9:5000: '
)
HELD = "326e615dae6abe10bafb93140d237f954fb2d6b3a6593e5503728a8c8d22c69f"
PAYLOAD = """\
Error: payload does not match any of the supported image formats:
 * oci: initializing source oci:x.tar:: open x.tar/index.json: not a directory
 * oci-archive: creating temp directory: untarring file "/var/tmp/oci2934880325": unexpected EOF
 * docker-archive: loading tar component manifest.json: unexpected EOF
"""
# trouble, exit status, words: docker 20.10 and 28.2, podman 4.3, unless said otherwise
SAID = [
    ("missing", 127, "bash: line 1: docker: command not found"),
    ("missing", 127, ""),
    ("down", 1, "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker "
     "daemon running?"),
    ("down", 125, "Cannot connect to Podman. Please verify your connection to the Linux system"),
    ("denied", 1, "Got permission denied while trying to connect to the Docker daemon socket at "
     "unix:///var/run/docker.sock: dial unix /var/run/docker.sock: connect: permission denied"),
    ("denied", 1, "permission denied while trying to connect to the docker API at "
     "unix:///var/run/docker.sock"),  # docker 29
    ("denied", 125, 'Error: cannot set up namespace using "/usr/bin/newuidmap": exit status 1'),
    ("no-space", 1, "failed to register layer: ApplyLayer exit status 1 stdout:  stderr: write "
     "/usr/lib/libtorch.so: no space left on device"),
    ("no-space", 1, "write /var/lib/docker/tmp/GetImageBlob872957069: no space left on device"),
    ("no-space", 125, PAYLOAD + " * oci-archive: writing blob: no space left on device"),
    ("no-image", 1, "\nError: No such image: x:1"),
    ("no-image", 1, f"{SAYS}no such image: x:1: No such image: x:1"),
    ("no-image", 125, "Error: inspecting object: x:1: image not known"),
    ("name-taken", 1, f'{SAYS}Conflict. The container name "/vllm-ascend" is already in use by '
     f'container "{HELD}". You have to remove (or rename) that container.'),
    ("name-taken", 125, 'Error: creating container storage: the container name "vllm-ascend" is '
     f"already in use by {HELD}. You have to remove that container to be able to reuse that name"),
    ("no-device", 1, f"{SAYS}error gathering device information while adding custom device "
     '"/dev/davinci9": no such file or directory\nError: failed to start containers: x'),
    ("no-device", 125, "Error: stat /dev/davinci9: no such file or directory"),
    ("no-runtime", 1, f"{SAYS}Unknown runtime specified ascend"),
    ("no-runtime", 1, f"{SAYS}unknown or invalid runtime name: ascend"),
    ("no-runtime", 125, 'Error: default OCI runtime "ascend" not found: invalid argument'),
    ("no-runtime", 1, f"{SAYS}failed to create task for container: failed to start shim: fork/exec "
     "/usr/local/bin/ascend-docker-runtime: no such file or directory: unknown"),
    ("no-source", 1, f'{SAYS}invalid mount config for type "bind": bind source path does not exist:'
     " /data/typo"),
    ("no-source", 125, "Error: statfs /data/typo: no such file or directory"),
    ("no-command", 1, f"{SAYS}failed to create task for container: failed to create shim task: OCI "
     'runtime create failed: runc create failed: unable to start container process: exec: "bash": '
     "executable file not found in $PATH: unknown\nError: failed to start containers: x"),
    ("no-command", 127, "Error: crun: executable file `bash` not found in $PATH: No such file or "
     "directory: OCI runtime attempted to invoke a command that was not found"),
    ("unknown-image", 1, f"{SAYS}manifest for r.lab:5000/x:1 not found: manifest unknown: manifest "
     "unknown"),
    ("unknown-image", 125, f"{PODMAN_PULL}reading manifest 1 in r.lab:5000/x: manifest unknown: "
     "manifest unknown"),
    ("unauthorized", 1, f"{SAYS}unauthorized: access to the requested resource is not authorized"),
    ("unauthorized", 1, f"{SAYS}pull access denied for x, repository does not exist or may require "
     "'docker login': denied: requested access to the resource is denied"),
    ("unauthorized", 125, f"{PODMAN_PULL}reading manifest 1 in r.lab:5000/x: unauthorized: access "
     "to the requested resource is not authorized"),
    ("rate-limit", 1, f"{SAYS}toomanyrequests"),
    ("rate-limit", 125, f"{PODMAN_PULL}reading manifest 1 in r.lab:5000/x: toomanyrequests"),
    ("no-platform", 1, "no matching manifest for linux/arm64/v8 in the manifest list entries"),
    ("no-platform", 125, f'{PODMAN_PULL}no image found in manifest list for architecture "arm64"'),
    ("no-registry", 1, f'{SAYS}Get "https://r.lab:5000/v2/": dial tcp 10.0.0.9:5000: connect: no '
     "route to host"),
    ("no-registry", 1, f'{SAYS}Get "https://r.lab/v2/": dial tcp: lookup r.lab on 10.0.0.1:53: no '
     "such host"),
    ("no-registry", 1, f'{SAYS}Get "https://r.lab/v2/": net/http: request canceled while waiting '
     "for connection (Client.Timeout exceeded while awaiting headers)"),
    ("no-registry", 1, f"{SAYS}received unexpected HTTP status: 500 Internal Server Error"),
    ("no-registry", 125, f"{PODMAN_PULL}{DIAL}connect: connection refused"),
    ("certificate", 1, f'{SAYS}Get "https://r.lab/v2/": x509: certificate signed by unknown '
     "authority"),
    ("certificate", 125, f"{PODMAN_PULL}pinging container registry r.lab: x509: cannot validate"),
    ("broken-archive", 1, "Error processing tar file(exit status 1): unexpected EOF"),
    ("broken-archive", 1, "Error processing tar file(exit status 1): archive/tar: invalid tar "
     "header"),
    ("broken-archive", 1, "gzip: stdin: not in gzip format"),
    ("broken-archive", 125, PAYLOAD),
]  # fmt: skip


@pytest.mark.parametrize(("trouble", "status", "said"), SAID, ids=range(len(SAID)))
def test_every_complaint_is_recognised_in_the_words_of_both(
    trouble: str, status: int, said: str
) -> None:
    read = complaint(said, status)
    assert read.trouble == trouble
    sentence, hint = read.sentence("node 1 (10.0.0.12)", "podman"), read.hint("node 1", "podman")
    assert "node 1 (10.0.0.12)" in sentence
    assert hint
    assert "{" not in sentence + hint
    assert "docker daemon" not in sentence


@pytest.mark.parametrize(
    ("said", "what"),
    [
        (SAID[13][2], "vllm-ascend"),
        (SAID[15][2], "/dev/davinci9"),
        (SAID[16][2], "/dev/davinci9"),
        (SAID[19][2], "ascend"),
        (SAID[20][2], "/usr/local/bin/ascend-docker-runtime"),
        (SAID[21][2], "/data/typo"),
        (SAID[22][2], "/data/typo"),
        (SAID[23][2], "bash"),
        (SAID[24][2], "bash"),
    ],
    ids=range(9),
)
def test_what_is_concerned_is_named(said: str, what: str) -> None:
    read = complaint(said, 1)
    assert read.what == what
    assert what in read.sentence("node 1", "docker")


def test_every_trouble_that_an_engine_words_is_tested() -> None:
    assert {trouble for trouble, _, _ in SAID} == set(Trouble)


def test_a_plain_failure_is_no_other_trouble() -> None:
    for said in (
        f"{SAYS}mkdir /srv/x: permission denied",
        f"{SAYS}OCI runtime create failed: runc create failed: unable to start container process",
        "container.sh: /dev/davinci3 is missing on this node, or hidden from this user",
        f'{SAYS}error getting credentials - err: exec: "docker-credential-x": executable file not '
        "found in $PATH",
    ):
        read = complaint(said, 1)
        assert read.trouble is None
        assert read.sentence("node 1", "docker").startswith("docker failed on node 1: ")
        assert read.hint("node 1", "docker") == ""


def test_what_was_said_is_told_without_the_engines_own_prefix() -> None:
    said = complaint(f"docker: {SAYS}unauthorized: who are you", 1).sentence("node 1", "docker")
    assert said == "the registry does not give node 1 the image: unauthorized: who are you."


def test_podman_has_neither_a_daemon_nor_a_group() -> None:
    denied = complaint('cannot set up namespace using "/usr/bin/newuidmap": exit status 1', 125)
    assert "group" not in denied.hint("node 1", "podman")
    assert "group docker" in denied.hint("node 1", "docker")
    assert "podman.socket" in complaint("Cannot connect to Podman.", 125).hint("node 1", "podman")
