"""`python -m veleta_inference.score_worker`: a child process that scores chunks of a file.

Its stdin has a pickled `ScoringJob` and then pickled chunks. It writes each chunk to the job's folder, and then an
empty line to stdout. It ends with its stdin, so no child outlives a job that was killed.
"""

import os
import pickle
import sys
from contextlib import suppress

from veleta_inference.adapters.chunk_workers import NICENESS
from veleta_inference.adapters.input_chunks import Chunk
from veleta_inference.adapters.score_folder import ScoreFolder
from veleta_inference.adapters.scored_chunks import ChunkScorer, ScoringJob


def main() -> None:
    """Score chunks until stdin ends."""
    os.nice(NICENESS)
    job: ScoringJob = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the parent process
    scorer, folder = ChunkScorer(job), ScoreFolder(job.out)
    while chunk := _next_chunk():
        folder.write(chunk.first, scorer.score(chunk))
        with suppress(BrokenPipeError):  # the job was killed: stdin has ended too
            os.write(sys.stdout.fileno(), b"\n")


def _next_chunk() -> Chunk | None:
    """The next chunk of stdin. None at its end, which may be within a chunk if the job was killed."""
    try:
        chunk: Chunk = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the parent process
    except (EOFError, pickle.UnpicklingError):
        return None
    return chunk


if __name__ == "__main__":
    main()
