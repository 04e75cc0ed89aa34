"""KServe's scikit-learn server, run by the interpreter of KServe's own environment.

Its package `sklearnserver` is not published, so this does what that does: a joblib file behind `kserve.Model`, with
KServe's own conversion of requests and answers.
"""

import argparse
from pathlib import Path

import joblib
from kserve import Model, ModelServer, model_server
from kserve.utils.utils import get_predict_input, get_predict_response


class SklearnModel(Model):
    def __init__(self, name, path):
        super().__init__(name)
        self.path = path
        self.estimator = None

    def load(self):
        self.estimator = joblib.load(self.path)
        self.ready = True
        return self.ready

    def predict(self, payload, headers=None, response_headers=None):
        result = self.estimator.predict(get_predict_input(payload))
        return get_predict_response(payload, result, self.name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(parents=[model_server.parser])
    parser.add_argument("--path", type=Path, required=True)
    arguments = parser.parse_args()
    model = SklearnModel(arguments.model_name, arguments.path)
    model.load()
    ModelServer().start([model])
