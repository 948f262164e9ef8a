"""How many of the spectra that are known are components by themselves?"""

import numpy as np

from emcore.core.validation import Floats


def count_absent(singular: Floats, directions: Floats, known: Floats, edge: float) -> int:
    """
    How many known spectra are not among the components above noise.

    One that is, and is taken out of all rows, leaves a component less above noise. One that is not in the rows leaves
    as many, and so may one that is, at the same part everywhere, as a film under all: it is none by itself.

    Parameters
    ----------
    singular : ndarray, shape (k,)
        Singular values of the rows, not centred.
    directions : ndarray, shape (k, d)
        Right singular vectors.
    known : ndarray, shape (m, d)
        Weighted as the rows are; of spectra that are sums of others only as many count as are independent.
    edge : float
        What the singular value of a component is above.

    Returns
    -------
    int

    Examples
    --------
    >>> from emcore.methods.unmixing.known import count_absent
    >>> singular, directions = np.array([3.0, 2.0, 0.1]), np.eye(3, 5)
    >>> [count_absent(singular, directions, np.eye(5)[chosen], 0.5) for chosen in ([0], [0, 1], [4], [0, 3, 4])]
    [0, 0, 1, 2]
    """
    _, sizes, basis = np.linalg.svd(known / np.linalg.norm(known, axis=1, keepdims=True), full_matrices=False)
    basis = basis[sizes > 1e-6 * sizes[0]]
    along = np.einsum("kd,md->km", directions.astype(np.float64), basis)
    gram = singular[:, None] * (np.eye(len(singular)) - along @ along.T) * singular
    left = np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0))
    fewer = int(np.count_nonzero(singular > edge)) - int(np.count_nonzero(left > edge))
    return max(len(basis) - fewer, 0)
