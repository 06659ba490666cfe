"""What pyproject.toml cannot say: in a wheel, `assets/` lies inside the package as `e2ed2/bundled`."""

from setuptools import find_namespace_packages, setup

PARTS = ("app", "e2ed2", "study")

setup(
    packages=[*find_namespace_packages(include=[*PARTS, *(f"{part}.*" for part in PARTS)]), "e2ed2.bundled"],
    package_dir={"e2ed2.bundled": "assets"},
)
