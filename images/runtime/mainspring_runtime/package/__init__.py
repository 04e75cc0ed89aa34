"""Make a model version of a model that was trained elsewhere: `python -m mainspring_runtime package`.

    command ─► examples    example rows: which columns there are, of which types
        │ └──► sources     the model file: skops, joblib, ONNX, or a booster of xgboost or lightgbm
        ├──► describing    what an estimator takes and answers; `graphs` says it of an ONNX file
        ├──► fastpath      its ONNX graph, if one can be made and proved equal
        └──► manifest      the ModelVersion to apply

The directory that it makes is what a TrainingRun makes, so evaluating and serving know no difference.
"""
