"""The progress of Maven's downloads."""

from veleta_local.maven_progress import MavenProgress


def test_complete_and_partial_files_are_added() -> None:
    """A file that is complete counts once."""
    progress = MavenProgress()
    megabytes = []
    for line in (
        "Downloading from central: https://host/a.jar",
        "Progress (2): 12/149 MB | 400 kB",
        "Downloaded from central: https://host/b-1.2 (3).jar (400 kB at 1.5 MB/s)",
        "Progress (1): 149 MB   ",
        "Downloaded from central: https://host/a.jar (149 MB at 17 MB/s)",
        "[INFO] Copying b.jar (2 GB)",
    ):
        progress.on_line(line)
        megabytes.append(round(progress.megabytes, 3))
    assert megabytes == [0, 12.4, 12.4, 149.4, 149.4, 149.4]
