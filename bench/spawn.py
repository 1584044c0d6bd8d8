"""Runs one command and writes down what it cost: spawn.py RESULT SECONDS COMMAND...

A separate process because a new process starts with the peak memory of the one it was forked from: this one is small
(about 10 MB, the least that can be reported). The figures are of the command and of all it started and waited for: CPU
seconds are their sum, the peak memory is that of the largest single process, and the bytes written are those that went
to a file system on a disk.
"""

import os
import signal
import sys
import time


def main(result, seconds, command):
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.execvp(command[0], command)

    def end(*_):
        os.killpg(child, signal.SIGKILL)
    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    signal.alarm(seconds)
    _, status, usage = os.wait4(child, 0)
    wall = time.monotonic() - started
    with open(result, "w") as file:
        file.write('{"wall": %.4f, "cpu": %.4f, "rss": %d, "disk": %d, "exit": %d}' % (
            wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, usage.ru_oublock * 512,
            os.waitstatus_to_exitcode(status)))


main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
