"""Real servers as child processes: the tests', the benchmarks' and the local stack's Kafka and PostgreSQL.

Laws:

1. A server listens on the loopback alone and keeps everything in the directory that it was given.
2. `start` returns when a client gets an answer, or raises `Unavailable` within a bounded time and quotes the
   end of the log.
3. Only processes started here are ever signalled, by their own id. They end when this process does, unless it
   is killed itself.
4. A port stays the same over stop, kill and restart, so that clients find the server again.

Not handled: more than one broker, TLS, passwords. Whoever can connect to the loopback is trusted: these are
servers for a machine of one's own, production has `deploy/`.
"""

from pipeline.devstack.kafka import KafkaServer
from pipeline.devstack.postgres import PostgresServer

__all__ = ["KafkaServer", "PostgresServer"]
