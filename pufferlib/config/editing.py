"""Read a preset file; change a table of one and leave everything else in it as it is."""

import json
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pufferlib.exceptions import SettingError

Value = str | int | float | bool | list[Any] | dict[str, Any] | None


def read(path: Path) -> dict[str, object]:
    """Return the contents of a TOML file, by key; {} if there is no such file.

    Raises:
        SettingError: it cannot be read, or is not valid TOML.
    """
    return _parse(_read(path), str(path))


def read_edited(path: Path, tables: Mapping[str, Mapping[str, Value]]) -> dict[str, object]:
    """Return what a TOML file would contain after `write` with each of `tables`, by name.

    Raises:
        SettingError: see `check`.
    """
    text = _read(path)
    for table, values in tables.items():
        check(path, table, values)
        text = edited(text, table, values, str(path))
    return _parse(text, str(path))


def write(path: Path, table: str, values: Mapping[str, Value]) -> None:
    """Write `values` into a table of a TOML file, which is created if needed.

    Comments, other tables, and other keys of the table stay. A temporary file is written and then
    renamed, so the file is never incomplete.

    Args:
        path: the file; its folder exists.
        table: name of the table.
        values: by key; None removes the key.

    Raises:
        SettingError: see `check`.
    """
    path = path.resolve()  # a symbolic link stays one
    text = edited(_read(path), table, values, str(path))
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, temporary)
        else:
            os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def check(path: Path, table: str, values: Mapping[str, Value]) -> None:
    """Refuse a file that `write` could not write, before there is anything to write.

    Args:
        path: the file.
        table: name of the table.
        values: such as will be written.

    Raises:
        SettingError: no folder, no permission, not TOML, or a table in an unusual form.
    """
    folder = path.resolve().parent
    if not folder.is_dir():
        raise SettingError(
            f"{path} cannot be written: there is no folder {folder}. Create it first."
        )
    if path.is_dir():
        raise SettingError(f"{path} is a folder. Name a file in it: {path / 'preset.toml'}")
    if not os.access(folder, os.W_OK):
        raise SettingError(f"{path} cannot be written: {folder} is read-only. Name another file.")
    edited(_read(path), table, values, str(path))


def edited(text: str, table: str, values: Mapping[str, Value], source: str) -> str:
    """Return a TOML text with `values` in one of its tables.

    Args:
        text: of the file.
        table: name of the table, dotted if it is within another; added at the end if there is none.
        values: by key; None removes the key.
        source: of the text, for the error.

    Raises:
        SettingError: it is not TOML, or the table is not written line by line below its heading.
    """
    expected = _parse(text, source)
    before: object = expected
    for key in table.split("."):
        before = before.setdefault(key, {}) if isinstance(before, dict) else None
    lines = text.splitlines()
    heading = re.compile(rf"\s*\[\s*{re.escape(table)}\s*\]\s*(#.*)?")
    start = next((number for number, line in enumerate(lines) if heading.fullmatch(line)), None)
    if start is None:
        lines += ["", f"[{table}]"] if lines else [f"[{table}]"]
        start = len(lines) - 1
    stop = next((n for n in range(start + 1, len(lines)) if re.match(r"\s*\[", lines[n])), None)
    lines[start + 1 : stop] = _edited_lines(lines[start + 1 : stop], values)
    end = "\r\n" if "\r\n" in text else "\n"
    result = "".join(line + end for line in lines)

    if isinstance(before, dict):
        before.update(values)
        for key in [key for key, value in before.items() if value is None]:
            del before[key]
    try:
        is_as_meant = tomllib.loads(result) == expected
    except tomllib.TOMLDecodeError:
        is_as_meant = False
    if not is_as_meant:
        wanted = ", ".join(f"{k} = {_toml(v)}" for k, v in values.items() if v is not None)
        raise SettingError(
            f"{source} has the table {table!r} in a form that is not edited automatically. Write "
            f"it below a heading [{table}], one setting per line, or add by hand: {wanted}."
        )
    return result


def _edited_lines(lines: list[str], values: Mapping[str, Value]) -> list[str]:
    """Return the lines of a table with `values` in them; new keys follow the last one there."""
    left = {key: value for key, value in values.items() if value is not None}
    result: list[str] = []
    last = 0  # where new keys go
    for line in lines:
        found = re.fullmatch(r"(\s*([\w-]+)\s*=\s*)([^#]*?)(\s*(?:#.*)?)", line)
        key = found[2] if found else None
        if found and key in values:
            if key not in left:
                continue
            line = f"{found[1]}{_toml(left.pop(key))}{found[4]}"
        result.append(line)
        if key is not None:
            last = len(result)
    result[last:last] = [f"{key} = {_toml(value)}" for key, value in left.items()]
    return result


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {_toml(part)}" for key, part in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    return repr(value) if isinstance(value, int | float) else json.dumps(value, ensure_ascii=False)


def _read(path: Path) -> str:
    """Return the text of a file, with its line ends; "" if there is none."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} cannot be read as a preset: {error}.") from error


def _parse(text: str, source: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(
            f"{source} is not valid TOML: {error}. Fix it, or name another file."
        ) from error
