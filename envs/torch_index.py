"""Print the option by which pip takes PyTorch's build for CPUs, where there is no GPU of NVIDIA and the index answers.

On Linux, PyPI's own build is for CUDA, 5 GB more on disk; `make CUDA=1` takes that. With `--cpu` a GPU of this machine
does not count: an image runs elsewhere.
"""

import platform
import socket
import sys
from pathlib import Path

HOST, INDEX = "download.pytorch.org", "https://download.pytorch.org/whl/cpu"
TIMEOUT_S = 3.0


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


def option(cpu: bool = False) -> str:
    """Return the option; nothing where PyPI's build is as good, or wanted. `cpu`: a GPU here is no reason."""
    built_for_cuda = sys.platform == "linux" and platform.machine() == "x86_64"
    return f"--extra-index-url {INDEX}" if built_for_cuda and (cpu or not has_gpu()) and answers() else ""


if __name__ == "__main__":
    print(option(cpu="--cpu" in sys.argv[1:]))
