"""Print the option by which pip takes PyTorch's build for CPUs, where there is no GPU of NVIDIA and the index answers.

On Linux, PyPI's own build is for CUDA. `--cuda` (`make CUDA=1`) takes that; `--cpu` takes the other where there is a
GPU too, for an image that runs elsewhere. What is to be downloaded goes to the standard error.
"""

import socket
import sys
from pathlib import Path

HOST, INDEX = "download.pytorch.org", "https://download.pytorch.org/whl/cpu"
TIMEOUT_S = 3.0
CPU, CUDA = "up to 750 MB to download, 2.3 GB on disk", "up to 3.3 GB to download, 7.2 GB on disk"
"""What `make environment` takes: benchmarks/install.md."""


def has_gpu(devices: Path = Path("/proc/driver/nvidia")) -> bool:
    """Tell whether a driver of NVIDIA is loaded, also that of Windows below WSL."""
    return devices.exists() or Path("/dev/dxg").exists()


def answers(host: str = HOST, timeout_s: float = TIMEOUT_S) -> bool:
    """Tell whether a host takes a connection within some seconds."""
    try:
        socket.create_connection((host, 443), timeout_s).close()
    except OSError:
        return False
    return True


def choice(cuda: bool | None = None) -> tuple[str, str]:
    """Return the option, nothing where PyPI's build is as good, or wanted; and what is to be downloaded.

    `cuda` is None where the GPU of this machine decides.
    """
    if sys.platform != "linux":
        return "", f"PyTorch as on PyPI: {CPU}"
    if cuda or (cuda is None and has_gpu()):
        return "", f"PyTorch for GPUs: {CUDA}"
    if not answers():
        return "", f"{HOST} does not answer, so PyTorch comes from PyPI, for GPUs: {CUDA}"
    return f"--extra-index-url {INDEX}", f"PyTorch for CPUs: {CPU}"


if __name__ == "__main__":
    option, size = choice({"--cuda": True, "--cpu": False}.get(sys.argv[-1]))
    print(size, file=sys.stderr)
    print(option)
