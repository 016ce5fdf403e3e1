"""`python -m bench.naive PORT MODEL DATASET`: the obvious server, with a data frame and a model call per request."""

import math
import sys

import pandas as pd
from aiohttp import web
from catboost import CatBoostRegressor

from veleta.dataset import Dataset, load_dataset
from veleta.features import Features


def application(model: CatBoostRegressor, dataset: Dataset) -> web.Application:
    """POST /predict with one object."""
    features = Features(dataset)

    async def predict(request: web.Request) -> web.Response:
        values, _ = dataset.convert(await request.json())
        frame = pd.DataFrame([features.of(values)], columns=features.names)
        return web.json_response({"predictions": [{dataset.target: math.exp(model.predict(frame)[0])}]})

    async def livez(_request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/predict", predict), web.get("/livez", livez)])
    return app


if __name__ == "__main__":
    port, path, name = sys.argv[1:]
    web.run_app(
        application(CatBoostRegressor().load_model(path), load_dataset(name)),
        host="127.0.0.1",
        port=int(port),
        access_log=None,
        print=None,
    )
