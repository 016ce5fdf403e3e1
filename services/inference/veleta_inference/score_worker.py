"""`python -m veleta_inference.score_worker`: a child process that scores chunks of a file.

Its stdin has a pickled `ScoringJob` and then pickled chunks. It writes each chunk to the job's folder, and then an
empty line to stdout. It ends with its stdin, so no child outlives a job that was killed.
"""

import os
import pickle
import sys
from contextlib import suppress

from veleta.adapters.booster import NativeBooster
from veleta_inference.adapters.input_chunks import Chunk, RowFault
from veleta_inference.adapters.score_folder import ScoreFolder
from veleta_inference.adapters.score_workers import ScoringJob
from veleta_inference.adapters.scored_batches import score_batch
from veleta_inference.domain.errors import ValidationProblem
from veleta_inference.domain.row_scorer import RowScorer

NICENESS = 10
"""The services of the run that is up come first."""


def main() -> None:
    """Score chunks until stdin ends."""
    os.nice(NICENESS)
    job: ScoringJob = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the parent process
    scorer = RowScorer(job.snapshot, NativeBooster(job.model), job.layout, strict=job.strict)
    folder = ScoreFolder(job.out)
    while chunk := _next_chunk():
        scored = score_batch(scorer, chunk.batch, job.added)
        faults = [*chunk.faults, *(_fault(chunk, problem) for problem in scored.problems)]
        folder.write(chunk.first, scored.batch, sorted(faults, key=lambda fault: fault.row))
        with suppress(BrokenPipeError):  # the job was killed: stdin has ended too
            os.write(sys.stdout.fileno(), b"\n")


def _next_chunk() -> Chunk | None:
    """The next chunk of stdin. None at its end, which may be within a chunk if the job was killed."""
    try:
        chunk: Chunk = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the parent process
    except (EOFError, pickle.UnpicklingError):
        return None
    return chunk


def _fault(chunk: Chunk, problem: ValidationProblem) -> RowFault:
    line = chunk.lines[problem.item] if chunk.lines else None
    return RowFault(chunk.rows[problem.item], line, problem.field, problem.message)


if __name__ == "__main__":
    main()
