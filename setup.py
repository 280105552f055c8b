# SPDX-License-Identifier: Apache-2.0
"""The two steps of the build that ``setup.cfg`` cannot say: call Bazel for the library, and tag the wheel for it."""

import platform
import shutil
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tools.build_library import LIBRARY, REPOSITORY, build, newest_glibc


def machine_of(platform_name: str) -> str:
    """The processor that a platform name of a wheel ends with."""
    return platform_name.replace("-", "_").replace(".", "_").removeprefix("linux_")


class BuildWithLibrary(build_py):
    """Builds ``libtfprune.so`` before the package's files are collected.

    ``--plat-name linux_aarch64`` of the wheel takes the library of the configuration of that name in ``.bazelrc``; the
    checkout keeps the library of this machine.
    """

    def run(self) -> None:
        """Builds the library, then does what setuptools does, without files left over from an earlier build."""
        machine = machine_of(self.get_finalized_command("bdist_wheel").plat_name)
        crossed = not self.editable_mode and machine != platform.machine()
        if not crossed:
            build()
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        if crossed:
            build(built_library(self.build_lib), config=machine)


def built_library(build_lib: str) -> Path:
    """Where the library lies among the files that go into a wheel."""
    return Path(build_lib).resolve() / LIBRARY.relative_to(REPOSITORY)


class BinaryDistribution(Distribution):
    """A distribution that goes where compiled code goes: setuptools knows nothing of Bazel's part."""

    def has_ext_modules(self) -> bool:
        """Always true."""
        return True


class PlatformWheel(bdist_wheel):
    """A wheel for every Python 3 but one platform: the library is loaded with ``ctypes`` and uses no Python API."""

    def get_tag(self) -> tuple[str, str, str]:
        """The tag: the manylinux policy of the newest glibc symbol that the library imports."""
        library = built_library(self.get_finalized_command("build").build_lib)
        major, minor = newest_glibc(library if library.exists() else LIBRARY)
        return "py3", "none", f"manylinux_{major}_{minor}_{machine_of(self.plat_name)}"


setup(distclass=BinaryDistribution, cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})
