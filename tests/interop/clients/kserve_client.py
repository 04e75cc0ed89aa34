"""KServe's `InferenceRESTClient` against a server: prints what it got, as JSON. Arguments: URL, file of the columns."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

MODEL = "tumours"
NUMPY = {"FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_, "BYTES": np.object_}


def inputs(columns: dict[str, Any], *, binary: bool) -> list[Any]:
    made = []
    for name, (datatype, values) in columns.items():
        array = np.array(values, dtype=NUMPY[datatype]).reshape(-1, 1)
        made.append(InferInput(name, list(array.shape), datatype))
        made[-1].set_data_from_numpy(array, binary_data=binary)
    return made


def request(columns: dict[str, Any], *, binary: bool) -> Any:
    outputs = [RequestedOutput(name, {"binary_data": binary}) for name in ("predict", "predict_proba")]
    return InferRequest(MODEL, inputs(columns, binary=binary), request_id="a", request_outputs=outputs)


def answer(response: Any) -> dict[str, Any]:
    arrays = {output.name: output.as_numpy() for output in response.outputs}
    return {"id": response.id, **{name: plain(array) for name, array in arrays.items()}}


def plain(array: Any) -> Any:
    return [item.decode() if isinstance(item, bytes) else item for item in array.tolist()]


async def ask(url: str, columns: dict[str, Any]) -> None:
    v2 = InferenceRESTClient(RESTConfig(protocol="v2"))
    found: dict[str, Any] = {
        "live": await v2.is_server_live(url),
        "ready": await v2.is_server_ready(url),
        "model_ready": await v2.is_model_ready(url, MODEL),
    }
    for binary in (True, False):
        found[f"binary={binary}"] = answer(await v2.infer(url, request(columns, binary=binary), model_name=MODEL))
    v1 = InferenceRESTClient(RESTConfig(protocol="v1"))
    found["v1 model_ready"] = await v1.is_model_ready(url, MODEL)
    names = list(columns)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*(values for _, values in columns.values()), strict=True)]
    found["v1 objects"] = await v1.infer(url, {"instances": rows}, model_name=MODEL)
    found["v1 lists"] = await v1.infer(url, {"instances": [list(row.values()) for row in rows]}, model_name=MODEL)
    print(json.dumps(found))


asyncio.run(ask(sys.argv[1], json.loads(Path(sys.argv[2]).read_text())))
