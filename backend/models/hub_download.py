"""Download files from the hub. hub.py runs this module as a subprocess."""

import sys

from huggingface_hub import hf_hub_download, snapshot_download


def main(kind: str, repo: str, folder: str, *names: str) -> None:
    """`kind` snapshot: download files of the main branch into the cache `folder`; file: one file into `folder`."""
    if kind == "file":
        hf_hub_download(repo, names[0], local_dir=folder)
    else:
        snapshot_download(repo, cache_dir=folder, allow_patterns=list(names))


if __name__ == "__main__":
    main(*sys.argv[1:])
