"""What `pyproject.toml` cannot say: the workflow and its environments go into the wheel, as `avpretext/shipped`."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("workflow", "envs")


class WithWorkflow(build_py):
    """Builds the package, and copies what lies beside the source in a checkout; an editable install needs no copy."""

    def run(self) -> None:
        """Build, then copy `SHIPPED`."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, "avpretext", "shipped")
        shutil.rmtree(target, ignore_errors=True)
        for name in SHIPPED:
            shutil.copytree(name, target / name, ignore=shutil.ignore_patterns("__pycache__"))


setup(cmdclass={"build_py": WithWorkflow})
