"""Mistakes that a type checker must find: mypy, which is strict here, refuses an ``ignore`` of what is no error."""

import numpy as np

import emcore


def mistaken() -> None:
    scan = np.zeros((8, 8, 32, 32), dtype=np.uint8)
    emcore.segment_grains(scan, n_grians=3)  # type: ignore[call-arg]
    emcore.foo()  # type: ignore[attr-defined]
    result = emcore.segment_grains(scan)
    result.label  # type: ignore[attr-defined]  # noqa: B018
    result.plot(colour="red")  # type: ignore[call-overload]
    number: str = result.n_grains  # type: ignore[assignment]
    print(number, emcore.KMeans(n_clusters="many"))  # type: ignore[arg-type]
