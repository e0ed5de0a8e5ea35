"""The only package that owns upstream sockets: pools, time-outs, TLS and HTTP/1.1 framing.

It moves bytes and refuses to know what they mean: no JSON, no events, no providers, no redirects, no
cookies, no decompression, no proxies.

    origin       where: scheme, host, port, and how to trust it
    reply        what comes back: a head, then a body that is read whole or relayed piece by piece
    connection   one socket: a request out, a response in, one timer
    receiver     the receiving half of a connection
    pump         the sending of a body that does not leave in one write
    ending       whether a response that ends with its connection is whole
    pool         the connections to one origin: keep-alive, cap, first come first served
    faults       every error raised here, and its words
    transport    `Transport.send`, which is all that others call
"""

from inference.transport.origin import Origin, path_prefix
from inference.transport.pool import Occupancy
from inference.transport.reply import Reply, Sink
from inference.transport.transport import Transport

__all__ = ["Occupancy", "Origin", "Reply", "Sink", "Transport", "path_prefix"]
