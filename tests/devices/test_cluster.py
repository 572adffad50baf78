"""Which process of how many a command is, and what is found wrong before jax waits."""

import socket
import threading

import pytest

from bmjax.devices.cluster import (
    Cluster,
    check_reachable,
    find_cluster,
    first_node,
)
from bmjax.errors import ConfigError

SRUN = {
    "SLURM_JOB_ID": "5000",
    "SLURM_STEP_ID": "2",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_NODELIST": "node[03-04]",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2)",
    "SLURM_NTASKS": "8",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
}
MPIRUN = {
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
}
UNSET = ("", 0, -1)


def test_without_a_launcher_there_is_one_process():
    assert find_cluster(*UNSET, {}) is None


def test_srun_says_all():
    visible = {**SRUN, "CUDA_VISIBLE_DEVICES": "0,1,2,3"}
    # 61440 + (job 5000 + step 2) % 4096
    assert find_cluster(*UNSET, visible) == Cluster("node03:62346", 8, 5, (1,), "Slurm")


def test_a_batch_script_and_one_task_are_one_process():
    script = {name: SRUN[name] for name in ("SLURM_JOB_ID", "SLURM_NTASKS")}
    assert find_cluster(*UNSET, {**script, "SLURM_PROCID": "0"}) is None
    assert find_cluster(*UNSET, {**SRUN, "SLURM_STEP_NUM_TASKS": "1"}) is None


def test_devices_are_shared_out_where_all_see_all_of_them():
    def devices(visible, local=4):
        step = {"SLURM_STEP_TASKS_PER_NODE": f"{local}(x2)", "SLURM_LOCALID": "1"}
        found = {**SRUN, **step, "CUDA_VISIBLE_DEVICES": visible}
        return find_cluster(*UNSET, found).devices

    assert devices("0,1,2,3") == (1,)
    assert devices("0,1,2,3", local=2) == (2, 3)
    assert devices("2") is None  # srun --gpus-per-task shows each its own
    assert devices("0,1,2,3", local=1) is None  # one task takes all of its machine
    assert devices("") is None


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node001", "node001"),
        ("node001,host2", "node001"),
        ("node[001-0015],host2", "node001"),
        ("node[001,007-015].cluster", "node001.cluster"),
        ("gpu-a[07]", "gpu-a07"),
    ],
)
def test_the_first_name_of_a_list_of_machines(nodes, first):
    assert first_node(nodes) == first


def test_mpirun_on_one_machine_says_all_and_on_several_not_the_address():
    found = find_cluster(*UNSET, MPIRUN)
    assert found[:3] == ("localhost:61439", 2, 1)
    spread = {**MPIRUN, "OMPI_COMM_WORLD_LOCAL_SIZE": "1"}
    with pytest.raises(ConfigError, match="coordinator=HOST:PORT"):
        find_cluster(*UNSET, spread)
    assert find_cluster("node1:99", 0, -1, spread)[:3] == ("node1:99", 2, 1)


def test_what_is_set_beats_what_is_detected():
    assert find_cluster("host:99", 2, 1, SRUN)[:3] == ("host:99", 2, 1)
    assert find_cluster("", 1, -1, SRUN) is None


def test_a_job_of_kubernetes_gives_the_number():
    found = find_cluster("train-0.train:8476", 4, -1, {"JOB_COMPLETION_INDEX": "3"})
    assert found[:3] == ("train-0.train:8476", 4, 3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("host:99", 2, 2), "numbered from 0; give 0 to 1"),
        (("host:99", 2, -1), "add --config.mesh.process=I, 0 to 1"),
        (("host:99", 0, -1), "add --config.mesh.processes=N"),
        (("", 2, 0), "add --config.mesh.coordinator=HOST:PORT"),
        (("host", 2, 0), "is not HOST:PORT"),
        (("host:port", 2, 0), "is not HOST:PORT"),
        (("host:70000", 2, 0), "is not HOST:PORT"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(settings, said):
    with pytest.raises(ConfigError, match=said):
        find_cluster(*settings, {})


def bound():
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    return listening, listening.getsockname()[1]


def test_process_0_has_to_own_the_address_and_find_the_port_free():
    listening, port = bound()
    with listening:
        listening.listen()
        with pytest.raises(ConfigError, match="cannot listen there"):
            check_reachable(Cluster(f"127.0.0.1:{port}", 2, 0))
    # An address for documentation (RFC 5737), which no machine has.
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1 port 99.*own name"):
        check_reachable(Cluster("192.0.2.1:99", 2, 0))


def test_the_others_wait_until_somebody_listens():
    listening, port = bound()
    said = []
    with listening:
        later = threading.Timer(0.3, listening.listen)
        later.start()
        check_reachable(Cluster(f"127.0.0.1:{port}", 2, 1), wait=30.0, say=said.append)
        later.join()
    assert said == [f"waiting for process 0 at 127.0.0.1 port {port}"]


def test_nobody_listening_is_an_error_that_names_what_it_may_be():
    listening, port = bound()
    listening.close()
    with pytest.raises(ConfigError, match="that is this machine itself"):
        check_reachable(Cluster(f"127.0.0.1:{port}", 2, 1), wait=0.0)


def test_a_machine_that_is_not_known():
    with pytest.raises(ConfigError, match="names a machine that is not known here"):
        check_reachable(Cluster("no.such.host.invalid:99", 2, 1), wait=0.0)
