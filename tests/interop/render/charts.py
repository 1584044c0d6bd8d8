"""Charts of our own, each in one text file: comments, then sections `-- PATH --` with a file's content.

    -- set NAME [FLAGS...] --   values, with further flags for the command
    -- PATH | escape --         the content has escapes: \\r, \\xff; its last line feed is left out
    -- charts/X.tgz!/PATH --    a file of a packed subchart
    -- archive --               the chart is given to the programs as an archive, and not as a folder

Without Chart.yaml there is one with the file's name and version 1.0.0. Without sets there is an empty one.
"""

import io
import os
import re
import shlex
import tarfile

SECTION = re.compile(r"(?m)^-- (.+?) --\n")


def unpack(path, folder):
    """Writes a chart below a folder; its path, and its sets as (name, values, flags)."""
    with open(path, encoding="utf8", newline="") as file:
        parts = SECTION.split(file.read())
    name = os.path.basename(path).removesuffix(".txt")
    files, sets, is_archive = {}, [], False
    for title, content in zip(parts[1::2], parts[2::2]):
        if title == "archive":
            is_archive = True
        elif title.startswith("set "):
            words = shlex.split(title)
            sets.append((words[1], content, words[2:]))
        else:
            title, escape, _ = title.partition(" | escape")
            files[title] = content.removesuffix("\n").encode().decode("unicode_escape").encode("latin1") if escape else content.encode()
    files.setdefault("Chart.yaml", f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n".encode())
    packed = {}
    for inner in [inner for inner in files if ".tgz!/" in inner]:
        archive, _, below = inner.partition("!/")
        packed.setdefault(archive, {})[below] = files.pop(inner)
    files.update({archive: pack(inner) for archive, inner in packed.items()})
    sets = sets or [("default", "", [])]
    if is_archive:
        chart = os.path.join(folder, f"{name}.tgz")
        with open(chart, "wb") as file:
            file.write(pack(files))
        return chart, sets
    chart = os.path.join(folder, name)
    for below, content in files.items():
        target = os.path.join(chart, below)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(content)
    return chart, sets


def pack(files):
    """An archive of a chart."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for below, content in files.items():
            info = tarfile.TarInfo(f"chart/{below}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()
