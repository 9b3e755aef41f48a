"""Lists tar archives with the standard library's tarfile: four bytes of length and an archive in, one line of JSON out, until the input ends."""
import io
import json
import math
import sys
import tarfile

TYPES = {b"0": "file", b"\0": "file", b"7": "file", b"1": "hardlink", b"2": "symlink", b"3": "character", b"4": "block", b"5": "directory", b"6": "fifo"}
CLEAN = (tarfile.EOFHeaderError, tarfile.EmptyHeaderError)


class Info(tarfile.TarInfo):
    """tarfile takes a bad header behind the first for the end of the archive; this notes which it was."""

    ended_by = None

    @classmethod
    def fromtarfile(cls, archive):
        try:
            return super().fromtarfile(archive)
        except CLEAN:
            raise
        except tarfile.HeaderError as error:
            cls.ended_by = f"{type(error).__name__}: {error}"
            raise


def raw(text):
    return text.encode("utf-8", "surrogateescape").hex()


def account(data):
    members = []
    Info.ended_by = None
    error = None
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", tarinfo=Info, encoding="utf-8", errors="surrogateescape") as archive:
            for info in archive:
                kind = TYPES.get(info.type, f"unknown {info.type!r}")
                members.append([kind, raw(info.name), raw(info.linkname), info.size, info.mode, info.uid, info.gid, math.floor(info.mtime), info.devmajor, info.devminor])
        error = Info.ended_by
    except tarfile.ReadError as problem:
        if str(problem) != "empty file":
            error = f"ReadError: {problem}"
    except Exception as problem:
        error = f"{type(problem).__name__}: {problem}"
    return {"members": members, "error": error}


while True:
    length = sys.stdin.buffer.read(4)
    if len(length) < 4:
        break
    print(json.dumps(account(sys.stdin.buffer.read(int.from_bytes(length, "big")))), flush=True)
