"""The desk: files and batches of one process, wired together."""

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.batches.intake import Batches
from gateway.batches.register import Register
from gateway.batches.run import Means, Serves
from gateway.batches.worker import Worker
from gateway.database.engine import Database
from gateway.files.cabinet import Cabinet
from policies.api_keys import Principal


class BatchDesk:
    """`cabinet` has the files, `intake` is what clients ask, `worker` runs what they asked for."""

    def __init__(
        self,
        database: Database,
        pipeline: Serves,
        *,
        holder: Callable[[str], Awaitable[Principal]],
        folder: Path,
        largest: int,
        total: int,
        parallel: int,
        longest_line: int,
    ) -> None:
        """`holder` knows keys by their id. Sizes in bytes: of a file, of a team's files, of a line."""

        def now() -> datetime:
            return datetime.now(UTC)

        def new_name() -> str:
            return secrets.token_hex(12)

        self.cabinet = Cabinet(
            database, folder / "files", largest=largest, total=total, now=now, new_name=new_name
        )
        register = Register(
            database,
            machine=socket.gethostname(),
            process=f"{os.getpid()}-{secrets.token_hex(4)}",
            now=now,
        )
        means = Means(
            register=register,
            cabinet=self.cabinet,
            pipeline=pipeline,
            holder=holder,
            slots=asyncio.Semaphore(parallel),
            parallel=parallel,
            longest=longest_line,
            now=now,
        )
        self.worker = Worker(means, folder / "batches")
        self.intake = Batches(
            register, self.cabinet, holder=holder, nudge=self.worker.nudge, now=now, new_name=new_name
        )

    def runs(self) -> list[tuple[str, Coroutine[Any, Any, None]]]:
        """What runs as long as the process does, by name."""
        return [("files", self.cabinet.run()), ("batches", self.worker.run())]
