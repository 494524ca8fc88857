"""Load an object by a reference, `package.module:attribute` or `path/to/file.py:attribute`.

    load_attribute("my_package.my_env:make_env")
    load_attribute("./my_env.py:make_env")

A module is searched on `sys.path`, then in the current directory. A file is loaded once per
process, under a private module name made from its absolute path, so files of the same name in
different folders do not clash.
"""

import functools
import hashlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType
from typing import Any

from pufferlib.exceptions import ArgumentError, NotInstalledError, UnknownNameError, suggestion
from pufferlib.locks import process_lock

_FORMS = "package.module:attribute or path/to/file.py:attribute"
_MOST_NAMES = 12  # in an error
_LOADING = process_lock()


@functools.cache
def distributions() -> Mapping[str, list[str]]:
    """Return which distributions bring each package; the first call reads all that are installed.

    With hundreds of them that takes a second.
    """
    return packages_distributions()


@dataclass(frozen=True)
class Reference:
    """A module or a file, and an attribute in it. Picklable; another process loads it again.

    Attributes:
        module: dotted name of a module, or None.
        file: absolute path of a file, or None.
        attribute: name in the module or file; dots lead to nested attributes.
        folder: absolute path of the directory that was current when the reference was parsed; a
            module is searched there after `sys.path`. A worker may have another current directory.
    """

    module: str | None
    file: str | None
    attribute: str
    folder: str = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Return the reference for `text`; nothing is loaded.

        Raises:
            ArgumentError: if it has neither form, or names no attribute.
        """
        place, _, attribute = text.rpartition(":")
        if text.endswith(".py"):
            raise ArgumentError(
                f"{text!r} names a file but nothing in it. Write {text}:NAME, where NAME is "
                f"defined in the file{_choices(text)}."
            )
        is_file = place.endswith(".py")
        is_module = all(part.isidentifier() for part in place.split("."))
        if not all(part.isidentifier() for part in attribute.split(".")) or not (
            is_file or is_module
        ):
            is_near = Path(f"{place}.py").expanduser().is_file()
            near = f" Did you mean '{place}.py:{attribute}'?" if is_near else ""
            raise ArgumentError(f"{text!r} must have the form {_FORMS}.{near}")
        folder = os.getcwd()
        if is_file:
            path = os.path.abspath(os.path.expanduser(place))
            return cls(None, path, attribute, folder)
        return cls(place, None, attribute, folder)

    @property
    def name(self) -> str:
        """The reference as text for `parse`; the path of a file is absolute."""
        return f"{self.file or self.module}:{self.attribute}"

    def load_module(self) -> ModuleType:
        """Return the module, or the file as a module.

        Raises:
            UnknownNameError: there is no such module or file.
            NotInstalledError: it imports a package that is not installed.
            ArgumentError: it raises another error while it is imported.
        """
        if self.file is not None:
            return load_file(self.file)
        assert self.module is not None
        return load_module(self.module, self.folder)

    def load(self) -> Any:
        """Return the attribute.

        Raises:
            UnknownNameError: there is no such attribute, module or file; suggests the nearest.
            NotInstalledError, ArgumentError: see `load_module`.
        """
        value: Any = self.load_module()
        path = self.file or self.module
        for name in self.attribute.split("."):
            try:
                value = getattr(value, name)
            except AttributeError as error:
                names = _defined(value)
                defined = f": {', '.join(names[:_MOST_NAMES])}" if names else " nothing public"
                raise UnknownNameError(
                    f"{path} has no attribute {name!r}.{suggestion(name, names)} It defines"
                    f"{defined}{', ...' if len(names) > _MOST_NAMES else '.'}"
                ) from error
            path = f"{path}:{name}"
        return value


def is_reference(text: str) -> bool:
    """Return whether `text` looks like a reference: it has a colon or names a Python file."""
    return ":" in text or text.endswith(".py")


def load_attribute(reference: str) -> Any:
    """Return the object at `package.module:attribute` or `path/to/file.py:attribute`.

    Raises:
        UnknownNameError: there is no such attribute, module or file; suggests the nearest names.
        NotInstalledError: the module imports a package that is not installed.
        ArgumentError: `reference` has another form, or the module raises an error on import.
    """
    return Reference.parse(reference).load()


def load_file(path: str | Path) -> ModuleType:
    """Return the module made from a Python file; every call in a process returns the same one.

    The file's folder is added to the end of `sys.path`, so the file can import its neighbors.

    Raises:
        UnknownNameError: there is no such file; suggests the nearest of its folder.
        NotInstalledError: it imports a package that is not installed.
        ArgumentError: it raises another error while it is loaded.
    """
    path = Path(os.path.abspath(path))
    name = _private_name(path)
    with _LOADING:
        if name in sys.modules:
            return sys.modules[name]
        if not path.is_file():
            neighbors = sorted(p.name for p in path.parent.glob("*.py"))
            raise UnknownNameError(
                f"There is no file {path}.{suggestion(path.name, neighbors)} If it was moved, give "
                f"its new path."
            )
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # dataclasses and pickle look up their module
        _add_to_path(str(path.parent))
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            raise _import_error(str(path), error) from error
        except BaseException:
            del sys.modules[name]
            raise
        return module


def load_module(name: str, folder: str) -> ModuleType:
    """Return a module from `sys.path`, or else from `folder`, which is then added to the path.

    Raises:
        UnknownNameError: there is no such module.
        NotInstalledError: it imports a package that is not installed.
        ArgumentError: it raises another error while it is imported.
    """
    package = name.partition(".")[0]
    try:
        is_on_path = package in sys.modules or importlib.util.find_spec(package) is not None
        if not is_on_path:
            _add_to_path(folder)
            importlib.invalidate_caches()
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _import_error(name, error) from error
        found = "" if error.name == package else f"; {package} is {_place_of(package)}"
        raise UnknownNameError(
            f"There is no module {error.name!r}: sys.path and the directory {folder} were "
            f"searched{found}. Install the package, change to the directory that contains it, or "
            f"name a file: path/to/{name.rpartition('.')[2]}.py:NAME"
        ) from error
    except Exception as error:
        raise _import_error(name, error) from error


def _place_of(package: str) -> str:
    """Return the path of an imported package."""
    module = sys.modules[package]
    paths = [module.__file__] if getattr(module, "__file__", None) else [*module.__path__]
    return str(paths[0])


def _import_error(what: str, error: Exception) -> Exception:
    """Return an error that says why importing `what` failed, and at which line."""
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        return NotInstalledError(
            f"{what} imports {error.name}, which is not installed. Install it, or fix the import."
        )
    where = ""
    if isinstance(error, SyntaxError):
        where = f" ({error.filename}, line {error.lineno})"
    else:
        frames = list(traceback.extract_tb(error.__traceback__))
        frames = [
            f for f in frames if not f.filename.startswith("<frozen") and f.filename != __file__
        ]
        if frames:
            where = f" ({frames[-1].filename}, line {frames[-1].lineno})"
    text = error.msg if isinstance(error, SyntaxError) else error
    return ArgumentError(
        f"{what} cannot be imported: {type(error).__name__}: {text}{where}. Fix it, then try "
        f"again; python -c 'import ...' or python FILE shows the whole traceback."
    )


def _private_name(path: Path) -> str:
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    return f"_pufferlib_file_{digest}_{path.stem}"


def _add_to_path(folder: str) -> None:
    if folder not in sys.path and not ("" in sys.path and folder == os.getcwd()):
        sys.path.append(folder)


def _defined(value: object) -> list[str]:
    """Return the public names of a module or class, without those that it imports."""
    names = vars(value) if hasattr(value, "__dict__") else {}
    module = getattr(value, "__name__", None) if isinstance(value, ModuleType) else None
    return sorted(
        name
        for name, part in names.items()
        if not name.startswith("_")
        and not isinstance(part, ModuleType)
        and (module is None or f"{getattr(part, '__module__', module)}.".startswith(f"{module}."))
    )


def _choices(path: str) -> str:
    """Return ", for example a or b" with names that a file defines; "" if it cannot be read."""
    import ast

    try:
        tree = ast.parse(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return ""
    kinds = (ast.FunctionDef, ast.ClassDef)
    names = [n.name for n in tree.body if isinstance(n, kinds) and not n.name.startswith("_")]
    return f", for example {' or '.join(names[:3])}" if names else ""
