"""Builds the compiled twin of the emulation where there is a compiler; pyproject.toml has the rest.

Without Cython, NumPy or a compiler, or with PUFFERLIB_NO_EXTENSIONS=1, the plain twin is used.
"""

import os

from setuptools import Extension, setup


def extensions() -> list[Extension]:
    """Return the extension modules that can be built here."""
    if os.environ.get("PUFFERLIB_NO_EXTENSIONS", "") not in ("", "0"):
        return []
    try:
        import numpy
        from Cython.Build import cythonize
    except ImportError:
        return []
    compiled = Extension(
        "pufferlib.emulation._compiled",
        ["pufferlib/emulation/_compiled.pyx"],
        include_dirs=[numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
        extra_compile_args=["-O3"],
        optional=True,  # a failing compiler is a warning
    )
    return cythonize([compiled], build_dir="build/cython")


setup(ext_modules=extensions())
