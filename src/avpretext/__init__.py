"""Self-supervision for speech emotion recognition from talking-face video."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("avpretext")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"
