"""What a factorisation is asked for, as its kernels read it: by attribute."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Penalty:
    """``l1 Σ|·| + ½ l2 Σ(·)²``."""

    l1: float = 0.0
    l2: float = 0.0


@dataclass(frozen=True)
class Parameters:
    """As `emcore.methods.nmf.fit.nmf` has them, with the penalties on W and on H, and how many components are fixed."""

    solver: str
    loss: str
    inner_sweeps: int
    max_iter: int
    tol: float
    on_w: Penalty
    on_h: Penalty
    fixed: int = 0
