"""Builds the compiled twins where there is a compiler; pyproject.toml has the rest.

Without Cython, NumPy or a compiler, or with PUFFERLIB_NO_EXTENSIONS=1, the plain twins are used.
"""

import os
import sys

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
    modules = ["pufferlib.emulation._compiled", "pufferlib.registry._nethack_batch"]
    if sys.platform == "linux":  # it waits by futex
        modules.append("pufferlib.vector.processes._gate")
    compiled = [
        Extension(
            module,
            [f"{module.replace('.', '/')}.pyx"],
            include_dirs=[numpy.get_include()],
            define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
            extra_compile_args=["-O3", "-fwrapv"],
        )
        for module in modules
    ]
    compiled = cythonize(compiled, build_dir="build/cython")
    for extension in compiled:
        extension.optional = True  # a failing compiler is a warning; cythonize does not pass it on
    return compiled


setup(ext_modules=extensions())
