"""
Scans of patterns and of spectra before they are counted: specimens by espm, crystals by pyxem and diffsims.

    python few_counts.py --seed 1 --out FOLDER        one NAME.npz per case, the same for the same seed

Every file holds

    expected  (y, x, ky, kx) or (y, x, channels) float32, the mean of which over positions sums to one
    k         of how many signals it is mixed; 0 where they vary without steps
"""

import zlib
from dataclasses import replace

import numpy as np
from arguments import parsed

import scans
import spectra

SCANS = ("bending", "two_phases", "vacuum", "gaussian_beam")
SPECIMENS = ("particles", "layers", "gradients", "blobs")


def main() -> None:
    args = parsed(__doc__)
    made = {}
    for name in SCANS:
        rng = np.random.default_rng([args.seed, zlib.crc32(name.encode())])
        case = replace(scans.CASES[name], scan=(48, 48), pixels=48)
        mean, known = scans.expected(case, rng)
        made[name] = mean, 0 if known["bending"] else int(known["groups"].max()) + 1
    of_spectra = spectra.eds(args.seed)
    for name in SPECIMENS:
        case = next(case for stem, case in of_spectra.items() if stem.startswith(name))
        made[name] = np.einsum("kyx,ke->yxe", case["maps"], case["spectra"]), len(case["spectra"])
    for name, (mean, k) in made.items():
        if args.only in name:
            mean = mean / mean.sum() * np.prod(mean.shape[:2])
            np.savez_compressed(args.out / f"{name}.npz", expected=mean.astype(np.float32), k=k)


if __name__ == "__main__":
    main()
