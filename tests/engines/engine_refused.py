"""What stands in the way of a launch with a real engine: refused, and nothing left."""

from __future__ import annotations

import pytest

from tests.engines.enginelab import NAME, EngineLab
from tests.engines.launching import fleet_of, launch_of, states
from wizard.errors import LaunchError
from wizard.scripts import image


async def test_a_name_that_a_stranger_has(lab: EngineLab) -> None:
    preset = lab.preset()
    stranger = lab.stranger(lab.nodes[1], NAME)
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        with pytest.raises(LaunchError, match=r"taken on node 1 .*running, not one of ours"):
            await work.start()
        assert await work.stop() == []
    assert lab.containers() == [[], [f"{NAME} running"]]
    assert lab.identity(lab.nodes[1], NAME) == stranger
    assert lab.nodes[0].run("ls -A /root/.v32-wizard/launches 2>/dev/null", status=None) == ""


async def test_npus_that_another_preset_has(lab: EngineLab) -> None:
    preset = lab.preset()
    labels = "--label v32-wizard.preset=other --label v32-wizard.launch=x --device /dev/davinci3"
    lab.stranger(lab.nodes[1], "other", labels)
    async with fleet_of(preset) as fleet:
        with pytest.raises(LaunchError, match=r"NPUs? 3 of node 1 .*held by the preset other"):
            await launch_of(fleet, preset).start()
    assert lab.containers() == [[], ["other running"]]


async def test_an_image_that_one_node_has_not(lab: EngineLab) -> None:
    preset = lab.preset()
    lab.nodes[1].run(f"{lab.engine} rmi {image(preset)}")
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        with pytest.raises(
            LaunchError, match=rf"Node 1: the image is not on .*{lab.engine} pull quay"
        ):
            await work.start()
    lab.nothing_left()


@pytest.mark.parametrize("packed", [False, True], ids=["tar", "tar.gz"])
async def test_an_image_is_loaded_from_an_archive_where_it_is_missing(
    lab: EngineLab, packed: bool
) -> None:
    archive = "/srv/image.tar.gz" if packed else "/srv/image.tar"
    preset = lab.preset(image_archive=archive)
    worker, reference = lab.nodes[1], image(preset)
    worker.run(f"mkdir -p /srv && {lab.engine} save -o /srv/image.tar {reference}")
    worker.run("gzip -1 /srv/image.tar" if packed else "true")
    worker.run(f"{lab.engine} rmi {reference}")
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        with pytest.raises(LaunchError, match="Node 1: the image is not on the node"):
            await work.start()
        work.fetch_image = True
        await work.start()
        assert await states(work) == ["running", "running"]
        assert await work.stop() == []
    lab.nothing_left()


async def test_archives_that_cannot_be_loaded(lab: EngineLab) -> None:
    preset = lab.preset(image_archive="/srv/image.tar")
    worker, reference = lab.nodes[1], image(preset)
    worker.run(f"mkdir -p /srv && {lab.engine} tag {reference} localhost/other:1")
    worker.run(f"{lab.engine} save -o /srv/image.tar localhost/other:1")
    worker.run(f"{lab.engine} rmi {reference} localhost/other:1")
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        work.fetch_image = True
        with pytest.raises(LaunchError, match=rf"holds localhost/other:1, not {reference}"):
            await work.start()
        worker.run("truncate -s 5000 /srv/image.tar")
        with pytest.raises(LaunchError, match=r"node 1 .*is no image, or not whole"):
            await work.start()
        worker.run("rm /srv/image.tar")
        with pytest.raises(LaunchError, match=r"cannot be read on node 1 .*: no such file"):
            await work.start()
    lab.nothing_left()


async def test_a_registry_that_cannot_be_reached(lab: EngineLab) -> None:
    preset = lab.preset()
    lab.nodes[1].run(f"{lab.engine} rmi {image(preset)}")
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        work.fetch_image = True
        with pytest.raises(LaunchError, match=r"node 1 .*cannot reach the registry"):
            await work.start()
    lab.nothing_left()


async def test_a_mount_that_one_node_has_not(lab: EngineLab) -> None:
    preset = lab.preset()
    missing = "/usr/local/Ascend/driver/version.info"
    lab.nodes[1].run(f"rm {missing}")
    async with fleet_of(preset) as fleet:
        work = launch_of(fleet, preset)
        with pytest.raises(LaunchError, match=f"missing on the node: {missing}") as caught:
            await work.start()
        assert caught.value.node == 1
        assert [rank.state for rank in work.ranks] == ["aborted", "failed"]
    lab.nodes[1].run(f"[ ! -e {missing} ]")  # and it was not made, as docker would
    lab.nothing_left()


async def test_no_engine_and_no_space(lab: EngineLab) -> None:
    preset = lab.preset()
    # no room for another file: df does not tell, so that only the engine itself can
    store = "/var/lib/containers"
    everywhere = f"type -ap {lab.engine} | xargs readlink -f | sort -u"
    programs = lab.nodes[1].run(everywhere).split()
    used = int(lab.nodes[1].run(f"df -i {store} | tail -1").split()[2])
    lab.nodes[1].run(f"mount -o remount,nr_inodes={used + 3} {store}")
    async with fleet_of(preset) as fleet:
        with pytest.raises(LaunchError, match=f"no space is left for {lab.engine} on node 1"):
            await launch_of(fleet, preset).start()
        lab.nodes[1].run(f"mount -o remount,nr_inodes=0 {store}")
        for program in programs:
            lab.nodes[1].run(f"mv {program} {program}.away")
        with pytest.raises(LaunchError, match=rf"(?i)node 1 .*{lab.engine}"):
            await launch_of(fleet, preset).start()
    for program in programs:
        lab.nodes[1].run(f"mv {program}.away {program}")
    lab.nothing_left()
