"""A real Slurm on one machine, for the tests: controller, node and munge in a folder of their own, on ports of their own.

Needs Debian's ``slurm-wlm slurm-wlm-basic-plugins munge``; no systemd, no cgroups, no settings in ``/etc``. Several may
run side by side.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scontrol", "sinfo")
SYSTEM_PROGRAMS = "/usr/sbin:/usr/local/sbin:/sbin"
CPUS = 4
REQUEUE_SECONDS = 5
"""Seconds that a job which is put back into the queue waits: the lifetime of its credentials, 120 unless said."""
LARGEST_ARRAY = 4
"""Tasks of an array; more are refused."""
_PATIENCE = 30.0
_LOOK_SECONDS = 0.3
"""Seconds between two looks at the queue: each takes time of the cores that the jobs need."""

_CONF = """\
ClusterName=citytwin
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire={requeue_seconds}
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
ReturnToService=2
KillWait=5
MinJobAge=300
MaxArraySize={largest_array}
OverTimeLimit=0
JobRequeue=1
SlurmctldTimeout=60
SlurmdTimeout=60
MessageTimeout=30
PropagateResourceLimits=NONE
SlurmdParameters=config_overrides
DefMemPerCPU=500
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class UnavailableError(RuntimeError):
    """Slurm cannot be started here; the message says why."""


class SlurmCluster:
    """A Slurm that runs until :meth:`stop`; its programs find it by the variables of :attr:`environment`.

    Attributes:
        environment: those variables.
        aside: names of jobs that go on beside those of the tests, which neither wait for them nor cancel them.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        path = f"{os.environ['PATH']}:{SYSTEM_PROGRAMS}"
        missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
        if missing:
            raise UnavailableError(
                f"no {', '.join(missing)} here (apt-get install slurm-wlm slurm-wlm-basic-plugins munge)"
            )
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
        self.aside: set[str] = set()
        self._processes: list[subprocess.Popen[bytes]] = []
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        for name in ("state", "spool", "munge"):
            (self.folder / name).mkdir(mode=0o755)
        controller_port, node_port = _free_ports(2)
        megabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        conf = _CONF.format(
            host=socket.gethostname().partition(".")[0],
            controller_port=controller_port,
            node_port=node_port,
            user=pwd.getpwuid(os.getuid()).pw_name,
            folder=self.folder,
            cpus=CPUS,
            requeue_seconds=REQUEUE_SECONDS,
            largest_array=LARGEST_ARRAY,
            memory=max(2000, megabytes * 8 // 10),
        )
        (self.folder / "slurm.conf").write_text(conf)
        munge = self.folder / "munge"
        key = munge / "key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        files = {"key-file": key, "socket": munge / "socket", "pid-file": munge / "pid", "seed-file": munge / "seed"}
        self._daemon(
            "munged",
            "--foreground",
            "--force",
            "--num-threads=2",
            *(f"--{name}={file}" for name, file in files.items()),
        )
        self._wait_for("munge", (munge / "socket").exists)
        self._daemon("slurmctld", "-D", "-c")
        self._daemon("slurmd", "-D")
        self._wait_for("an idle node", lambda: "idle" in self.call("sinfo", "-h", "-o", "%T", check=False))

    def _daemon(self, *command: str) -> None:
        with (self.folder / f"{command[0]}.out").open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | self.environment,
                start_new_session=True,
            )
        self._processes.append(process)

    def _wait_for(self, what: str, condition) -> None:
        end = time.monotonic() + _PATIENCE
        while not condition():
            dead = [process.args[0] for process in self._processes if process.poll() is not None]
            if dead or time.monotonic() > end:
                logs = "\n".join(
                    f"{log.name}: {log.read_text(errors='replace')[-500:]}"
                    for log in sorted([*self.folder.glob("*.out"), *self.folder.glob("*.log")])
                )
                raise UnavailableError(f"no {what} ({dead[0]} died)\n{logs}" if dead else f"no {what}\n{logs}")
            time.sleep(0.05)

    def call(self, *command: str, check: bool = True) -> str:
        """Run one of Slurm's programs and return what it prints."""
        environment = os.environ | {"SLURM_CONF": self.environment["SLURM_CONF"]}
        environment["PATH"] += f":{SYSTEM_PROGRAMS}"
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert not check or done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def jobs(self) -> dict[str, str]:
        """Return the states of the jobs that are not over, by identifier; not of those aside."""
        lines = [line.split() for line in self.call("squeue", "-h", "-r", "-o", "%i %T %j").splitlines()]
        return {job: state for job, state, name in lines if name not in self.aside}

    def wait(self, *, patience: float = 300.0) -> None:
        """Wait until no job is left."""
        end = time.monotonic() + patience
        while left := self.jobs():
            assert time.monotonic() < end, f"jobs are not over: {left}"
            time.sleep(_LOOK_SECONDS)

    def clear(self) -> None:
        """Cancel all jobs and wait until none is left."""
        if left := self.jobs():
            self.call("scancel", *left, check=False)
        self.wait()

    def stop(self) -> None:
        """Cancel all jobs and stop the daemons."""
        if len(self._processes) == 3:
            with contextlib.suppress(AssertionError, subprocess.SubprocessError, OSError):
                self.call("scancel", "--full", "--signal=KILL", f"--user={pwd.getpwuid(os.getuid()).pw_name}")
                self.wait(patience=10)
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
