# Reads the XML files named on standard input, one a line, and writes for each a JSON line with its
# tree as Python's own parser (expat) sees it: [namespace, name, attributes, text, children].
import json
import sys
import xml.etree.ElementTree as ET


def parts(tag):
    return tag[1:].split("}", 1) if tag[0] == "{" else ["", tag]


def tree(e):
    text = (e.text or "") + "".join(c.tail or "" for c in e)
    if len(e) and not text.strip():
        text = ""
    space, name = parts(e.tag)
    attrs = sorted(parts(k) + [v] for k, v in e.attrib.items())
    return [space, name, attrs, text, [tree(c) for c in e]]


for line in sys.stdin:
    with open(line.rstrip("\n"), "rb") as f:
        # Three of the recorded files begin with an empty line, which expat does not take.
        print(json.dumps(tree(ET.fromstring(f.read().strip()))))
