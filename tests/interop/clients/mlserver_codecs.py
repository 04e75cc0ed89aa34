"""MLServer's codecs make requests and read answers: prints what they got, as JSON. Arguments: URL, file of the columns."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pandas as pd
from mlserver.codecs import NumpyCodec, PandasCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, MetadataModelResponse, RequestOutput

MODEL = "tumours"


def post(url: str, request: InferenceRequest) -> InferenceResponse:
    body = request.model_dump_json().encode()
    with urlopen(Request(f"{url}/v2/models/{MODEL}/infer", body, {"content-type": "application/json"})) as response:
        return InferenceResponse.model_validate_json(response.read())


def answer(response: InferenceResponse) -> dict[str, Any]:
    labels, probabilities = response.outputs
    return {
        "id": response.id,
        "predict": StringCodec.decode_output(labels),
        "predict_proba": NumpyCodec.decode_output(probabilities).tolist(),
    }


def main() -> None:
    url, path = sys.argv[1:]
    columns = json.loads(Path(path).read_text())
    wanted = [RequestOutput(name="predict"), RequestOutput(name="predict_proba")]
    # MLServer does not know the string type of pandas 3.
    frame = pd.DataFrame(
        {
            name: pd.Series(values, dtype=object if datatype == "BYTES" else None)
            for name, (datatype, values) in columns.items()
        }
    )
    request = PandasCodec.encode_request(frame, use_bytes=False)
    request.outputs, request.id = wanted, "a"
    found = {"pandas": answer(post(url, request))}
    inputs = [
        StringCodec.encode_input(name, values, use_bytes=False)
        if datatype == "BYTES"
        else NumpyCodec.encode_input(name, np.array(values))
        for name, (datatype, values) in columns.items()
    ]
    found["columns"] = answer(post(url, InferenceRequest(id="a", inputs=inputs, outputs=wanted)))
    with urlopen(f"{url}/v2/models/{MODEL}") as response:
        metadata = MetadataModelResponse.model_validate_json(response.read())
    found["metadata"] = {
        "name": metadata.name,
        "inputs": [[item.name, item.datatype] for item in metadata.inputs or []],
    }
    print(json.dumps(found))


main()
