"""Predictions of the champion over HTTP: `uvicorn app:app`, with RETRAINING_STORE set."""

import os
from typing import Any

import pandas as pd
from fastapi import FastAPI, HTTPException

from include.retraining.exceptions import DataRejected, RetrainingError
from include.retraining.serving.champion import load_champion

app = FastAPI()


@app.post("/predict")
def predict(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Answer with one prediction per row, and the version that made all of them."""
    try:
        champion = load_champion(os.environ["RETRAINING_STORE"], "diabetes_progression")
    except RetrainingError as error:
        raise HTTPException(503, "there is no champion to answer with") from error
    try:
        predictions = champion.predict(pd.DataFrame(rows))
    except DataRejected as error:
        raise HTTPException(422, str(error)) from error
    except RetrainingError as error:
        raise HTTPException(500, f"version {champion.version} fails on these rows") from error
    return {
        "version": champion.version,
        "generation": champion.generation,
        "is_stale": champion.stale_because is not None,
        "predictions": predictions.to_dict("records"),
    }
