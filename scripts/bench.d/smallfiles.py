"""Small-file rates as a scripting language gets them: smallfiles.py DIRECTORY COUNT. Prints what smallfiles.c does."""
import os
import sys
import time

root, count = os.path.join(sys.argv[1], f"small-{os.getpid()}"), int(sys.argv[2])
content = b"x" * 4096
names = [os.path.join(root, f"f{index}") for index in range(count)]


def create():
    for name in names:
        with open(name, "xb") as file:
            file.write(content)
    return count


def stat():
    for name in names:
        os.stat(name)
    return count


def read():
    for name in names:
        with open(name, "rb") as file:
            file.read()
    return count


def listing():
    listed = 0
    for _ in range(3):
        with os.scandir(root) as entries:
            for entry in entries:
                entry.stat(follow_symlinks=False)
                listed += 1
    return listed


def rate(work):
    begin = time.perf_counter()
    return work() / (time.perf_counter() - begin)


os.mkdir(root)
print("create %.0f stat %.0f open %.0f list %.0f" % (rate(create), rate(stat), rate(read), rate(listing)))
