"""Five activities on a Temporal development server that keeps its histories in a file."""

import asyncio
import os
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker


@activity.defn
async def noop(step: str) -> str:
    return step


@workflow.defn
class Flow:
    @workflow.run
    async def run(self) -> str:
        for step in "abcde":
            await workflow.execute_activity(noop, step, start_to_close_timeout=timedelta(seconds=60))
        return "succeeded"


async def main() -> None:
    import uvicorn
    from fastapi import FastAPI

    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])

    @asynccontextmanager
    async def lifespan(_app: FastAPI):
        async with Worker(client, task_queue="bench", workflows=[Flow], activities=[noop]):
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/")
    async def post() -> dict:
        return {"status": await client.execute_workflow(Flow.run, id=str(uuid4()), task_queue="bench")}

    config = uvicorn.Config(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(main())
