"""Only what pyproject.toml cannot say: the C core, the build-time modules, and the stable ABI tag of the wheel."""

import sysconfig

from setuptools import setup
from setuptools.command.build_py import build_py

# Modules of the source tree that make others; outside it they cannot run.
BUILD_TIME = {
    ("lorgnette.firmware_bridge", "core_build"),
    ("lorgnette.firmware_bridge", "generate"),
    ("lorgnette.hardware.boards", "document"),
    ("lorgnette.hardware.boards", "generate"),
}


class BuildPy(build_py):
    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        modules = super().find_package_modules(package, package_dir)
        return [module for module in modules if module[:2] not in BUILD_TIME]


free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
setup(
    cmdclass={"build_py": BuildPy},
    cffi_modules=["firmware_bridge/core_build.py:ffibuilder"],
    options={} if free_threaded else {"bdist_wheel": {"py_limited_api": "cp311"}},
)
