"""`namespace(**kwargs)`, an object with attributes and items, and a decorator that makes them."""

from collections.abc import Callable, Iterator, Mapping
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


def namespace(**kwargs: Any) -> Namespace:
    """Return a `Namespace`. Today: a dataclass of Python, or `types.SimpleNamespace`."""
    return Namespace(**kwargs)


def dataclass(cls: type) -> Callable[..., Namespace]:
    """Return a `Namespace` whose fields are the attributes and annotations of `cls`."""
    own = {name: value for name, value in vars(cls).items() if not name.startswith("__")}
    fields = dict.fromkeys(getattr(cls, "__annotations__", {})) | own
    return type(cls.__name__, (Namespace,), {"__init__": _filling(fields)})


def _filling(fields: dict[str, Any]) -> Callable[..., None]:
    def fill(self: Namespace, **kwargs: Any) -> None:
        self.__dict__.update(fields | kwargs)

    return fill
