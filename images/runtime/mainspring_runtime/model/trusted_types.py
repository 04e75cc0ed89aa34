"""Types that a skops file may contain besides those that skops trusts by itself (scikit-learn's estimators, NumPy, SciPy).

Reviewed with scikit-learn 1.9 and skops 0.16. A type is on the list when making one from a file runs nothing but its own
constructor and `__setstate__`, and these only store numbers, strings and objects that are on the list too. Functions are
on it when they are pure; skops names each of them, also inside a `functools.partial`, which itself calls nothing.
Compiled trees and neighbour indexes check the shape of what they read. Boosters of xgboost 3.2 and lightgbm 4.7 hand
bytes to the parser of their native library, as loading a model file of theirs does; no Python runs in it.

A Model can allow more with `spec.trustedTypes`.
"""

from __future__ import annotations

_MODULES: dict[str, tuple[str, ...]] = {
    # Fitted trees, alone or in forests and boosting.
    "sklearn.tree._tree": ("Tree",),
    "sklearn.ensemble._hist_gradient_boosting.predictor": ("TreePredictor",),
    # Calibration, and the folds it was fitted on.
    "sklearn.calibration": ("_CalibratedClassifier", "_SigmoidCalibration", "_TemperatureScaling"),
    "sklearn.model_selection._split": ("KFold", "StratifiedKFold"),
    # Nearest neighbours.
    "sklearn.neighbors._ball_tree": ("BallTree",),
    "sklearn.neighbors._kd_tree": ("KDTree",),
    "sklearn.metrics._dist_metrics": (
        "ChebyshevDistance64",
        "EuclideanDistance64",
        "ManhattanDistance64",
        "MinkowskiDistance64",
    ),
    # Neural networks and Gaussian processes.
    "sklearn.neural_network._stochastic_optimizers": ("AdamOptimizer", "SGDOptimizer"),
    "sklearn.gaussian_process._gpc": ("_BinaryGaussianProcessClassifierLaplace",),
    "sklearn.gaussian_process.kernels": (
        "CompoundKernel",
        "ConstantKernel",
        "DotProduct",
        "Exponentiation",
        "ExpSineSquared",
        "Matern",
        "PairwiseKernel",
        "Product",
        "RBF",
        "RationalQuadratic",
        "Sum",
        "WhiteKernel",
    ),
    # Losses that linear models keep.
    "sklearn._loss.loss": (
        "HalfGammaLoss",
        "HalfPoissonLoss",
        "HalfSquaredError",
        "HalfTweedieLoss",
        "HalfTweedieLossIdentity",
    ),
    # Containers of other estimators, and searches over their parameters.
    "sklearn.utils._bunch": ("Bunch",),
    "sklearn.metrics._scorer": ("_PassthroughScorer",),
    # Inside preprocessing.
    "functools": ("partial",),
    "numpy": ("dtype", "mean"),
    "scipy.interpolate._bsplines": ("BSpline",),
    "scipy._lib.array_api_compat.numpy._aliases": ("asarray",),
    "sklearn.feature_selection._univariate_selection": ("chi2", "f_classif", "f_regression"),
    "sklearn.utils.validation": ("check_array",),
    # Boosting libraries, which are in the image runtime-boosting.
    "collections": ("OrderedDict",),
    "xgboost.core": ("Booster",),
    "xgboost.sklearn": ("XGBClassifier", "XGBRFClassifier", "XGBRFRegressor", "XGBRegressor"),
    "lightgbm.basic": ("Booster",),
    "lightgbm.sklearn": ("LGBMClassifier", "LGBMRegressor"),
    "mainspring_runtime.model.boosters": ("LightGBMClassifier", "LightGBMRegressor"),
}

TRUSTED_TYPES = frozenset(f"{module}.{name}" for module, names in _MODULES.items() for name in names)
