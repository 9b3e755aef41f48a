"""In place of a service manager: holds a listening unix socket and starts a program with it as descriptor 3, again whenever it ends.

supervise.py SOCKET PROGRAM [ARG...]; prints `started PID` each time. SIGTERM ends it and the program.
"""
import os, signal, socket, sys

path, program = sys.argv[1], sys.argv[2:]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(path)
listener.listen(128)
child = 0


def stop(*_):
    if child:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
    os._exit(0)


signal.signal(signal.SIGTERM, stop)
while True:
    child = os.fork()
    if child == 0:
        os.dup2(listener.fileno(), 3)
        os.set_inheritable(3, True)
        environment = {**os.environ, 'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'}
        os.execvpe(program[0], program, environment)
    print('started', child, flush=True)
    os.waitpid(child, 0)
