"""Signatures that can be read: `help` prints a parameter a line, and types as they are named in the source.

Python writes aliases out (`ArrayLike` is 500 characters of unions) and, before 3.13, a signature in one line. What
`help` and editors ask for, `inspect.signature`, is a function's `__signature__` where it has one. The types themselves,
in `__annotations__`, stay as they are.
"""

import inspect
from types import FunctionType, ModuleType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

# Longer ones are broken into lines.
_WIDTH = 60
_ALIASES = {name: frozenset(get_args(alias)) for name, alias in (("ArrayLike", ArrayLike), ("DTypeLike", DTypeLike))}
_ONE_LINE: Any = getattr(inspect.Signature, "format", inspect.Signature.__str__)  # which calls `format` from 3.13 on
_classes: set[type] = set()

Thing = TypeVar("Thing")


class _Words(str):
    """A type as it is spelled: no quotes around it."""

    __slots__ = ()
    __repr__ = str.__str__


class Signature(inspect.Signature):
    """A signature that is printed in lines of a parameter each where it is long."""

    __slots__ = ()

    def format(self, **_: Any) -> str:
        """Of any `max_width` and `quote_annotation_strings`."""
        line: str = _ONE_LINE(self)
        if len(line) <= _WIDTH:
            return line
        parameters = list(self.parameters.values())
        lines = list(map(str, parameters))
        kinds = [each.kind for each in parameters]
        if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
            lines.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
        if positional := kinds.count(inspect.Parameter.POSITIONAL_ONLY):
            lines.insert(positional, "/")
        returned = "" if self.return_annotation is self.empty else f" -> {self.return_annotation}"
        return "(\n" + "".join(f"    {each},\n" for each in lines) + f"){returned}"

    __str__ = format


def readable(thing: Thing) -> Thing:
    """Give a function, the functions of a class, or those of a module that it names as public, such a signature.

    Examples
    --------
    >>> import inspect
    >>> from numpy.typing import ArrayLike, NDArray
    >>> def centred(rows: ArrayLike | None, *, by: float = 0.0) -> NDArray[np.float32]: ...
    >>> print(inspect.signature(readable(centred)))
    (
        rows: ArrayLike | None,
        *,
        by: float = 0.0,
    ) -> NDArray[float32]
    """
    if isinstance(thing, FunctionType):
        if "__signature__" not in vars(thing):
            thing.__signature__ = _signature(thing)  # type: ignore[attr-defined]
    elif isinstance(thing, ModuleType):
        for name in thing.__all__:
            readable(getattr(thing, name))
    elif isinstance(thing, type):
        for cls in thing.__mro__:
            if cls.__module__.partition(".")[0] == "emcore" and cls not in _classes:
                _classes.add(cls)
                for each in list(vars(cls).values()):
                    readable(inspect.unwrap(getattr(each, "__func__", each)))
    return thing


def _signature(function: FunctionType) -> Signature:
    plain = inspect.signature(function)
    parameters = [each.replace(annotation=_spelled(each.annotation)) for each in plain.parameters.values()]
    return Signature(parameters, return_annotation=_spelled(plain.return_annotation))


def _spelled(annotation: Any) -> Any:
    """A type in the words of the source."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if annotation is inspect.Signature.empty:
        return annotation
    if isinstance(annotation, str):
        words = annotation
    elif isinstance(annotation, list):
        words = f"[{', '.join(map(_spelled, annotation))}]"
    elif origin in (Union, UnionType):
        named = {name: parts for name, parts in _ALIASES.items() if parts and parts <= set(inside)}
        rest = [_spelled(each) for each in inside if not any(each in parts for parts in named.values())]
        words = " | ".join([*named, *rest])
    elif origin is np.ndarray:
        (scalar,) = get_args(inside[1]) or ("Any",)
        words = f"NDArray[{_spelled(scalar)}]"
    elif annotation is None or annotation is type(None):
        words = "None"
    elif annotation is ...:
        words = "..."
    else:
        words = getattr(origin or annotation, "__name__", str(annotation))
        words += f"[{', '.join(map(_spelled, inside))}]" if inside else ""
    return _Words(words)
