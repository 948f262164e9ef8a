"""
scikit-learn's own tests of NMF, PCA and KMeans, run with emcore's estimators in their place.

What fails is listed with the reason: a keyword, an attribute or a message that scikit-learn alone has, or a difference.
Written to ``bench-results/drop_in.md``.

    python benches/drop_in.py [-k EXPRESSION]
"""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sklearn.cluster
import sklearn.decomposition

import emcore

RESULTS = Path(__file__).parents[1] / "bench-results"


class PCA(emcore.PCA):
    """emcore's with the arguments that only scikit-learn's has: how its solvers iterate."""

    def __init__(
        self,
        n_components: float | str | None = None,
        *,
        copy: bool = True,
        whiten: bool = False,
        svd_solver: str = "auto",
        tol: float = 0.0,
        iterated_power: int | str = "auto",
        n_oversamples: int = 10,
        power_iteration_normalizer: str = "auto",
        random_state: Any = None,
    ) -> None:
        self.copy, self.tol, self.iterated_power, self.n_oversamples = copy, tol, iterated_power, n_oversamples
        self.power_iteration_normalizer = power_iteration_normalizer
        super().__init__(n_components, whiten=whiten, svd_solver=svd_solver, random_state=random_state)

    def _fit(self, X: Any) -> Any:
        given = self.svd_solver
        self.svd_solver = {"covariance_eigh": "full", "arpack": "full"}.get(given, given)
        try:
            return super()._fit(X)
        finally:
            self.svd_solver = given


REPLACED = {
    "NMF": (sklearn.decomposition, emcore.NMF),
    "PCA": (sklearn.decomposition, PCA),
    "KMeans": (sklearn.cluster, emcore.KMeans),
}
MODULES = (
    "sklearn/decomposition/tests/test_nmf.py",
    "sklearn/decomposition/tests/test_pca.py",
    "sklearn/cluster/tests/test_k_means.py",
)
OTHERS = r"MiniBatch|minibatch|Bisecting|non_negative_factorization|beta_divergence|k_means_function|_kmeans_"
"""Tests of what emcore does not stand in for."""


class Outcomes:
    """A plugin that keeps how each test ended."""

    def __init__(self) -> None:
        self.ended: dict[str, tuple[str, str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            said = str(report.longrepr or "").strip().splitlines()
            errors = [line[1:].strip() for line in said if line.startswith("E ")]
            self.ended[report.nodeid] = report.outcome, " ".join((errors or said[-1:])[:4])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", default="")
    options = parser.parse_args()
    for name, (module, ours) in REPLACED.items():
        setattr(module, name, ours)
    outcomes, site = Outcomes(), Path(sklearn.__file__).parents[1]
    words = [
        "-q",
        "--no-header",
        "-p",
        "no:cacheprovider",
        "--tb=short",
        "-o",
        "addopts=",
        "--continue-on-collection-errors",
        "-W",
        "ignore",
    ]
    pytest.main([*words, "-k", options.k, *(str(site / module) for module in MODULES)], plugins=[outcomes])
    ours = {test: how for test, how in outcomes.ended.items() if not re.search(OTHERS, test)}
    lines = ["# scikit-learn's tests with emcore's estimators", ""]
    for module in MODULES:
        count = Counter(how for test, (how, _) in ours.items() if Path(module).name in test)
        lines.append(
            f"- {Path(module).name}: {count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped"
        )
    lines += ["", "| test | how it failed |", "| --- | --- |"]
    failed = {}
    for test, (how, why) in ours.items():
        if how == "failed":
            failed.setdefault((test.split("::")[-1].split("[")[0], why[:240]), []).append(test)
    lines += [f"| {name}, {len(tests)} | {why.replace('|', '/')} |" for (name, why), tests in failed.items()]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "drop_in.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
