"""``docker`` on a simulated node: real processes, and docker's own words."""

from __future__ import annotations

import asyncio
import json

from tests.launch.bench import until
from tests.simulator.bench import LIMIT_S, Ran, docker_run, image, running

FOREVER = ("sleep", "977")
SAYS = "Error response from daemon: "


async def test_run_ps_inspect_exec_stop_rm() -> None:
    async with running() as made:
        shell, other = made.shells
        options = "--name one --label a.b=1 --label c=2 -v /root/.cache:/root/.cache -e X=7"
        run = docker_run("bash", "-c", "trap 'exit 3' TERM; sleep 977 & wait", options=options)
        identity = (await shell.good(run)).strip()
        assert len(identity) == 64

        form = "--format '{{.ID}} {{.Names}} {{.State}} {{.Label \"a.b\"}}'"
        row = f"{identity[:12]} one running 1\n"
        assert await shell.good(f"docker ps --filter label=a.b=1 {form}") == row
        assert await shell.good(f"docker ps --filter label=a.b=2 {form}") == ""
        assert await shell.good("docker ps -aq --no-trunc --filter name=one") in (
            f"{identity}\n",
            f"{identity[:12]}\n",
        )
        assert await other.good("docker ps -aq") == "", "each node has its own containers"

        shown = json.loads(await shell.good("docker inspect one"))[0]
        assert shown["Config"]["Labels"] == {"a.b": "1", "c": "2"}
        assert shown["State"]["Running"] is True
        assert shown["Mounts"][0]["Destination"] == "/root/.cache"

        assert await shell.good("docker exec one bash -c 'echo $X'") == "7\n"
        assert await shell("docker exec -i one cat", "from outside") == Ran("from outside", "", 0)
        assert (await shell("docker exec one bash -c 'echo e >&2; exit 5'")) == Ran("", "e\n", 5)
        assert (await shell("docker exec -it one bash")).err == "the input device is not a TTY\n"

        refused = await shell("docker rm one")
        assert refused.err.startswith(f"{SAYS}You cannot remove a running container {identity}")
        assert refused.code == 1
        assert await shell.good("docker stop one") == "one\n"
        state = "docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' one"
        assert await shell.good(state) == "exited 3\n"
        assert await shell.good("docker rm one") == "one\n"
        assert await shell("docker inspect one") == Ran("[]\n", "Error: No such object: one\n", 1)


async def test_logs_keep_their_streams_follow_and_begin_where_asked() -> None:
    async with running() as made:
        shell = made.shells[0]
        talk = "echo first; echo wrong >&2; until [ -e ~/go ]; do sleep 0.02; done; echo last"
        await shell.good(docker_run("bash", "-c", talk, options="--name talk"))
        await shell.follow("docker logs -f talk", "first\n")
        followed = asyncio.create_task(shell("docker logs -f talk"))
        await shell.good("docker exec talk bash -c 'touch ~/go'")
        assert await asyncio.wait_for(followed, LIMIT_S) == Ran("first\nlast\n", "wrong\n", 0)
        assert await shell.good("docker logs --tail 1 talk") == "last\n"
        stamped = (await shell.good("docker logs -t talk")).splitlines()[-1]
        moment, text = stamped.split(" ", 1)
        assert text == "last"
        assert await shell.good(f"docker logs --since {moment} talk") == "last\n"
        assert await shell.good("docker wait talk") == "0\n"


async def test_a_stop_that_is_not_heeded_ends_in_a_kill() -> None:
    async with running() as made:
        shell = made.shells[0]
        run = "trap '' TERM; setsid sleep 977 & echo up; while true; do sleep 977; done"
        await shell.good(docker_run("bash", "-c", run, options="--name deaf"))
        await shell.follow("docker logs -f deaf", "up\n")
        await shell.good("docker stop -t 0 deaf")
        code = await shell.good("docker inspect -f '{{.State.ExitCode}}' deaf")
        assert code == "137\n"
        assert await shell.good("docker rm -f deaf") == "deaf\n"


async def test_the_children_of_a_container_die_with_it() -> None:
    async with running() as made:
        shell = made.shells[0]
        run = docker_run("bash", "-c", "setsid sleep 977 & sleep 977", options="--name family")
        await shell.good(run)
        daemon = made.cluster.daemon
        assert daemon is not None
        (container,) = daemon.containers[0]
        await until(lambda: len(container.pids()) >= 3)
        await shell.good("docker kill family")
        assert container.pids() == []


async def test_refusals_in_dockers_words() -> None:
    async with running() as made:
        shell = made.shells[0]
        await shell.good(docker_run(*FOREVER, options="--name taken"))
        again = await shell(docker_run(*FOREVER, options="--name taken"))
        assert again.code == 125
        assert f'{SAYS}Conflict. The container name "/taken" is already in use' in again.err
        unknown = await shell("docker run -d example.org/none:1 true")
        assert unknown.code == 125
        assert "manifest unknown" in unknown.err
        device = await shell(docker_run("true", options="--device /dev/davinci99"))
        assert device.code != 0
        assert '"/dev/davinci99": no such file or directory' in device.err
        program = await shell(docker_run("/no/such/program"))
        assert program.code == 127
        missing = Ran("", f"{SAYS}No such container: nobody\n", 1)
        for command in ("stop", "logs", "start", "rm", "exec nobody true; docker stop"):
            ran = await shell(f"docker {command} nobody")
            assert (missing.err in ran.err, ran.code) == (True, 1), command
        for command in ("restart taken", "exec taken", "run", "stop -t soon taken"):
            ran = await shell(f"docker {command}")
            assert ran.code not in (0, None), command
            assert "simulator is gone" not in ran.err, command


async def test_a_missing_mount_source_becomes_a_directory() -> None:
    async with running() as made:
        shell = made.shells[0]
        assert (await shell("test -e /data/typo.txt")).code == 1
        await shell.good(docker_run("true", options="-v /data/typo.txt:/data/typo.txt"))
        assert (await shell("test -d /data/typo.txt")).code == 0


async def test_images_are_looked_at_and_pulled() -> None:
    async with running() as made:
        shell, name = made.shells[0], image()
        form = "docker image inspect -f '{{.Architecture}}'"
        assert await shell.good(f"{form} {name}") == "arm64\n"
        mirror = name.replace("quay.io", "quay.nju.edu.cn")
        node = made.cluster.nodes[0]
        node.images.discard(mirror)
        absent = await shell(f"{form} {mirror}")
        assert absent == Ran("[]\n", f"Error: No such image: {mirror}\n", 1)
        pulled = await shell(f"docker pull {mirror}")
        assert pulled.code == 0
        assert "Pull complete" in pulled.err + pulled.out
        assert await shell.good(f"podman image inspect -f '{{{{.Os}}}}' {mirror}") == "linux\n"


async def test_npu_memory_is_held_while_a_container_runs() -> None:
    async with running() as made:
        shell = made.shells[0]
        assert "No running processes found in NPU 0" in await shell.good("npu-smi info")
        await shell.good(docker_run(*FOREVER, options="--name holds --device /dev/davinci5"))
        table = await shell.good("npu-smi info")
        assert table.count("58400/ 65536") == 1
        await shell.good("docker rm -f holds")
        assert "58400" not in await shell.good("npu-smi info")
