"""The far side of `tests.bench.hosts.relayed`: starts one process here, and relays messages to and from it."""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assay.boxed.boxing import Box
from assay.errors import AssayError
from assay.jobs.process import Process
from assay.jobs.running import error_from
from assay.jobs.serving import told_of


class Relay:
    """One process, and the pipe to the side that requested it."""

    def __init__(self) -> None:
        answers = os.dup(1)
        os.dup2(2, 1)
        self._answers, self._lock = os.fdopen(answers, "w", encoding="utf-8"), threading.Lock()

    def say(self, **what: Any) -> None:
        with self._lock:
            self._answers.write(json.dumps(what) + "\n")
            self._answers.flush()

    def run(self) -> None:
        process = self._started(json.loads(sys.stdin.readline()))
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        for line in sys.stdin:
            asked = json.loads(line)
            match asked["do"]:
                case "send":
                    self._done(lambda message=asked["message"]: process.send(message))
                case "explain":
                    self.say(done=told_of(process.explained(error_from(asked["error"]))))
                case "spent":
                    self.say(done=asdict(process.spent()))
                case "freeze" | "thaw" | "kill" | "close" as deed:
                    self._done(getattr(process, deed))
        process.kill()

    def _started(self, asked: dict[str, Any]) -> Process:
        box = asked["box"]
        boxed = box and Box(tuple(map(Path, box["writable"])), box["trusted"], told=lambda held: self.say(held=held))
        python = asked["python"] and Path(asked["python"])
        return Process(
            asked["module"], Path(asked["log"]), environment=asked["environment"], python=python, box=boxed or None
        )

    def _done(self, deed: Any) -> None:
        try:
            deed()
        except AssayError as error:
            self.say(done=told_of(error))
        else:
            self.say(done=None)

    def _listen(self, process: Process) -> None:
        while True:
            try:
                self.say(message=process.receive(1.0))
            except TimeoutError:
                continue
            except AssayError as error:
                self.say(message=None, ended=told_of(error))
                return


if __name__ == "__main__":
    Relay().run()
