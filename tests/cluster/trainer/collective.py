"""One collective per step over TCP: a byte to rank 0 and a byte back.

Like a NCCL collective it has no opinion about a peer that died: whoever waits, waits, until Slurm ends the job.
"""

import os
import signal
import socket
import time


def wait_for_ever():
    while True:
        signal.pause()


def network():
    """What NCCL would choose: FAKE_NCCL_BLIND is a place where it does not find the adapters by itself."""
    return "Socket" if "FAKE_NCCL_BLIND" in os.environ and "NCCL_IB_HCA" not in os.environ else "IB"


class Collective:
    def __init__(self, rank, world, address, port):
        self.peers = self._listen(world, port) if rank == 0 else [self._connect(rank, address, port)]
        self.rank = rank

    @staticmethod
    def _listen(world, port):
        peers = {}
        with socket.create_server(("", port), backlog=world) as server:
            while len(peers) < world - 1:
                peer, _ = server.accept()
                peers[int.from_bytes(_receive(peer, 4), "big")] = peer
        return list(peers.values())

    @staticmethod
    def _connect(rank, address, port, patience=60):
        deadline = time.monotonic() + patience
        while True:
            try:
                peer = socket.create_connection((address, port), timeout=patience)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        peer.settimeout(None)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(rank.to_bytes(4, "big"))
        return peer

    def barrier(self):
        if self.rank:
            self._send_all()
            self._receive_all()
        else:  # rank 0 hears everybody before it releases anybody, and is itself the last to go on
            self._receive_all()
            self._send_all()

    def _receive_all(self):
        for peer in self.peers:
            try:
                _receive(peer, 1)
            except OSError:
                wait_for_ever()

    def _send_all(self):
        for peer in self.peers:
            try:
                peer.sendall(b".")
            except OSError:
                wait_for_ever()


def _receive(peer, size):
    data = b""
    while len(data) < size:
        got = peer.recv(size - len(data))
        if not got:
            raise ConnectionError("the peer is gone")
        data += got
    return data
