"""What the tables and the manual pages say, read without the programs: the two sides that test_documentation compares."""

import re
from pathlib import Path

from kit.place import TOP

TEXT = r'"((?:\\.|[^"\\])*)"'


def table(name):
    """A file of conf/tables without its comments and what the preprocessor is told."""
    text = (TOP / "conf/tables" / name).read_text()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    return re.sub(rf"{TEXT}\s+{TEXT}", r'"\1\2"', text)


def plain(text):
    return re.sub(r"\\(.)", r"\1", text)


def options():
    """Rows of options.def: dictionaries, by path and in order."""
    pattern = rf"OPTION\(([\w.]+), (\w+), \w+, ([\w.]+), ([\w.]+), {TEXT}, (\w+),\s*{TEXT}\)"
    names = ("path", "type", "minimum", "maximum", "default", "reload", "help")
    rows = [dict(zip(names, map(plain, row), strict=True)) for row in re.findall(pattern, table("options.def"))]
    return {row["path"]: row for row in rows}


def label_sets():
    """Sets of labels.def: {set: (label, [values])}."""
    text = table("labels.def").replace("MILTERSCOPE_VERSION", '""')
    sets = {name: (label, []) for name, label in re.findall(rf"SET\((\w+), {TEXT}\)", text)}
    for name, value in re.findall(rf"V\((\w+), \w+, {TEXT}\)", text):
        sets[name][1].append(value)
    return sets


def metrics():
    """Rows of metrics.def: {published name: (type, [label names], help)}."""
    sets = label_sets()
    found = {}
    for kind, row in re.findall(r"^(?!SECTION)(\w+)\((.*?\")\)", table("metrics.def"), flags=re.DOTALL | re.MULTILINE):
        name = row.split(",")[0]
        labels = re.search(r"\bL\d(?:\(([\w, ]*)\))?", row.split('"')[0])
        ids = re.findall(r"\w+", labels.group(1) or "") if labels else []
        names = ["instance"] if kind.startswith("FLEET_") else [sets[i][0] for i in ids]
        process = kind.startswith("PROCESS_")
        published = name if process else "milterscope_" + name
        assert published not in found, f"{name} stands twice"
        found[published] = (kind.split("_")[-1].lower(), names, row.split('"')[-2])
    return found


class Manual:
    """A page in mdoc(7)."""

    def __init__(self, name):
        self.path = TOP / "conf/man" / name
        self.text = self.path.read_text()

    def section(self, title):
        """Its lines."""
        return re.search(rf"^\.Sh {title}\n(.*?)(?=^\.Sh |\Z)", self.text, flags=re.DOTALL | re.MULTILINE).group(1)

    def items(self, title):
        """The items of a section's lists: [(what stands behind .It, [lines])]."""
        parts = re.split(r"^\.It (.*)\n", self.section(title), flags=re.MULTILINE)
        return [(head, body.splitlines()) for head, body in zip(parts[1::2], parts[2::2], strict=True)]

    def metrics(self):
        """As metrics() above."""
        found = {}
        for head, lines in self.items("METRICS"):
            words = head.replace(" Ns Brq Ar ", " ").replace(" ,", "").split()
            kind = next(line for line in lines if line.startswith(".Pq ")).split()[1].rstrip(",")
            text = []
            for line in lines:
                if line.startswith(("Buckets:", ".")):
                    break
                text.append(line)
            found[words[1]] = (kind, words[2:], " ".join(text))
        return found

    def options(self):
        """{path: {"help", "type", "default", "reload"}} of milterscope.conf(5)."""
        found = {}
        for head, lines in self.items("OPTIONS"):
            text = " ".join(line for line in lines if line != ".Pp")
            said = re.search(r"^(.*) Type: (.*?)\. Default: (.*)\. Takes effect at a (reload|restart)\.", text)
            names = ("help", "type", "default", "reload")
            found[head.removeprefix("Cm ")] = dict(zip(names, said.groups(), strict=True))
        return found


class Sections:
    """The sections that a line of YAML is in, by how far it is indented: two blanks each."""

    def __init__(self):
        self.names = []

    def open(self, indent, name):
        self.names = [*self.names[: len(indent) // 2], name]

    def path(self, indent, name):
        """Of an option in them."""
        return ".".join([*self.names[: len(indent) // 2], name])


def sample_options():
    """{path: (default, comment)} of the sample configuration; a commented option is a line whose # touches its name."""
    found, sections, comment = {}, Sections(), ""
    for line in (TOP / "conf/milterscope.yaml").read_text().splitlines():
        opened = re.fullmatch(r"( *)(\w+):", line)
        option = re.fullmatch(r"( *)#(\w+): (.*)", line)
        if opened:
            sections.open(*opened.groups())
        elif option:
            path = sections.path(option[1], option[2])
            assert path not in found, f"{path} stands twice"
            found[path] = (option[3], comment)
        comment = line.strip().removeprefix("# ") if line.strip().startswith("# ") else ""
    return found


def uncommented_sample():
    return re.sub(r"^( *)#(\w)", r"\1\2", (TOP / "conf/milterscope.yaml").read_text(), flags=re.MULTILINE)


def sources(*patterns):
    """Files of the tree, with their text."""
    return {path: path.read_text() for pattern in patterns for path in sorted(Path(TOP).glob(pattern))}
