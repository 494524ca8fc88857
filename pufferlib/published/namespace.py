"""`namespace(**kwargs)`, an object with attributes and items, and a decorator that makes them."""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any


class Namespace(SimpleNamespace, Mapping[str, Any]):
    """A `SimpleNamespace` that is a mapping too, so that `**` unpacks it."""

    def __getitem__(self, key: str) -> Any:
        return self.__dict__[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __len__(self) -> int:
        return len(self.__dict__)


def namespace(self: Any = None, **kwargs: Any) -> Any:
    """Return a `Namespace`. Today: a dataclass of Python, or `types.SimpleNamespace`.

    Args:
        self: set the attributes of this object instead, and return None.
        **kwargs: attributes.
    """
    if self is None:
        return Namespace(**kwargs)
    vars(self).update(kwargs)
    return None


def dataclass(cls: type) -> Any:
    """Return `cls`, made a mapping whose constructor takes its fields, by name.

    Fields are annotations, None by default, and attributes that are not methods or properties, of
    base classes too.
    """
    fields: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        fields |= dict.fromkeys(vars(base).get("__annotations__", ()))
        fields |= {name: value for name, value in vars(base).items() if _is_field(name, value)}

    def fill(self: Any, **kwargs: Any) -> None:
        vars(self).update(fields | kwargs)

    methods: dict[str, Any] = {"__init__": fill}
    for name in ("__getitem__", "__iter__", "__len__", "keys", "values", "items"):
        if not hasattr(cls, name):
            methods[name] = getattr(Namespace, name)
    for name, method in methods.items():
        setattr(cls, name, method)
    return cls


def _is_field(name: str, value: object) -> bool:
    return not (name.startswith("__") or callable(value) or hasattr(value, "__get__"))
