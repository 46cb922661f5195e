"""Which packages the wheel holds: found, not listed. Everything else about the project is in `pyproject.toml`."""

from setuptools import find_packages, setup

ROOMS = ("analysis", "app", "config", "connectors", "core", "sync")

setup(
    packages=[
        "civicsync",
        *(
            f"civicsync.{each}"
            for each in find_packages(include=[name for room in ROOMS for name in (room, f"{room}.*")])
        ),
    ],
    package_dir={"civicsync": "."},
)
