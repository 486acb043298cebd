"""Five durable steps on DBOS Transact: one write to PostgreSQL for each."""

import os

import uvicorn
from dbos import DBOS
from fastapi import FastAPI

DBOS(config={
    "name": "bench",
    "system_database_url": os.environ["DATABASE_URL"],
    "run_admin_server": False,
    "log_level": "WARNING",
})


@DBOS.step()
async def noop(step: str) -> str:
    return step


@DBOS.workflow()
async def flow() -> str:
    for step in "abcde":
        await noop(step)
    return "succeeded"


app = FastAPI()


@app.post("/")
async def post() -> dict:
    return {"status": await flow()}


DBOS.launch()
uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
