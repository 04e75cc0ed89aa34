"""NVIDIA's `tritonclient[http]` against a server: prints what it got, as JSON. Arguments: address, file of the columns."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

MODEL = "tumours"


def inputs(columns: dict[str, Any], *, binary: bool) -> list[Any]:
    made = []
    for name, (datatype, values) in columns.items():
        array = np.array(values, dtype=triton_to_np_dtype(datatype)).reshape(-1, 1)
        made.append(triton.InferInput(name, list(array.shape), datatype))
        made[-1].set_data_from_numpy(array, binary_data=binary)
    return made


def answer(result: Any) -> dict[str, Any]:
    found = {name: result.as_numpy(name) for name in ("predict", "predict_proba")}
    return {
        "id": result.get_response().get("id"),
        **{name: plain(array) for name, array in found.items() if array is not None},
    }


def plain(array: Any) -> Any:
    return [item.decode() if isinstance(item, bytes) else item for item in array.tolist()]


def outputs(*, binary: bool) -> list[Any]:
    return [triton.InferRequestedOutput(name, binary_data=binary) for name in ("predict", "predict_proba")]


def main() -> None:
    address, path = sys.argv[1:]
    columns = json.loads(Path(path).read_text())
    client = triton.InferenceServerClient(address)
    found: dict[str, Any] = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(MODEL),
        "version_ready": client.is_model_ready(MODEL, "3"),
        "server": client.get_server_metadata(),
        "model": client.get_model_metadata(MODEL),
    }
    for binary in (True, False):
        found[f"binary={binary}"] = answer(
            client.infer(MODEL, inputs(columns, binary=binary), outputs=outputs(binary=binary), request_id="a")
        )
    found["default outputs"] = answer(client.infer(MODEL, inputs(columns, binary=True)))
    for packing in ("gzip", "deflate"):
        found[packing] = answer(
            client.infer(
                MODEL,
                inputs(columns, binary=True),
                outputs=outputs(binary=True),
                request_compression_algorithm=packing,
                response_compression_algorithm=packing,
            )
        )
    found["async"] = answer(
        client.async_infer(MODEL, inputs(columns, binary=True), outputs=outputs(binary=True)).get_result()
    )
    try:
        client.infer(MODEL, [item for item in inputs(columns, binary=True) if item.name() != "epoch"])
    except InferenceServerException as error:
        found["refused"] = [error.status(), error.message()]
    print(json.dumps(found))


main()
