"""A way to a port that can be shut: connections over it end, and new ones are refused."""

import contextlib
import socket
import threading


class Gate:
    def __init__(self, target):
        host, _, port = target.rpartition(":")
        self.target = (host, int(port))
        self.listener = None
        self.open_sockets = set()
        self.lock = threading.Lock()
        self.address = None
        self.open()

    def open(self):
        """Lets connections through, always at the same address."""
        host, port = self.address or ("127.0.0.1", 0)
        listener = socket.create_server((host, port))
        self.address = listener.getsockname()
        self.listener = listener
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def shut(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts, where closing does not
        self.listener.close()
        with self.lock:
            sockets, self.open_sockets = self.open_sockets, set()
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def __str__(self):
        return "{}:{}".format(*self.address)

    def accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                inner, _ = listener.accept()
                outer = socket.create_connection(self.target)
                with self.lock:
                    if self.listener is not listener:
                        return
                    self.open_sockets |= {inner, outer}
                for source, sink in ((inner, outer), (outer, inner)):
                    threading.Thread(target=pump, args=(source, sink), daemon=True).start()


def pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
